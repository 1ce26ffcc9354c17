package pipeline_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/result"
)

var (
	seedFlag  = flag.Int64("random.seed", -1, "run the random plans of this seed only")
	seedsFlag = flag.Int("random.seeds", 16, "how many random plans each test makes")
)

// variants is in how many ways each plan is built and run.
const variants = 3

// seeds runs a check on many random plans, each of them built in several ways: mostly in a
// bubble, and now and then in real time. To see a failure again, name its seed:
//
//	go test -run TestRandomPlansGive ./pipeline -random.seed 17
func seeds(t *testing.T, mishaps bool, check func(t *testing.T, p *plan, c *choices)) {
	t.Helper()
	first, count := 0, *seedsFlag
	if *seedFlag >= 0 {
		first, count = int(*seedFlag), 1
	}
	for seed := first; seed < first+count; seed++ {
		random := rand.New(rand.NewPCG(uint64(seed), 11))
		steps := random.IntN(6)
		if seed%2 == 0 {
			steps = 20 + random.IntN(10)
		}
		p := newPlan(random, []int{0, 1, 10, 300, 1000}[random.IntN(5)], steps, flavor(seed%3), mishaps)
		for variant := range variants {
			ok := t.Run(fmt.Sprint(seed, "-", variant), func(t *testing.T) {
				c := &choices{
					random: rand.New(rand.NewPCG(uint64(seed), uint64(100+variant))),
					strict: variant == 0, slow: variant != 1,
				}
				once := func(t *testing.T) {
					check(t, p, c)
					assert.Zero(t, c.calls.Load(), "calls are under way when the terminal has returned")
					if t.Failed() {
						t.Logf("-random.seed %d: %v\n%v", seed, p, c.text)
					}
				}
				if seed%5 == 2 {
					pipelinetest.NoLeak(t)
					once(t)
					return
				}
				testkit.Bubble(t, once)
			})
			if !ok {
				return // one plan is enough to read
			}
		}
	}
}

// The plans have what they are to have: many steps, of all kinds, and all mishaps.
func TestRandomPlansAreOfAllSteps(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(100) {
		p := newPlan(rand.New(rand.NewPCG(seed, 11)), 300, 25, flavor(seed%3), true)
		assert.Len(t, p.steps, 25)
		for _, s := range p.steps {
			var kind string
			_, err := fmt.Sscanf(s.text, "%s", &kind)
			require.NoError(t, err)
			for i, r := range kind {
				if r < 'a' || r > 'z' {
					kind = kind[:i]
					break
				}
			}
			count[kind]++
		}
		for kind, yes := range map[string]bool{
			"sequence": p.ordered, "multiset": !p.ordered, "indexed": p.indexed, "fails": p.failed(), "letters": len(p.letters) > 0,
			"items": len(p.model) > 20, "single": p.single,
		} {
			if yes {
				count["plan "+kind]++
			}
		}
	}
	for _, kind := range []string{
		"map", "flatmap", "filter", "tap", "buffer", "throttle", "scan", "distinct", "window", "take", "batch", "groups",
		"reduce", "merge", "mergeordered", "zip", "broadcast", "route", "partition",
		"plan sequence", "plan multiset", "plan indexed", "plan fails", "plan letters", "plan items", "plan single",
	} {
		assert.GreaterOrEqual(t, count[kind], 3, kind)
	}
	t.Log(count)
}

var attempts = regexp.MustCompile(`after \d+ attempts: `)

// untold returns the text of an error without the number of calls, which differs from run to
// run.
func untold(text string) string { return attempts.ReplaceAllString(text, "") }

// However a plan is built, Results gives what the loop gives: each output and each
// failure once, and in order if every stage keeps it.
func TestRandomPlansGiveTheResultsOfALoop(t *testing.T) {
	seeds(t, true, func(t *testing.T, p *plan, c *choices) {
		got := outcomes(p.flow(c).Results(t.Context()))
		for i := range got {
			got[i].Err = untold(got[i].Err)
		}
		sequence := p.ordered && c.strict
		assert.Equal(t, p.comparable(p.model, sequence), p.comparable(got, sequence))
		if !p.cut {
			assert.Equal(t, p.texts(p.letters), p.texts(c.letters))
		}
	})
}

// The fail-fast terminals return one of the failures there are, or the values.
func TestRandomPlansFailWithOneOfTheirFailures(t *testing.T) {
	seeds(t, true, func(t *testing.T, p *plan, c *choices) {
		got, err := p.flow(c).Collect(t.Context())
		if err != nil {
			assert.Nil(t, got)
			assert.True(t, p.expected(untold(err.Error())), "%v", err)
			return
		}
		assert.False(t, p.failed(), "there are failures")
		p.equalValues(t, c, got)
	})
}

// Without mishaps they return the values.
func TestRandomPlansCollectTheValuesOfALoop(t *testing.T) {
	seeds(t, false, func(t *testing.T, p *plan, c *choices) {
		got, err := p.flow(c).Collect(t.Context())
		require.NoError(t, err)
		p.equalValues(t, c, got)
	})
}

// equalValues compares values with those of the model.
func (p *plan) equalValues(t *testing.T, c *choices, got []int) {
	t.Helper()
	var all, want []outcome[int]
	for _, v := range got {
		all = append(all, outcome[int]{Value: v})
	}
	for _, o := range p.model {
		want = append(want, outcome[int]{Value: o.Value})
	}
	sequence := p.ordered && c.strict
	assert.Equal(t, p.comparable(want, sequence), p.comparable(all, sequence))
}

// A loop that is left at a random place has seen the beginning of the sequence or, where
// there is none, nothing that the model does not have.
func TestRandomPlansCanBeLeft(t *testing.T) {
	seeds(t, true, func(t *testing.T, p *plan, c *choices) {
		at := 1 + c.random.IntN(len(p.model)+1)
		f := p.flow(c)
		var got []outcome[int]
		for r := range f.Results(t.Context()) {
			o := outcome[int]{Index: r.Index, Value: r.Value}
			if r.Err != nil {
				o.Err = untold(r.Err.Error())
			}
			if got = append(got, o); len(got) == at {
				break
			}
		}
		assert.Len(t, got, min(at, len(p.model)))
		if p.ordered && c.strict {
			assert.Equal(t, p.comparable(p.model, true)[:len(got)], p.comparable(got, true))
			return
		}
		missing(t, p.comparable(p.model, true), p.comparable(got, true))
	})
}

// missing fails the test for what is in got more often than in model.
func missing(t *testing.T, model, got []outcome[int]) {
	t.Helper()
	have := map[outcome[int]]int{}
	for _, o := range model {
		have[o]++
	}
	for _, o := range got {
		have[o]--
		assert.GreaterOrEqual(t, have[o], 0, "%+v is in no loop", o)
	}
}

// Take takes exactly so many, also of plans whose order is lost.
func TestRandomPlansCanBeTakenFrom(t *testing.T) {
	seeds(t, false, func(t *testing.T, p *plan, c *choices) {
		n := c.random.IntN(len(p.model) + 3)
		f := p.flow(c).Take(n)
		if c.random.IntN(2) == 0 {
			f = pipeline.Map(f, same, pipeline.Workers(1+c.random.IntN(4)))
		}
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, min(n, len(p.model)))
	})
}

// A cancel at a random place, in a call or between calls: fail-fast terminals return its
// cause, or are through.
func TestRandomPlansCanBeCanceled(t *testing.T) {
	seeds(t, false, func(t *testing.T, p *plan, c *choices) {
		ctx, cancel := p.canceled(t, c)
		defer cancel()
		got, err := p.flow(c).Collect(ctx)
		if err == nil {
			p.equalValues(t, c, got)
			return
		}
		assert.Equal(t, errStop, err)
		assert.Nil(t, got)
	})
}

// The same in Results: no more than the loop gives, and what was not called with the cause.
func TestRandomPlansCanBeCanceledInResults(t *testing.T) {
	seeds(t, true, func(t *testing.T, p *plan, c *choices) {
		ctx, cancel := p.canceled(t, c)
		defer cancel()
		var passed []outcome[int]
		for r := range p.flow(c).Results(ctx) {
			switch {
			case r.Err == nil:
				passed = append(passed, outcome[int]{Index: r.Index, Value: r.Value})
			case errors.Is(r.Err, errTransient): // a retry was cut
				assert.ErrorIs(t, r.Err, errStop)
			case errors.Is(r.Err, errStop) && errors.As(r.Err, new(*pipeline.StageError)): // of a pair one has failed
			case errors.Is(r.Err, errStop):
				assert.Equal(t, result.Canceled, r.Status(), "%v", r)
			case p.dropped[untold(r.Err.Error())]: // it failed when the run was over
			default:
				passed = append(passed, outcome[int]{Index: r.Index, Err: untold(r.Err.Error())})
			}
		}
		if p.single && !p.cut {
			missing(t, p.comparable(p.model, true), p.comparable(passed, true))
		}
	})
}

// canceled returns a context that ends at a random time. At the same virtual time much
// may happen, so that it is rather the first calls or the last ones that are hit in a bubble.
func (p *plan) canceled(t *testing.T, c *choices) (context.Context, func()) {
	t.Helper()
	return context.WithTimeoutCause(t.Context(), time.Duration(c.random.IntN(1500))*time.Microsecond, errStop)
}

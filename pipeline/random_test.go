package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/result"
)

// plan is a random flow and, step by step, what a plain loop makes of its inputs.
type plan struct {
	text    []string
	flow    pipeline.Flow[int]
	model   []outcome[int]
	ordered bool
	calls   atomic.Int64 // under way
	slow    bool         // calls take virtual time
}

func (p *plan) String() string { return strings.Join(p.text, " | ") }

// chance is a coin that shows the same side for the same value and salt.
func chance(v, salt, oneIn int) bool {
	h := uint64(v+1)*0x9e3779b97f4a7c15 ^ uint64(salt+1)*0xbf58476d1ce4e5b9
	h ^= h >> 29
	h *= 0x94d049bb133111eb
	return (h>>32)%uint64(oneIn) == 0
}

// newPlan makes a flow of n inputs and up to 5 steps. mishaps says whether calls fail.
func newPlan(random *rand.Rand, n int, mishaps bool) *plan {
	p := &plan{ordered: true, slow: random.IntN(2) == 0}
	p.text = append(p.text, fmt.Sprintf("%d inputs, slow %v", n, p.slow))
	p.flow = pipeline.From(upTo(n))
	for i := range n {
		p.model = append(p.model, outcome[int]{Index: i, Value: i})
	}
	for k := range random.IntN(6) {
		name := fmt.Sprint("s", k)
		opts := []pipeline.StageOption{pipeline.Named(name)}
		workers := []int{0, 0, 1, 2, 8}[random.IntN(5)]
		if workers > 0 {
			opts = append(opts, pipeline.Workers(workers))
			if random.IntN(2) == 0 {
				opts = append(opts, pipeline.Buffer(1+random.IntN(100)))
			}
		}
		ordered := workers <= 1
		if random.IntN(2) == 0 {
			ordered = true
			window := 8 << random.IntN(6)
			opts = append(opts, pipeline.Ordered(window))
		}
		p.ordered = p.ordered && ordered
		p.add(random.IntN(4), k, name, opts, mishaps, workers > 0)
		p.text = append(p.text, fmt.Sprintf("workers %d ordered %v", workers, ordered))
	}
	return p
}

// add adds a step to flow and model.
func (p *plan) add(kind, salt int, name string, opts []pipeline.StageOption, mishaps, pooled bool) {
	failure := func(v int) (kind string) {
		switch {
		case !mishaps:
		case chance(v, salt, 50):
			return "error"
		case chance(v, salt, 51):
			return "panic"
		case pooled && chance(v, salt, 52): // elsewhere it ends more than its call
			return "goexit"
		}
		return ""
	}
	call := func(ctx context.Context, v int) error {
		p.calls.Add(1)
		defer p.calls.Add(-1)
		if p.slow && chance(v, salt+100, 10) {
			select {
			case <-time.After(time.Duration(v%100) * time.Millisecond):
			case <-ctx.Done():
			}
		}
		switch failure(v) {
		case "error":
			return errBoom
		case "panic":
			panic(errBoom)
		case "goexit":
			runtime.Goexit()
		}
		return nil
	}
	expand := func(v int) []int {
		switch kind {
		case 1:
			return slices.Repeat([]int{v}, v%4)
		case 2:
			if chance(v, salt+200, 3) {
				return nil
			}
		}
		return []int{v + salt}
	}

	switch kind {
	case 1, 2:
		p.text = append(p.text, fmt.Sprint("flatmap ", kind))
		p.flow = pipeline.FlatMap(p.flow, func(ctx context.Context, v int) (iter.Seq[int], error) {
			if chance(v, salt+300, 2) { // now in the function, now in its sequence
				return slices.Values(expand(v)), call(ctx, v)
			}
			return func(yield func(int) bool) {
				if err := call(ctx, v); err != nil {
					panic(err)
				}
				for _, u := range expand(v) {
					if !yield(u) {
						return
					}
				}
			}, nil
		}, opts...)
	default:
		p.text = append(p.text, "map")
		p.flow = pipeline.Map(p.flow, func(ctx context.Context, v int) (int, error) {
			return v + salt, call(ctx, v)
		}, opts...)
	}

	var after []outcome[int]
	for _, o := range p.model {
		f := failure(o.Value)
		if o.Err != "" {
			after = append(after, o)
			continue
		}
		if f == "" {
			for _, v := range expand(o.Value) {
				after = append(after, outcome[int]{Index: o.Index, Value: v})
			}
			continue
		}
		why := errBoom.Error()
		switch inSequence := (kind == 1 || kind == 2) && !chance(o.Value, salt+300, 2); {
		case f == "goexit":
			why = pipeline.ErrGoexit.Error()
		case f == "panic" || inSequence:
			why = "panic: " + why
		}
		after = append(after, outcome[int]{
			Index: o.Index, Err: fmt.Sprintf("pipeline: stage %s: input %d: %s", name, o.Index, why),
		})
	}
	p.model = after
}

// sorted sorts outcomes for a comparison as multisets.
func sorted(all []outcome[int]) []outcome[int] {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b outcome[int]) int {
		if a.Index != b.Index {
			return a.Index - b.Index
		}
		if a.Value != b.Value {
			return a.Value - b.Value
		}
		return strings.Compare(a.Err, b.Err)
	})
	return all
}

// withoutValues forgets what a function has returned beside its error.
func withoutValues(all []outcome[int]) []outcome[int] {
	for i := range all {
		if all[i].Err != "" {
			all[i].Value = 0
		}
	}
	return all
}

// seeds runs a check on many random plans, each in a bubble of its own.
func seeds(t *testing.T, mishaps bool, check func(t *testing.T, random *rand.Rand, p *plan)) {
	t.Helper()
	for seed := range uint64(200) {
		ok := t.Run("", func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 11))
				p := newPlan(random, []int{0, 1, 10, 300, 1500}[random.IntN(5)], mishaps)
				check(t, random, p)
				assert.Zero(t, p.calls.Load(), "calls are under way when the terminal has returned")
				if t.Failed() {
					t.Logf("seed %d: %v", seed, p)
				}
			})
		})
		if !ok {
			return // one plan is enough to read
		}
	}
}

// Whatever the plan, Results gives what the loop gives: each output and each
// failure once, and in order if every stage keeps it.
func TestRandomPlansGiveTheResultsOfALoop(t *testing.T) {
	seeds(t, true, func(t *testing.T, _ *rand.Rand, p *plan) {
		got := withoutValues(outcomes(p.flow.Results(t.Context())))
		want := p.model
		if !p.ordered {
			got, want = sorted(got), sorted(want)
		}
		assert.Equal(t, want, got)
	})
}

// The fail-fast terminals return one of the failures there are, or the values.
func TestRandomPlansFailWithOneOfTheirFailures(t *testing.T) {
	seeds(t, true, func(t *testing.T, random *rand.Rand, p *plan) {
		possible := []string{}
		for _, o := range p.model {
			if o.Err != "" {
				possible = append(possible, o.Err)
			}
		}
		got, err := p.flow.Collect(t.Context())
		if len(possible) > 0 {
			require.Error(t, err)
			assert.Nil(t, got)
			assert.Contains(t, possible, err.Error())
			return
		}
		require.NoError(t, err)
		assert.Len(t, got, len(p.model))
	})
}

// A loop that is left at a random place has seen nothing that the model does not have.
func TestRandomPlansCanBeLeft(t *testing.T) {
	seeds(t, true, func(t *testing.T, random *rand.Rand, p *plan) {
		at := 1 + random.IntN(len(p.model)+1)
		var got []outcome[int]
		for r := range p.flow.Results(t.Context()) {
			o := outcome[int]{Index: r.Index, Value: r.Value}
			if r.Err != nil {
				o = outcome[int]{Index: r.Index, Err: r.Err.Error()}
			}
			if got = append(got, o); len(got) == at {
				break
			}
		}
		assert.Len(t, got, min(at, len(p.model)))
		missing(t, p.model, got)
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

// Take takes exactly so many.
func TestRandomPlansCanBeTakenFrom(t *testing.T) {
	seeds(t, false, func(t *testing.T, random *rand.Rand, p *plan) {
		n := random.IntN(len(p.model) + 3)
		f := p.flow.Take(n)
		if random.IntN(2) == 0 {
			f = pipeline.Map(f, same, pipeline.Workers(1+random.IntN(4)))
		}
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, min(n, len(p.model)))
	})
}

// Batches hold every value once.
func TestRandomPlansCanBeBatched(t *testing.T) {
	seeds(t, false, func(t *testing.T, random *rand.Rand, p *plan) {
		size, wait := 1+random.IntN(100), time.Duration(random.IntN(3))*10*time.Millisecond
		var f pipeline.Flow[int]
		if random.IntN(2) == 0 {
			f = pipeline.FlatMap(pipeline.Batch(p.flow, size, wait), unbatch)
		} else {
			f = pipeline.FlatMap(pipeline.Batch(p.flow, size, wait), unbatch, pipeline.Workers(3), pipeline.Ordered())
		}
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		want := []int{}
		for _, o := range p.model {
			want = append(want, o.Value)
		}
		if !p.ordered {
			slices.Sort(got)
			slices.Sort(want)
		}
		assert.Equal(t, want, append([]int{}, got...))
	})
}

// A cancel at a random time: fail-fast terminals return its cause or are through,
// and Results gives no more than the loop, and what was not called with the cause.
func TestRandomPlansCanBeCanceled(t *testing.T) {
	seeds(t, false, func(t *testing.T, random *rand.Rand, p *plan) {
		after := time.Duration(random.IntN(300)) * time.Millisecond
		ctx, cancel := context.WithTimeoutCause(t.Context(), after, errStop)
		defer cancel()
		got, err := p.flow.Collect(ctx)
		if err != nil {
			assert.Equal(t, errStop, err)
			assert.Nil(t, got)
		} else {
			assert.Len(t, got, len(p.model), "nothing was left out")
		}

		ctx, cancel = context.WithTimeoutCause(t.Context(), after, errStop)
		defer cancel()
		var passed []outcome[int]
		for r := range p.flow.Results(ctx) {
			if r.Err == nil {
				passed = append(passed, outcome[int]{Index: r.Index, Value: r.Value})
				continue
			}
			assert.True(t, errors.Is(r.Err, errStop) && r.Status() == result.Canceled, "%v", r)
		}
		missing(t, p.model, passed)
	})
}

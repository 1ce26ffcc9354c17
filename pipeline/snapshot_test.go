package pipeline_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/result"
)

// statChain links stages to a line and gives each a group of its own, but for those
// that have one already.
func statChain(stages ...pipeline.StageStats) pipeline.Snapshot {
	for i := range stages {
		if i > 0 && stages[i].From == nil {
			stages[i].From = []int{i - 1}
		}
		if stages[i].Group == 0 {
			stages[i].Group = 100 + i
		}
		if stages[i].Copies == 0 {
			stages[i].Copies = 1
		}
	}
	return pipeline.Snapshot{Elapsed: 10 * time.Second, Done: true, Stages: stages}
}

// stat is a stage whose kind is before the colon, with its shares in per cent.
func stat(name string, workers int, busy, starved, blocked float64, more ...func(*pipeline.StageStats)) pipeline.StageStats {
	kind, name, ok := strings.Cut(name, ":")
	if !ok {
		name = kind
	}
	s := pipeline.StageStats{
		Name: name, Kind: kind, Workers: workers,
		Busy: busy / 100, Starved: starved / 100, Blocked: blocked / 100,
	}
	for _, m := range more {
		m(&s)
	}
	return s
}

func statIn(group int) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) { s.Group = group }
}

func statFrom(places ...int) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) { s.From = append([]int{}, places...) } // a source if there are none
}

func statLimited(percent float64) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) { s.Limited = percent / 100 }
}

func statAuto(most int) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) { s.MaxWorkers = most }
}

func statChoice(why string) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) { s.Choice = why }
}

func statOrdered(window int) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) { s.Ordered, s.Window = true, window }
}

func statLanes(n int) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) { s.Copies = n }
}

func statRuns(p50, most time.Duration) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) { s.Run = result.Quantiles{P50: p50, P90: p50, P99: most, Max: most} }
}

// verdictCases are situations, who is to be blamed in them, and what must be said.
var verdictCases = map[string]struct {
	snapshot pipeline.Snapshot
	stage    string // "": nobody
	says     []string
	not      []string
}{
	"a pool in the middle": {
		statChain(stat("from:read", 0, 29, 0, 71), stat("map:parse", 4, 96, 2, 2), stat("map:measure", 2, 12, 88, 0), stat("collect", 0, 1, 99, 0)),
		"parse",
		[]string{"parse holds the run back: its 4 workers were busy 96% of the time, while read before it was blocked 71% and measure behind it starved 88%. More workers may help."},
		[]string{"starved 2%", "blocked 2%"},
	},
	"a single worker": {
		statChain(stat("from", 0, 5, 0, 95), stat("map:parse", 1, 99, 1, 0), stat("collect", 0, 1, 99, 0)),
		"parse", []string{"its only worker was busy 99%", "More workers may help."}, nil,
	},
	"a source that waits in its sequence": {
		statChain(stat("from:lines", 0, 97, 0, 3), stat("map:parse", 8, 5, 95, 0), stat("collect", 0, 0, 100, 0)),
		"lines", []string{"The source lines holds the run back: its sequence took 97% of the time, while parse behind it starved 95%.", "Only a faster source"},
		[]string{"orkers"},
	},
	"a source that waits for a channel": {
		statChain(stat("from", 0, 1, 98, 1), stat("map:parse", 8, 5, 95, 0), stat("collect", 0, 0, 100, 0)),
		"", []string{"No stage was busy more than half of the time: the source had nothing to give for 98% of it."},
		[]string{"orkers", "holds"},
	},
	"nobody in particular": {
		statChain(stat("from", 0, 30, 0, 70), stat("map:parse", 4, 45, 20, 35), stat("map:measure", 4, 42, 40, 18), stat("collect", 0, 2, 98, 0)),
		"", []string{"No stage was busy more than half of the time; the busiest was parse with 45%."}, []string{"holds"},
	},
	"nobody at all": {
		statChain(stat("from", 0, 0, 30, 70), stat("map:parse", 4, 0, 20, 80)),
		"", []string{"No stage was busy at all."}, nil,
	},
	"no time": {
		statChain(stat("from", 0, 0, 0, 0), stat("map:parse", 4, 0, 0, 0)),
		"", []string{"nothing to judge: no time has passed"}, nil,
	},
	"no stages": {pipeline.Snapshot{}, "", []string{"nothing to judge: no stages"}, nil},
	"one stage": {
		statChain(stat("from:walk", 0, 90, 0, 10)),
		"walk", []string{"The source walk holds the run back: its sequence took 90% of the time. Only a faster source"}, []string{"while"},
	},
	"a plain loop in which no stage can have workers": {
		statChain(stat("from", 0, 70, 0, 30, statIn(1)), stat("reduce", 0, 1, 70, 29, statIn(1)), stat("all", 0, 29, 71, 0, statIn(1))),
		"from", []string{"its goroutine was busy 100% of the time, 70% in it and the rest in all. A Buffer between them would"}, []string{"orkers", "faster"},
	},
	"a plain loop with two stages": {
		statChain(stat("from", 0, 10, 0, 90, statIn(1)), stat("map:a", 0, 20, 10, 70, statIn(1)), stat("map:b", 0, 30, 30, 40, statIn(1)), stat("all", 0, 40, 60, 0, statIn(1))),
		"all", []string{"Workers would take b off this goroutine."}, nil,
	},
	"a plain loop": {
		statChain(stat("from", 0, 15, 0, 85, statIn(1)), stat("map:parse", 0, 70, 15, 15, statIn(1)), stat("filter", 0, 1, 85, 14, statIn(1)), stat("collect", 0, 2, 86, 12, statIn(1))),
		"parse", []string{"its goroutine was busy 88% of the time, 70% in it and the rest in from.", "Workers would take parse off this goroutine."},
		[]string{"filter", "while"},
	},
	"fused stages of which each is little": {
		statChain(
			stat("from", 0, 20, 0, 80),
			stat("map:fetch", 8, 60, 20, 20),
			stat("map:decode", 0, 30, 6, 64, statIn(1)), stat("map:check", 0, 34, 36, 30, statIn(1)), stat("filter:keep", 0, 30, 70, 0, statIn(1)),
			stat("map:store", 4, 20, 80, 0),
		),
		"check", []string{"check holds the run back: its goroutine was busy 94% of the time, 34% in it and the rest in decode and keep", "store behind it starved 80%", "Workers would take check off"},
		[]string{"fetch holds"},
	},
	"a fused stage alone": {
		statChain(stat("from", 0, 10, 0, 90), stat("map:fetch", 8, 20, 5, 75), stat("map:decode", 0, 95, 5, 0, statIn(1)), stat("run", 0, 1, 99, 0, statIn(1))),
		"decode", []string{"decode holds the run back: it was busy 95% of the time, while fetch before it was blocked 75%. Workers of its own may help."}, nil,
	},
	"a batch": {
		statChain(stat("from", 0, 10, 0, 90), stat("batch", 0, 95, 5, 0), stat("map:store", 2, 5, 95, 0)),
		"batch", []string{"batch holds the run back: it was busy 95%"}, []string{"orkers"},
	},
	"two alike, others idle": {
		statChain(stat("from", 0, 10, 0, 90), stat("map:parse", 4, 94, 1, 5), stat("map:measure", 4, 96, 4, 0), stat("collect", 0, 2, 98, 0)),
		"measure", []string{"measure holds the run back, and so does parse: they were busy 94% to 96% of the time.", "The processors may be what is short"},
		[]string{"More workers may"},
	},
	"all of them busy": {
		statChain(stat("from", 0, 97, 0, 3), stat("map:a", 2, 97, 1, 2), stat("map:b", 2, 97, 2, 1), stat("map:c", 2, 97, 3, 0), stat("all", 0, 97, 3, 0)),
		"a", []string{"a holds the run back, and so do b, c and 2 others: they were busy 97% of the time.", "processors"}, nil,
	},
	"of two that are equal it is the one around which others wait": {
		statChain(stat("from", 0, 40, 0, 60), stat("map:parse", 4, 95, 3, 2), stat("map:measure", 4, 95, 5, 0), stat("map:store", 4, 5, 95, 0)),
		"measure", []string{"measure holds the run back, and so does parse: they were busy 95% of the time."}, nil,
	},
	"two alike of which one is limited": {
		statChain(stat("from", 0, 10, 0, 90), stat("map:fetch", 4, 20, 1, 4, statLimited(75)), stat("map:parse", 4, 93, 4, 3)),
		"fetch", []string{"fetch holds the run back, and so does parse: they were busy, or waited for a limit, 93% to 95% of the time.", "Each of them must get faster"},
		[]string{"processors"},
	},
	"two alike of which none is busy all the time": {
		statChain(stat("from", 0, 10, 0, 90), stat("map:parse", 4, 61, 14, 25), stat("map:measure", 4, 60, 40, 0)),
		"parse", []string{"parse holds the run back, and so does measure: they were busy 60% to 61% of the time."},
		[]string{"processors", "Each"},
	},
	"a limit": {
		statChain(stat("from", 0, 5, 0, 95), stat("map:fetch", 8, 15, 2, 3, statLimited(80)), stat("collect", 0, 1, 99, 0)),
		"fetch", []string{"its 8 workers waited 80% of the time for its limit and were busy 15%", "The limit sets the pace: more workers would not help."},
		[]string{"More workers"},
	},
	"a limit that hardly matters": {
		statChain(stat("from", 0, 5, 0, 95), stat("map:fetch", 8, 85, 2, 3, statLimited(10)), stat("collect", 0, 1, 99, 0)),
		"fetch", []string{"its 8 workers were busy 85% of the time and waited 10% for its limit", "More workers may help."}, nil,
	},
	"Auto at its maximum": {
		statChain(stat("from", 0, 5, 0, 95), stat("map:fetch", 16, 98, 1, 1, statAuto(16)), stat("collect", 0, 1, 99, 0)),
		"fetch", []string{"its 16 workers were busy 98%", "as many workers as Auto may give it: a higher maximum may help"}, []string{"More workers"},
	},
	"Auto on its way": {
		statChain(stat("from", 0, 5, 0, 95), stat("map:fetch", 3, 98, 1, 1, statAuto(16)), stat("collect", 0, 1, 99, 0)),
		"fetch", []string{"Auto may give it up to 16 workers."}, []string{"More workers", "higher"},
	},
	"Auto that has tried": {
		statChain(stat("from", 0, 5, 0, 95), stat("map:fetch", 3, 98, 1, 1, statAuto(16), statChoice("held: 6 workers were no faster than 3")), stat("collect", 0, 1, 99, 0)),
		"fetch", []string{"Auto may give it up to 16 workers (held: 6 workers were no faster than 3)."}, []string{"More workers", "higher"},
	},
	"a full window behind a slow call": {
		statChain(
			stat("from:read", 0, 20, 0, 80), stat("map:parse", 8, 13, 2, 85, statRuns(2*time.Millisecond, 9*time.Second), statOrdered(1024)),
			stat("map:measure", 2, 3, 97, 0), stat("collect", 0, 1, 99, 0),
		),
		"parse", []string{
			"parse holds the run back, though it was busy only 13% of the time: read before it was blocked 80% and measure behind it starved 97%.",
			"It is ordered, and a slow call keeps those behind it waiting (calls took 9s at most, half of them 2ms): a window larger than 1,024 may help.",
		}, []string{"read holds", "More workers"},
	},
	"a slow call without a window": {
		statChain(stat("from:read", 0, 20, 0, 80), stat("map:parse", 8, 13, 2, 85, statRuns(2*time.Millisecond, 9*time.Second)), stat("map:measure", 2, 3, 97, 0)),
		"parse", []string{"behind it starved 97%. Some calls take far longer than others (calls took 9s at most, half of them 2ms)."}, []string{"window"},
	},
	"nothing that tells why": {
		statChain(stat("from:read", 0, 20, 0, 80), stat("map:parse", 8, 13, 2, 85), stat("map:measure", 2, 3, 97, 0)),
		"parse", []string{"behind it starved 97%."}, []string{"window", "calls"},
	},
	"a full window whose workers are idle": {
		statChain(stat("from:read", 0, 20, 0, 80), stat("map:parse", 8, 13, 87, 0, statOrdered(8)), stat("map:measure", 2, 3, 97, 0)),
		"parse", []string{"waiting: a window larger than 8 may help"}, []string{"calls took"},
	},
	"a busy lane": {
		statChain(
			stat("from:read", 0, 10, 0, 90, statIn(1)), stat("partition", 0, 2, 10, 88, statIn(1)),
			stat("map:account", 0, 13, 87, 0, statLanes(8)), stat("merge", 0, 0, 0, 0), stat("collect", 0, 1, 99, 0),
		),
		"account", []string{"account holds the run back", "partition before it was blocked 88%", "One of its 8 lanes may get most of the items."}, nil,
	},
	"lanes": {
		statChain(stat("from:read", 0, 10, 0, 90), stat("map:account", 0, 93, 7, 0, statLanes(8)), stat("collect", 0, 1, 99, 0)),
		"account", []string{"its 8 lanes were busy 93%", "More lanes may help."}, nil,
	},
	"workers in lanes": {
		statChain(stat("from:read", 0, 10, 0, 90), stat("map:account", 2, 93, 7, 0, statLanes(8)), stat("collect", 0, 1, 99, 0)),
		"account", []string{"the 2 workers in each of its 8 lanes were busy 93%", "More workers may help."}, nil,
	},
	"a slow branch": {
		statChain(
			stat("from:read", 0, 9, 0, 91), stat("broadcast", 0, 0, 0, 0, statFrom(0)),
			stat("map:index", 2, 97, 3, 0, statFrom(1)), stat("map:count", 2, 4, 96, 0, statFrom(1)),
			stat("merge", 0, 0, 0, 0, statFrom(2, 3)), stat("collect", 0, 1, 99, 0),
		),
		"index", []string{"index holds the run back: its 2 workers were busy 97%", "read before it was blocked 91%", "collect behind it starved 99%"}, []string{"count"},
	},
	"a branch whose window is full": {
		statChain(
			stat("from:read", 0, 9, 0, 91), stat("broadcast", 0, 0, 0, 0, statFrom(0)),
			stat("map:count", 2, 6, 94, 0, statFrom(1)), stat("map:index", 8, 5, 0, 95, statFrom(1), statOrdered(512)),
			stat("merge", 0, 0, 0, 0, statFrom(2, 3)), stat("collect", 0, 1, 99, 0),
		),
		"index", []string{"index holds the run back", "window"}, []string{"count"},
	},
	"a zip whose other side waits for a channel": {
		statChain(
			stat("from:fast", 0, 5, 0, 95), stat("from:slow", 0, 1, 97, 2, statFrom()),
			stat("zip", 0, 0, 0, 0, statFrom(0, 1)), stat("map:join", 4, 3, 97, 0), stat("collect", 0, 1, 99, 0),
		),
		"", []string{"the source slow had nothing to give for 97% of it."}, []string{"join", "fast"},
	},
	"a zip whose other side is slow": {
		statChain(
			stat("from:fast", 0, 5, 0, 95), stat("from:slow", 0, 99, 0, 1, statFrom()),
			stat("zip", 0, 0, 0, 0, statFrom(0, 1)), stat("map:join", 4, 70, 30, 0), stat("collect", 0, 1, 99, 0),
		),
		"slow", []string{"The source slow holds the run back: its sequence took 99% of the time, while join behind it starved 30%"}, nil,
	},
	"a ticker beside the source that counts": {
		statChain(
			stat("from:read", 0, 20, 0, 80), stat("from:ticker", 0, 99, 0, 1, statFrom()),
			stat("merge", 0, 0, 0, 0, statFrom(0, 1)), stat("map:parse", 4, 96, 4, 0), stat("collect", 0, 1, 99, 0),
		),
		"parse", []string{"parse holds the run back: its 4 workers were busy 96% of the time, while read before it was blocked 80%"}, []string{"ticker"},
	},
	"the body of the loop": {
		statChain(stat("from", 0, 5, 0, 95), stat("map:parse", 4, 20, 2, 78), stat("all", 0, 96, 4, 0)),
		"all", []string{"The body of the loop over All holds the run back: it was busy 96% of the time, while parse before it was blocked 78%.", "do less there"},
		[]string{"orkers of its own"},
	},
	"the body of the loop with a stage of its goroutine": {
		statChain(stat("from", 0, 5, 0, 95), stat("map:parse", 4, 20, 2, 78), stat("map:label", 0, 36, 4, 60, statIn(1)), stat("results", 0, 60, 40, 0, statIn(1))),
		"results", []string{"The body of the loop over Results holds the run back: its goroutine was busy 96% of the time, 60% in it and the rest in label", "Workers would take label off"}, nil,
	},
	"foreach": {
		statChain(stat("from", 0, 5, 0, 95), stat("map:parse", 4, 20, 2, 78), stat("foreach:store", 0, 96, 4, 0)),
		"store", []string{"store holds the run back", "Workers of its own may help."}, []string{"loop"},
	},
	"collect": {
		statChain(stat("from", 0, 5, 0, 95), stat("collect", 0, 96, 4, 0)),
		"collect", []string{"collect holds the run back: it was busy 96%", "from before it was blocked 95%."}, []string{"elp"},
	},
	"busiest, but it waits itself": {
		statChain(stat("from", 0, 60, 0, 40), stat("map:parse", 4, 45, 30, 25)),
		"from", []string{"holds the run back most: its sequence took 60% of the time (and blocked 40%), while parse behind it starved 30%"}, nil,
	},
	"a pool that starves half of the time": {
		statChain(stat("from", 0, 35, 35, 30), stat("map:parse", 4, 62, 38, 0), stat("collect", 0, 1, 99, 0)),
		"parse", []string{"holds the run back most: its 4 workers were busy 62% of the time (and starved 38%)"}, nil,
	},
	"fused stages that wait for room": {
		statChain(
			stat("from", 0, 20, 0, 80), stat("map:fetch", 8, 20, 20, 60),
			stat("map:decode", 0, 30, 10, 60, statIn(1)), stat("map:check", 0, 31, 40, 29, statIn(1)), stat("map:store", 4, 45, 35, 20),
		),
		"check", []string{"busy 61% of the time, 31% in it and the rest in decode (and blocked 29%), while fetch before it was blocked 60%"}, nil,
	},
	"the same name twice": {
		statChain(stat("from", 0, 5, 0, 95), stat("map", 4, 20, 2, 78), stat("map", 4, 96, 4, 0), stat("map", 4, 3, 97, 0)),
		"map", []string{"map (2nd of 3) holds the run back", "map (1st of 3) before it was blocked 78%", "map (3rd of 3) behind it starved"}, nil,
	},
	"a name that is hard to read": {
		statChain(stat("from", 0, 5, 0, 95), stat("map:a\nb\x1b[31m\xff"+strings.Repeat("z", 200), 4, 96, 4, 0)),
		"a\nb\x1b[31m\xff" + strings.Repeat("z", 200), []string{`a\nb\x1b[31m\xffzzzzzzzz`, "zz… holds the run back"}, []string{strings.Repeat("z", 40)},
	},
	"pools with the zero group are pools all the same": {
		pipeline.Snapshot{Elapsed: 1, Stages: []pipeline.StageStats{
			stat("from", 0, 5, 0, 95), stat("map:a", 2, 50, 45, 5, statFrom(0)), stat("map:b", 2, 90, 5, 5, statFrom(1)), stat("map:c", 2, 45, 55, 0, statFrom(2)),
		}},
		"b", []string{"its 2 workers were busy 90%"}, nil,
	},
	"figures that make no sense": {
		statChain(stat("from", 0, math.NaN(), math.Inf(1), -5, statFrom(-1, 0, 1, 7)), stat("map:parse", -4, 170, -3, 0, statFrom(1, 0, 99))),
		"parse", []string{"100%"}, []string{"NaN", "Inf", "-"},
	},
}

func TestVerdict(t *testing.T) {
	for name, tt := range verdictCases {
		t.Run(name, func(t *testing.T) {
			stage, ok := tt.snapshot.Bottleneck()
			blamed := ""
			if ok {
				blamed = tt.snapshot.Stages[stage].Name
			} else {
				assert.Equal(t, -1, stage)
			}
			assert.Equal(t, tt.stage, blamed)
			verdict := tt.snapshot.Verdict()
			for _, s := range tt.says {
				assert.Contains(t, verdict, s)
			}
			for _, s := range tt.not {
				assert.NotContains(t, verdict, s)
			}
			if strings.Contains(verdict, "NaN") || strings.Contains(verdict, "\n") || strings.Contains(verdict, "  ") {
				assert.Fail(t, "not a line of words", verdict)
			}
			assert.Equal(t, ok, strings.Contains(verdict, "holds the run back"), verdict)
		})
	}
}

// The second of two stages with one name is the one that is meant.
func TestBottleneckOfNamesakes(t *testing.T) {
	stage, ok := verdictCases["the same name twice"].snapshot.Bottleneck()
	assert.True(t, ok)
	assert.Equal(t, 2, stage)
}

// Whatever the figures are, nothing panics, the text is text, and nobody is blamed
// beside whom another is busier, but for a source that is merged with others.
func TestRandomSnapshots(t *testing.T) {
	blamed, wedged := 0, 0
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := randomSnapshot(rnd)
		text := s.String()
		require.True(t, utf8.ValidString(text), "seed %d", seed)
		require.NotContains(t, text, "NaN", "seed %d", seed)
		_, err := s.MarshalJSON()
		require.NoError(t, err, "seed %d", seed)

		stage, ok := s.Bottleneck()
		if !ok {
			require.Equal(t, -1, stage)
			for i := range s.Stages {
				require.LessOrEqual(t, utilization(s, i), 0.5+1e-9, "seed %d: %s is over half", seed, s.Stages[i].Name)
			}
			continue
		}
		mine := utilization(s, stage)
		if mine <= 0.5 {
			wedged++
			require.Greater(t, max(s.Stages[stage].Workers, s.Stages[stage].Copies), 1)
			for i := range s.Stages {
				require.LessOrEqual(t, utilization(s, i), 0.5+1e-9, "seed %d", seed)
			}
			continue
		}
		blamed++
		for i, other := range s.Stages {
			if len(other.From) == 0 && joins(s) {
				continue
			}
			if crewmates(s, i, stage) {
				require.LessOrEqual(t, other.Busy+other.Limited, s.Stages[stage].Busy+s.Stages[stage].Limited, "seed %d", seed)
			}
			if source := topOfGroup(s, i); len(s.Stages[source].From) > 0 || !joins(s) {
				require.LessOrEqual(t, utilization(s, i), mine+1e-9, "seed %d: %s is busier", seed, other.Name)
			}
		}
	}
	assert.Greater(t, blamed, 1000)
	assert.Positive(t, wedged)
}

// utilization of what runs together with a stage.
func utilization(s pipeline.Snapshot, stage int) float64 {
	sum := 0.0
	for i, st := range s.Stages {
		if crewmates(s, i, stage) {
			sum += st.Busy + st.Limited
		}
	}
	return sum
}

func crewmates(s pipeline.Snapshot, a, b int) bool {
	x, y := s.Stages[a], s.Stages[b]
	return a == b || x.Group == y.Group && x.Workers == 0 && y.Workers == 0
}

func topOfGroup(s pipeline.Snapshot, stage int) int {
	top := stage
	for i, st := range s.Stages {
		if crewmates(s, i, stage) && st.Busy+st.Limited > s.Stages[top].Busy+s.Stages[top].Limited {
			top = i
		}
	}
	return top
}

func joins(s pipeline.Snapshot) bool {
	return slices.ContainsFunc(s.Stages, func(st pipeline.StageStats) bool { return len(st.From) > 1 })
}

func randomSnapshot(rnd *rand.Rand) pipeline.Snapshot {
	s := pipeline.Snapshot{Elapsed: time.Duration(rnd.Int64() >> rnd.IntN(64)), Done: rnd.IntN(2) == 0}
	group := 0
	big := func() uint64 { return rnd.Uint64() >> rnd.IntN(64) }
	for i := range rnd.IntN(8) {
		st := pipeline.StageStats{
			Name: []string{"a", "b", "", "µ\n\x00", strings.Repeat("長", 100)}[rnd.IntN(5)],
			Kind: []string{"map", "all", "from", "filter", "collect", "foreach", "batch"}[rnd.IntN(7)],
			In:   big(), Out: big(), Errors: big(), Retries: big(), Skipped: big(), Dead: big(),
			Queue: int(big() >> 1), PeakQueue: int(big() >> 1), Buffer: int(big() >> 1),
			Copies: 1,
		}
		if i > 0 && rnd.IntN(8) > 0 {
			st.From = []int{i - 1}
			if rnd.IntN(5) == 0 {
				st.From = append(st.From, rnd.IntN(i))
			}
		}
		if rnd.IntN(2) == 0 {
			st.Workers = 1 + rnd.IntN(4)
		}
		if rnd.IntN(6) == 0 {
			st.Copies, st.MaxWorkers = 4, 3
		}
		if st.Workers > 0 || rnd.IntN(2) == 0 {
			group++
		}
		st.Group = group
		for _, q := range []*result.Quantiles{&st.Wait, &st.Run} {
			*q = result.Quantiles{P50: time.Duration(big() >> 1), P99: time.Duration(big() >> 1), Max: time.Duration(big() >> 1)}
		}
		if rnd.IntN(10) > 0 {
			randomShares(rnd, &st)
		}
		s.Stages = append(s.Stages, st)
	}
	return s
}

// randomShares are mostly of one kind, as real ones are.
func randomShares(rnd *rand.Rand, st *pipeline.StageStats) {
	shares := []*float64{&st.Busy, &st.Starved, &st.Blocked, &st.Limited}
	sum := 0.0
	for _, x := range shares {
		*x = math.Pow(rnd.Float64(), 6)
		sum += *x
	}
	for _, x := range shares {
		*x /= sum
	}
}

package scenario_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/benchmarks/scenario"
	"github.com/millstream-go/millstream/benchmarks/subject"
)

// TestSubjectsDoTheWork runs each subject on each scenario it takes, with few inputs: Observe checks counts, sums and order
// itself, as Run does, which the short mode of compare has do the same.
func TestSubjectsDoTheWork(t *testing.T) {
	for _, s := range scenario.All() {
		s = s.Scaled(1000)
		t.Run(s.Name(), func(t *testing.T) {
			n := 100
			switch {
			case s.Inputs > 0:
				n = s.Inputs
			case s.Work.Name == "sleep":
				n = 4
			}
			for _, sub := range subject.All() {
				if !s.Takes(sub) {
					continue
				}
				seen, err := s.Observe(sub, n)
				require.NoError(t, err)
				assert.Positive(t, seen.P50, sub.Name)
				assert.LessOrEqual(t, seen.P50, seen.P99, sub.Name)
			}
		})
	}
}

// TestOddNumbers has numbers that fill no batch, no share and no buffer.
func TestOddNumbers(t *testing.T) {
	for _, s := range scenario.All() {
		if s.Work.Name != "noop" || s.Stages > 6 {
			continue
		}
		t.Run(s.Name(), func(t *testing.T) {
			for _, sub := range subject.All() {
				for _, n := range []int{1, 7, 1_301} {
					if !s.Takes(sub) {
						continue
					}
					m, err := s.Run(sub, n)
					require.NoError(t, err)
					assert.Equal(t, n, m.Inputs)
					assert.Positive(t, m.Elapsed)
				}
			}
		})
	}
}

// TestWrongSubjectsAreFound has a run say so when a subject loses an input, makes one up, changes one or mixes them up.
func TestWrongSubjectsAreFound(t *testing.T) {
	failed := errors.New("failed")
	flow := func(change func(outs []int) []int) subject.Subject {
		run := func(_ subject.Options, stages []subject.Func, ins iter.Seq[int], take func(int)) error {
			var outs []int
			for v := range ins {
				outs = append(outs, v+len(stages))
			}
			for _, v := range change(outs) {
				take(v)
			}
			return nil
		}
		return subject.Subject{Name: "wrong", Flow: run, Ordered: run}
	}
	find := func(name string) scenario.Scenario {
		for _, s := range scenario.All() {
			if s.Name() == name {
				return s
			}
		}
		t.Fatal("no scenario", name)
		return scenario.Scenario{}
	}
	const n = 300
	for _, test := range []struct {
		name, scenario string
		sub            subject.Subject
		wants          string
	}{
		{"lost", "flow/3x4/any/noop", flow(func(o []int) []int { return o[1:] }), "299 outputs"},
		{"made up", "flow/3x4/any/noop", flow(func(o []int) []int { return append(o, 1) }), "301 outputs"},
		{"changed", "flow/3x4/any/noop", flow(func(o []int) []int { o[5]++; return o }), "with sum"},
		{"mixed up", "flow/3x4/ordered/noop", flow(func(o []int) []int { o[5], o[6] = o[6], o[5]; return o }), "not in the order"},
		{"twice", "submit/noop", subject.Subject{Submit: func(_ subject.Options, fn subject.Func) (func(int) error, func() error) {
			return func(v int) error {
				if v == 7 {
					_, err := fn(context.Background(), v)
					assert.NoError(t, err)
				}
				_, err := fn(context.Background(), v)
				return err
			}, func() error { return nil }
		}}, "output 7 is 16"},
		{"refused", "submit/noop", subject.Subject{Submit: func(subject.Options, subject.Func) (func(int) error, func() error) {
			return func(int) error { return failed }, func() error { return nil }
		}}, "failed"},
		{"map of zeros", "map/noop", subject.Subject{Map: func(subject.Options, subject.Func, []int) ([]int, error) {
			return make([]int, n), nil
		}}, "output 0 is 0"},
		{"wrong answer", "do/64/noop", subject.Subject{Do: func(_ subject.Options, fn subject.Func) (subject.Func, func()) {
			return func(ctx context.Context, v int) (int, error) { return fn(ctx, v+v%2) }, func() {}
		}}, "with sum"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := find(test.scenario).Run(test.sub, n)
			require.ErrorContains(t, err, test.wants)
		})
	}
	t.Run("the order does not matter where it need not", func(t *testing.T) {
		_, err := find("flow/3x4/any/noop").Run(flow(func(o []int) []int { o[5], o[6] = o[6], o[5]; return o }), n)
		require.NoError(t, err)
	})
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenario.All() {
		assert.False(t, seen[s.Name()], s.Name())
		assert.NotEmpty(t, s.Title())
		assert.NotEmpty(t, s.Form.About())
		seen[s.Name()] = true
	}
	seen = map[string]bool{}
	for _, sub := range subject.All() {
		assert.False(t, seen[sub.Name], sub.Name)
		assert.NotEmpty(t, sub.Use, sub.Name)
		seen[sub.Name] = true
	}
}

func TestEachSubjectTakesSomething(t *testing.T) {
	for _, sub := range subject.All() {
		takes := 0
		for _, s := range scenario.All() {
			if s.Takes(sub) {
				takes++
			}
		}
		assert.Positive(t, takes, sub.Name)
	}
}

// TestCalibrate finds a number of inputs that takes about as long as asked for.
func TestCalibrate(t *testing.T) {
	for _, s := range scenario.All() {
		if s.Name() != "submit/1us" {
			continue
		}
		n, err := s.Calibrate(subject.All()[0], 10)
		require.NoError(t, err)
		assert.Zero(t, n%100)
		assert.GreaterOrEqual(t, n, 100)
		return
	}
}

package pipeline_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/result"
)

// policied is a kind of stage as the tests of policies use it: do is called once for each
// input, and what comes out are the inputs that did not fail.
type policied struct {
	name   string
	errors bool // do can fail with an error
	pools  bool // it can have workers
	build  func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int]
}

func unrolled(_ context.Context, all []int) (iter.Seq[int], error) { return slices.Values(all), nil }

var policiedKinds = []policied{
	{"map", true, true, func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
		return pipeline.Map(f, func(ctx context.Context, v int) (int, error) { return v, do(ctx, v) }, opts...)
	}},
	{"flatmap", true, true, func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
		return pipeline.FlatMap(f, func(ctx context.Context, v int) (iter.Seq[int], error) {
			if err := do(ctx, v); err != nil {
				return nil, err
			}
			return slices.Values([]int{v}), nil
		}, opts...)
	}},
	{"flatmap", false, true, func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
		return pipeline.FlatMap(f, func(ctx context.Context, v int) (iter.Seq[int], error) {
			return func(yield func(int) bool) { // the failure is that of the sequence
				_ = do(ctx, v)
				yield(v)
			}, nil
		}, opts...)
	}},
	{"filter", false, true, func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
		return f.Filter(func(v int) bool { return do(context.Background(), v) == nil }, opts...)
	}},
	{"tap", false, true, func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
		return f.Tap(func(v int) { _ = do(context.Background(), v) }, opts...)
	}},
	{"scan", true, false, func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
		return pipeline.Scan(f, -1, func(ctx context.Context, _, v int) (int, error) { return v, do(ctx, v) }, opts...)
	}},
	{"reduce", true, false, func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
		all := pipeline.Reduce(f, nil, func(ctx context.Context, all []int, v int) ([]int, error) {
			return append(slices.Clone(all), v), do(ctx, v)
		}, opts...)
		return pipeline.FlatMap(all, unrolled)
	}},
	{"groupby", true, false, func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
		groups := pipeline.GroupBy(f, 1, func(int) bool { return true },
			func(ctx context.Context, all []int, v int) ([]int, error) {
				return append(slices.Clone(all), v), do(ctx, v)
			}, opts...)
		return pipeline.FlatMap(groups, func(_ context.Context, g pipeline.Group[bool, []int]) (iter.Seq[int], error) {
			return slices.Values(g.Value), nil
		})
	}},
	{"distinct", false, false, func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
		return pipeline.Distinct(f, 1<<20, func(v int) int {
			_ = do(context.Background(), v)
			return v
		}, opts...)
	}},
	{"throttle", true, false, func(f pipeline.Flow[int], do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
		var at int
		return f.Tap(func(v int) { at = v }).Throttle(waiterOf(func(ctx context.Context) error { return do(ctx, at) }), opts...)
	}},
}

// ways are the ways in which a kind of stage can run.
func (k policied) ways() []policiedWay {
	var ways []policiedWay
	for _, s := range stages {
		if k.pools || s.workers == 0 {
			ways = append(ways, policiedWay{s.name, s.ordered, s.opts})
		}
	}
	return ways
}

type policiedWay struct {
	name    string
	ordered bool
	opts    []pipeline.StageOption
}

// with is the options of the way and others.
func (w policiedWay) with(opts ...pipeline.StageOption) []pipeline.StageOption {
	return append(slices.Clip(w.opts), opts...)
}

// between builds the stage with queues around it, so that a Goexit in it ends neither the
// source nor the test.
func (k policied) between(n int, do func(context.Context, int) error, opts ...pipeline.StageOption) pipeline.Flow[int] {
	return k.build(pipeline.From(upTo(n)).Buffer(4), do, opts...).Buffer(4)
}

// failure is one way for a call to fail.
type failure struct {
	name  string
	plain bool // by an error
	do    func() error
	is    func(error) bool
}

// errWithin is what a test's panic carries.
var errWithin = errors.New("within")

var breakages = []failure{
	{"error", true, func() error { return errBoom }, func(err error) bool { return err == errBoom }}, //nolint:errorlint // as it is
	{"panic", false, func() error { panic(errWithin) }, isPanic(errWithin)},
	// A panic that looks like a Goexit to errors.Is, and is none.
	{"panic of ErrGoexit", false, func() error { panic(pipeline.ErrGoexit) }, isPanic(pipeline.ErrGoexit)},
	{"Goexit", false, func() error {
		runtime.Goexit()
		return nil
	}, func(err error) bool { return err == pipeline.ErrGoexit }}, //nolint:errorlint // as it is
}

func isPanic(with error) func(error) bool {
	return func(err error) bool {
		caught, ok := err.(*result.PanicError) //nolint:errorlint // as it is
		return ok && caught.Value == any(with)
	}
}

// thirds are the inputs that fail in most of these tests.
func thirds(v int) bool { return v%3 == 1 }

// letterBox collects letters.
type letterBox struct {
	mu  sync.Mutex
	all []pipeline.Letter
}

func (b *letterBox) put(l pipeline.Letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, l)
}

// take returns the letters by index, and empties the box.
func (b *letterBox) take() []pipeline.Letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.all
	b.all = nil
	slices.SortFunc(all, func(a, b pipeline.Letter) int { return a.Index - b.Index })
	return all
}

// waiterOf is a limit that is a function.
type waiterOf func(context.Context) error

func (w waiterOf) Wait(ctx context.Context) error { return w(ctx) }

// waitFor is a limit that makes each call wait for d, and heeds the context.
func waitFor(d time.Duration) pipeline.Waiter {
	return waiterOf(func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// statsOf returns what a report says of the only stage of that name.
func statsOf(r *pipeline.Report, name string) pipeline.StageStats {
	for _, st := range r.Snapshot().Stages {
		if st.Name == name {
			return st
		}
	}
	return pipeline.StageStats{}
}

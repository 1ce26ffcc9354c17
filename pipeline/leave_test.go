package pipeline_test

import (
	"context"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// exits are the ways out of the body of a range loop.
var exits = map[string]func(){
	"break":  nil,
	"panic":  func() { panic(errBoom) },
	"Goexit": runtime.Goexit,
}

// shapes are flows of endless naturals in which work is called somewhere.
func shapes(source iter.Seq[int], work func(context.Context, int) (int, error)) map[string]pipeline.Flow[int] {
	all := map[string]pipeline.Flow[int]{}
	for _, s := range stages {
		one := pipeline.Map(pipeline.From(source), work, s.opts...)
		all[s.name] = one
		all[s.name+", three"] = pipeline.Map(pipeline.Map(one, work, s.opts...), work, s.opts...)
		all[s.name+", at the front"] = pipeline.Map(one, same)
		all[s.name+", between pools"] = pipeline.Map(
			pipeline.Map(pipeline.Map(pipeline.From(source), same, pipeline.Workers(2)), work, s.opts...),
			same, pipeline.Workers(2), pipeline.Ordered())
		all[s.name+", batched"] = pipeline.FlatMap(pipeline.Batch(one, 3, time.Second), unbatch)
		all[s.name+", taken"] = one.Take(1 << 30)
		all[s.name+", flat"] = pipeline.FlatMap(one, func(context.Context, int) (iter.Seq[int], error) {
			return naturals, nil
		}, s.opts...)
	}
	return all
}

func unbatch(_ context.Context, vs []int) (iter.Seq[int], error) {
	return func(yield func(int) bool) {
		for _, v := range vs {
			if !yield(v) {
				return
			}
		}
	}, nil
}

// Leaving the loop, by whatever way and at whatever item, cancels the run and
// waits: afterwards nothing runs, nothing is left, and yield was not called again.
func TestALoopThatIsLeftLeavesNothingBehind(t *testing.T) {
	for kind, exit := range exits {
		for _, at := range []int{1, 70} {
			testkit.Bubble(t, func(t *testing.T) { // fails if a goroutine is left
				var running atomic.Int64
				work := func(_ context.Context, v int) (int, error) {
					running.Add(1)
					defer running.Add(-1)
					time.Sleep(time.Millisecond)
					return v, nil
				}
				for name, f := range shapes(naturals, work) {
					for terminal, loop := range loops(t, f) {
						count, calls := 0, 0
						leave(func() {
							loop(func() bool {
								calls++
								if count++; count < at {
									return true
								}
								if exit != nil {
									exit()
								}
								return false
							})
						})
						assert.Zero(t, running.Load(), "%s, %s, %s", kind, name, terminal)
						assert.Equal(t, at, calls, "%s, %s, %s: yield after false", kind, name, terminal)
					}
				}
			})
		}
	}
}

// loops ranges over a flow by All and by Results.
func loops[T any](t *testing.T, f pipeline.Flow[T]) map[string]func(body func() bool) {
	return map[string]func(body func() bool){
		"All": func(body func() bool) {
			for _, err := range f.All(t.Context()) {
				assert.NoError(t, err)
				if !body() {
					break
				}
			}
		},
		"Results": func(body func() bool) {
			for range f.Results(t.Context()) {
				if !body() {
					break
				}
			}
		},
	}
}

// leave runs fn on a goroutine that it may end.
func leave(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		fn()
	}()
	<-done
}

// Calls that are stuck see their context end when the loop is left.
func TestALoopThatIsLeftCancelsStuckCalls(t *testing.T) {
	for kind, exit := range exits {
		testkit.Bubble(t, func(t *testing.T) {
			var g pipelinetest.Gauge
			f := pipeline.Map(pipeline.From(naturals), pipelinetest.Gauged(&g, func(ctx context.Context, v int) (int, error) {
				if v == 2 {
					return v, nil
				}
				return stuck(ctx, v)
			}), pipeline.Workers(8))
			f = pipeline.Map(f, same, pipeline.Workers(8), pipeline.Buffer(1))
			leave(func() {
				for _, err := range f.All(t.Context()) {
					assert.NoError(t, err)
					synctest.Wait()
					assert.Equal(t, 8, g.Running(), kind)
					if exit != nil {
						exit()
					}
					break
				}
			})
			assert.Zero(t, g.Running(), kind)
		})
	}
}

// With every buffer full behind a slow body the loop can be left as well.
func TestALoopThatIsLeftWithFullBuffers(t *testing.T) {
	for kind, exit := range exits {
		testkit.Bubble(t, func(t *testing.T) {
			for name, f := range shapes(naturals, same) {
				for terminal, loop := range loops(t, f) {
					count := 0
					leave(func() {
						loop(func() bool {
							time.Sleep(time.Second) // all else is at a standstill by then
							if count++; count < 3 {
								return true
							}
							if exit != nil {
								exit()
							}
							return false
						})
					})
					assert.Equal(t, 3, count, "%s, %s, %s", kind, name, terminal)
				}
			}
		})
	}
}

// A panic in the body is the caller's own: it goes on as it is, not as a
// *result.PanicError, and not into a stage that is fused with the loop.
func TestAPanicInTheBodyGoesOnAsItIs(t *testing.T) {
	pipelinetest.NoLeak(t)
	for name, f := range shapes(naturals, same) {
		for terminal, loop := range loops(t, f) {
			require.PanicsWithValue(t, errBoom, func() {
				loop(func() bool { panic(errBoom) })
			}, "%s, %s", name, terminal)
		}
	}
}

// A return out of the loop is an early exit like any other.
func TestAReturnOutOfTheLoop(t *testing.T) {
	first := func(f pipeline.Flow[int]) int {
		for v, err := range f.All(t.Context()) {
			if err == nil && v >= 10 {
				return v
			}
		}
		return -1
	}
	for name, f := range shapes(naturals, same) {
		t.Run(name, func(t *testing.T) {
			pipelinetest.NoLeak(t)
			assert.GreaterOrEqual(t, first(f), 10)
		})
	}
}

// A break is no error, and a failure that comes at the same time is not yielded.
func TestABreakIsNoError(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.Map(pipeline.From(upTo(20)), failAt(1), s.opts...)
		for _, err := range f.All(t.Context()) {
			if err == nil {
				break
			}
		}
	}
}

// iter.Pull works on both sequences, and its stop is a break.
func TestAllCanBePulled(t *testing.T) {
	for name, f := range shapes(naturals, same) {
		t.Run(name+" All", func(t *testing.T) {
			pipelinetest.NoLeak(t)
			next, stop := iter.Pull2(f.All(t.Context()))
			for range 5 {
				_, err, ok := next()
				require.True(t, ok)
				require.NoError(t, err)
			}
			stop()
		})
		t.Run(name+" Results", func(t *testing.T) {
			pipelinetest.NoLeak(t)
			next, stop := iter.Pull(f.Results(t.Context()))
			r, ok := next()
			require.True(t, ok)
			require.NoError(t, r.Err)
			stop()
		})
	}
}

// The source's own cleanup runs before the loop has ended.
func TestTheSourceCleansUpBeforeTheLoopEnds(t *testing.T) {
	pipelinetest.NoLeak(t)
	for kind, exit := range exits {
		var cleaned atomic.Bool
		source := func(yield func(int) bool) {
			defer cleaned.Store(true)
			naturals(yield)
		}
		for name, f := range shapes(source, same) {
			for terminal, loop := range loops(t, f) {
				cleaned.Store(false)
				leave(func() {
					loop(func() bool {
						if exit != nil {
							exit()
						}
						return false
					})
				})
				assert.True(t, cleaned.Load(), "%s, %s, %s", kind, name, terminal)
			}
		}
	}
}

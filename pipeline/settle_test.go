package pipeline_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// deep is a flow of 8 stages of 64 workers that call fn.
func deep(fn func(context.Context, int) (int, error), opts ...pipeline.StageOption) pipeline.Flow[int] {
	f := pipeline.From(naturals)
	for k := range 8 {
		f = pipeline.Map(f, fn, append(opts, pipeline.Workers(64), pipeline.Named(fmt.Sprint("s", k)))...)
	}
	return f
}

// callLog knows when the calls under way will have returned, and when the run was ended.
type callLog struct {
	mu    sync.Mutex
	ends  time.Time // of the call that ends last
	ended time.Time // of the run; zero before
	late  int       // calls that began behind that
}

// sleep is a call that does not heed its context, for up to a second.
func (l *callLog) sleep(_ context.Context, v int) (int, error) {
	took := time.Duration(v%997) * time.Millisecond
	l.mu.Lock()
	if !l.ended.IsZero() && time.Now().After(l.ended) {
		l.late++
	}
	if end := time.Now().Add(took); end.After(l.ends) {
		l.ends = end
	}
	l.mu.Unlock()
	time.Sleep(took)
	return v, nil
}

// end notes that the run ends now.
func (l *callLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = time.Now()
}

// settled checks that the run has settled the moment the last call under way returned.
func (l *callLog) settled(t *testing.T) {
	t.Helper()
	took := time.Since(l.ended)
	assert.Zero(t, l.late, "calls began behind the end")
	assert.Equal(t, max(0, l.ends.Sub(l.ended)), took)
	assert.Positive(t, took, "there were calls to wait for")
}

// A run that is canceled, left or failed has settled as soon as the calls in flight have
// returned: it takes no time of its own, however many stages and workers there are.
func TestNoTimeFromTheEndToSettled(t *testing.T) {
	for name, opts := range map[string][]pipeline.StageOption{
		"plain": nil, "ordered": {pipeline.Ordered()}, "buffer 1": {pipeline.Buffer(1)},
	} {
		for how, run := range map[string]func(t *testing.T, l *callLog){
			"cancel, Run": func(t *testing.T, l *callLog) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(2345*time.Millisecond, func() { l.end(); cancel(errStop) })
				assert.Equal(t, errStop, deep(l.sleep, opts...).Run(ctx))
			},
			"cancel, Results": func(t *testing.T, l *callLog) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(2345*time.Millisecond, func() { l.end(); cancel(errStop) })
				n := 0
				for r := range deep(l.sleep, opts...).Results(ctx) {
					if n++; r.Err != nil {
						assert.ErrorIs(t, r.Err, errStop)
					}
				}
				assert.Positive(t, n)
			},
			"break": func(t *testing.T, l *callLog) {
				n := 0
				for _, err := range deep(l.sleep, opts...).All(t.Context()) {
					require.NoError(t, err)
					if n++; n == 300 {
						l.end()
						break
					}
				}
			},
			"take": func(t *testing.T, l *callLog) {
				n := 0
				last := func(int) {
					if n++; n == 300 {
						l.end()
					}
				}
				assert.NoError(t, deep(l.sleep, opts...).Tap(last).Take(300).Run(t.Context()))
			},
			"error": func(t *testing.T, l *callLog) {
				fail := func(ctx context.Context, v int) (int, error) {
					if v == 1500 {
						time.Sleep(123456 * time.Microsecond)
						l.end()
						return v, errBoom
					}
					return l.sleep(ctx, v)
				}
				assert.ErrorIs(t, deep(fail, opts...).Run(t.Context()), errBoom)
			},
			"panic": func(t *testing.T, l *callLog) {
				fail := func(ctx context.Context, v int) (int, error) {
					if v == 1500 {
						time.Sleep(123456 * time.Microsecond)
						l.end()
						panic(errBoom)
					}
					return l.sleep(ctx, v)
				}
				assert.ErrorIs(t, deep(fail, opts...).Run(t.Context()), errBoom)
			},
		} {
			t.Run(how+", "+name, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					var l callLog
					run(t, &l)
					l.settled(t)
				})
			})
		}
	}
}

// In real time, with all workers in calls that heed their context, it takes less than 10 ms
// and a few times what the goroutines themselves take to wake up and end, which is most of
// it on a machine that is busy with other things.
func TestMillisecondsFromTheEndToSettled(t *testing.T) {
	pipelinetest.NoLeak(t)
	const tries = 30
	for how, run := range map[string]func(f pipeline.Flow[int], full <-chan struct{}, fail chan<- struct{}) time.Duration{
		"cancel": func(f pipeline.Flow[int], full <-chan struct{}, _ chan<- struct{}) time.Duration {
			ctx, cancel := context.WithCancelCause(t.Context())
			var begun time.Time
			go func() {
				<-full
				begun = time.Now()
				cancel(errStop)
			}()
			assert.Equal(t, errStop, f.Run(ctx))
			return time.Since(begun)
		},
		"break": func(f pipeline.Flow[int], full <-chan struct{}, _ chan<- struct{}) time.Duration {
			var begun time.Time
			for _, err := range f.All(t.Context()) {
				assert.NoError(t, err)
				<-full
				begun = time.Now()
				break
			}
			return time.Since(begun)
		},
		"error": func(f pipeline.Flow[int], full <-chan struct{}, fail chan<- struct{}) time.Duration {
			var begun time.Time
			go func() {
				<-full
				begun = time.Now()
				fail <- struct{}{}
			}()
			assert.ErrorIs(t, f.Run(t.Context()), errBoom)
			return time.Since(begun)
		},
	} {
		t.Run(how, func(t *testing.T) {
			var took, bare time.Duration
			for range tries {
				full, fail := make(chan struct{}), make(chan struct{})
				took = run(allInCalls(full, fail), full, fail)
				assert.Less(t, took, 5*time.Second)
				if bare = bareGoroutines(8 * 64); took < 10*time.Millisecond+4*bare {
					return
				}
			}
			assert.Fail(t, "too slow", "%v, and bare goroutines %v", took, bare)
		})
	}
}

// allInCalls is a flow of 8 stages of 64 workers, which all come to have a call under way;
// then full is closed. A call returns when its context ends, or fails when told so. One item
// has passed by then.
func allInCalls(full chan<- struct{}, fail <-chan struct{}) pipeline.Flow[int] {
	f := pipeline.From(naturals)
	var busy atomic.Int64
	for k := range 8 {
		var passed atomic.Int64 // what the stages behind need
		f = pipeline.Map(f, func(ctx context.Context, v int) (int, error) {
			if v == 0 || passed.Add(1) <= int64((7-k)*64) {
				return v, nil
			}
			if busy.Add(1) == 8*64 {
				close(full)
			}
			select {
			case <-ctx.Done():
				return v, ctx.Err()
			case <-fail:
				return v, errBoom
			}
		}, pipeline.Workers(64))
	}
	return f
}

// bareGoroutines is how long n goroutines take to end once a context is canceled.
func bareGoroutines(n int) time.Duration {
	ctx, cancel := context.WithCancel(context.Background())
	var begun, wg sync.WaitGroup
	begun.Add(n)
	for range n {
		wg.Go(func() {
			begun.Done()
			<-ctx.Done()
		})
	}
	begun.Wait()
	start := time.Now()
	cancel()
	wg.Wait()
	return time.Since(start)
}

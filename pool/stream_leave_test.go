package pool_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// "Leaving the loop early, by break, return or a panic, cancels the calls under way and
// waits for them."
func TestLoopThatIsLeftWaitsForItsCalls(t *testing.T) {
	leave := map[string]func(p *pool.Pool[int, int], ins func(func(int) bool)){
		"break": func(p *pool.Pool[int, int], ins func(func(int) bool)) {
			for range p.Stream(context.Background(), ins) {
				break
			}
		},
		"return": func(p *pool.Pool[int, int], ins func(func(int) bool)) {
			for range p.Stream(context.Background(), ins) {
				return
			}
		},
		"panic": func(p *pool.Pool[int, int], ins func(func(int) bool)) {
			defer func() {
				if r := recover(); r != "body" {
					panic(r)
				}
			}()
			for range p.Stream(context.Background(), ins) {
				panic("body")
			}
		},
		"Goexit": func(p *pool.Pool[int, int], ins func(func(int) bool)) {
			onItsOwn(func() {
				for range p.Stream(context.Background(), ins) {
					runtime.Goexit()
				}
			})
		},
	}
	for name, leave := range leave {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				var running, pulled atomic.Int64
				p := pool.New(func(ctx context.Context, v int) (int, error) {
					running.Add(1)
					defer running.Add(-1)
					if v == 0 {
						return 0, nil
					}
					<-ctx.Done()
					time.Sleep(time.Second) // cleans up
					return 0, ctx.Err()
				}, pool.Workers(3))
				leave(p, count(&pulled))
				assert.Zero(t, running.Load(), "calls run after the loop")
				before := pulled.Load()
				time.Sleep(time.Minute)
				assert.Equal(t, before, pulled.Load(), "the source was pulled after the loop")
				v, err := p.Do(t.Context(), 0)
				assert.NoError(t, err, "the pool goes on")
				assert.Zero(t, v)
				assert.NoError(t, p.Close())
			})
		})
	}
}

// "An ins that blocks in its own code cannot be interrupted, and the loop waits for it."
func TestLoopThatIsLeftWaitsForItsSource(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(same)
		defer p.Close()
		ended := false
		for range p.Stream(t.Context(), func(yield func(int) bool) {
			yield(1)
			time.Sleep(time.Hour)
			ended = true
			assert.False(t, yield(2), "nobody wants more")
		}) {
			break
		}
		assert.True(t, ended)
	})
}

// The same for a source that blocks on a channel when the context ends: the results
// are there at once, and the loop ends with the source.
func TestStreamEndsWhenItsSourceLetsGo(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(same)
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		gate := make(chan struct{})
		source := func(yield func(int) bool) {
			yield(1)
			<-gate
		}
		done := make(chan []result.Result[int], 1)
		go func() { done <- slices.Collect(p.Stream(ctx, source)) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		assert.Empty(t, done)
		close(gate)
		assert.Len(t, <-done, 1)
	})
}

// A source that goes on after yield has said false breaks the rules of package iter:
// it is stopped, and harms nobody.
func TestStreamOfASourceThatDoesNotStop(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(same)
		defer p.Close()
		source := func(yield func(int) bool) {
			for i := 0; ; i++ {
				yield(i)
			}
		}
		for range p.Stream(t.Context(), source) {
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last result.Result[int]
		for r := range p.Stream(ctx, source) {
			cancel()
			if r.Index > last.Index {
				last = r
			}
		}
		var caught *result.PanicError
		assert.ErrorAs(t, last.Err, &caught, "it is told, as a panic of the source")
		v, err := p.Do(t.Context(), 1)
		assert.NoError(t, err)
		assert.Equal(t, 1, v)
	})
}

// "Yield is never called after false": the results that were there are dropped.
func TestLoopThatIsLeftSeesNoMore(t *testing.T) {
	checkLeaks(t)
	p := pool.New(same, pool.Workers(4))
	defer closing(t, p)
	for n := range 300 {
		var pulled atomic.Int64
		got := 0
		for range p.Stream(t.Context(), count(&pulled)) {
			if got++; got > n {
				break
			}
		}
		assert.Equal(t, n+1, got)
	}
}

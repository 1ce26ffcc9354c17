package engine

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/result"
)

// misbehaves is a handler whose items do as they are told.
type misbehaves struct {
	mu     *sync.Mutex
	failed map[int]error
	well   *atomic.Int32
}

func (h *misbehaves) Begin(*Taker[int]) {}
func (h *misbehaves) End() int64        { return 0 }
func (h *misbehaves) Failed(_ *Taker[int], v *int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed[*v] = err
}

func (h *misbehaves) Handle(_ *Taker[int], v *int) {
	switch *v % 10 {
	case 3:
		panic(errBoom)
	case 5:
		runtime.Goexit()
	case 7:
		panic(nil) //nolint:govet // that is what is tried
	}
	h.well.Add(1)
}

var errBoom = errors.New("boom")

func TestPanicAndGoexitEndTheItemOnly(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const n = 1000
		h := &misbehaves{mu: new(sync.Mutex), failed: make(map[int]error), well: new(atomic.Int32)}
		q := NewQueue[int](NewClock(), n)
		runCrew(q, 4, func(int) Handler[int] { return h }, func() {
			for i := range n {
				require.NoError(t, q.TryPut(i))
			}
		})
		require.EqualValues(t, n*7/10, h.well.Load())
		require.Len(t, h.failed, n*3/10)
		for i, err := range h.failed {
			if i%10 == 5 {
				require.Equal(t, ErrGoexit, err)
				continue
			}
			var p *result.PanicError
			require.ErrorAs(t, err, &p)
			require.Contains(t, string(p.Stack), "misbehaves", "the stack must lead to where it happened")
			if i%10 == 3 {
				require.ErrorIs(t, err, errBoom)
			}
		}
	})
}

// Workers are started one by one as they are needed, and never too many.
func TestWorkersAreStartedWhenNeeded(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var started atomic.Int32
		release := make(chan struct{})
		c := &count{t: t, seen: make([]atomic.Int32, 100), wait: func(v int) {
			if v >= 10 {
				<-release
			}
		}}
		q := NewQueue[int](NewClock(), 100)
		runCrew(q, 3, func(int) Handler[int] { started.Add(1); return c }, func() {
			synctest.Wait()
			require.Zero(t, started.Load(), "nothing to do: no worker")
			for i := range 10 {
				require.NoError(t, q.TryPut(i))
				synctest.Wait()
			}
			require.EqualValues(t, 1, started.Load(), "one at a time needs one")
			for i := 10; i < 100; i++ {
				require.NoError(t, q.TryPut(i))
			}
			synctest.Wait()
			require.EqualValues(t, 3, started.Load())
			require.NotZero(t, length(q))
			close(release)
		})
		for i := range c.seen {
			require.EqualValues(t, 1, c.seen[i].Load())
		}
	})
}

func TestCrewEndsWithoutEverHavingWorked(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ended := 0
		var wg sync.WaitGroup
		crew := NewCrew(NewQueue[int](NewClock(), 1), 3, &wg, nil, func() { ended++ })
		crew.Close()
		crew.Close()
		require.Equal(t, 1, ended)
	})
}

func TestClockInsideABubble(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := NewClock()
		start := time.Now()
		time.Sleep(time.Hour)
		require.EqualValues(t, time.Hour+1, c.Now(), "it starts at 1")
		require.True(t, c.Time(c.Now()).Equal(start.Add(time.Hour)))
	})
}

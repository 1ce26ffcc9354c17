package pool_test

import (
	"context"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
)

// "Invalid arguments panic at construction with a message that names them."
func TestBadArgumentsPanic(t *testing.T) {
	pass := waiterFunc(func(context.Context) error { return nil })
	with := func(opts ...pool.Option) func() {
		return func() { pool.New(same, opts...) }
	}
	for _, tt := range []struct {
		want string
		make func()
	}{
		{"pool: New: nil function", func() { pool.New[int, int](nil) }},
		{"pool: New: nil option", with(nil)},
		{"pool: New: nil option", with(pool.Workers(1), nil)},
		{"pool: Workers(0): want at least 1", with(pool.Workers(0))},
		{"pool: Workers(-3): want at least 1", with(pool.Workers(-3))},
		{"pool: Workers given twice", with(pool.Workers(1), pool.Workers(2))},
		{"pool: Queue(0): want at least 1", with(pool.Queue(0))},
		{"pool: Queue(-1): want at least 1", with(pool.Queue(-1))},
		{"pool: Queue given twice", with(pool.Queue(1), pool.Queue(2))},
		{"pool: Timeout(0s): want more than 0", with(pool.Timeout(0))},
		{"pool: Timeout(-1s): want more than 0", with(pool.Timeout(-time.Second))},
		{"pool: Timeout given twice", with(pool.Timeout(1), pool.Timeout(2))},
		{"pool: Limit: no waiter", with(pool.Limit())},
		{"pool: Limit: nil waiter", with(pool.Limit(nil))},
		{"pool: Limit: nil waiter", with(pool.Limit(pass, nil))},
		{"pool: Limit given twice", with(pool.Limit(pass), pool.Limit(pass, pass))},
	} {
		assert.PanicsWithValue(t, tt.want, tt.make, tt.want)
	}
}

// An option is a value: it can be used for several pools.
func TestOptionServesSeveralPools(t *testing.T) {
	opts := []pool.Option{pool.Workers(1), pool.Queue(1), pool.Timeout(time.Second)}
	for range 3 {
		p := pool.New(same, opts...)
		v, err := p.Do(t.Context(), 1)
		assert.NoError(t, err)
		assert.Equal(t, 1, v)
		assert.NoError(t, p.Close())
	}
}

// "The default is runtime.GOMAXPROCS."
func TestDefaultOfWorkers(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		want := runtime.GOMAXPROCS(0)
		p := pool.New(sleepers)
		defer p.Close()
		begin := time.Now()
		for range 2 * want {
			submit(t, p, time.Second)
		}
		assert.NoError(t, p.Shutdown(t.Context()))
		assert.Equal(t, 2*time.Second, time.Since(begin))
	})
}

// A queue that is declared large costs its memory when it is used.
func TestLargeQueueIsNotPaidInAdvance(t *testing.T) {
	p := pool.New(same, pool.Queue(math.MaxInt))
	v, err := submit(t, p, 1).Wait(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, 1, v)
	closing(t, p)
}

package ratelimit_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// callEach calls f with each method that takes a key.
func callEach[K comparable](k *ratelimit.Keyed[K], f func(method string, call func(key K))) {
	ctx := context.Background()
	f("Allow", func(key K) { k.Allow(key) })
	f("AllowN", func(key K) { k.AllowN(key, time.Now(), 0) })
	f("Take", func(key K) { k.Take(key, 0) })
	f("WaitN", func(key K) { _ = k.WaitN(ctx, key, 1) })
	f("Pause", func(key K) { k.Pause(key, time.Now().Add(time.Hour)) })
	f("Refund", func(key K) { k.Refund(key, 1) })
	f("At", func(key K) { _ = k.At(key).Wait(ctx) })
}

// A key that is not equal to itself would never be found again: each method refuses it, and
// works for others afterwards.
func TestKeyedRefusesKeysUnequalToThemselves(t *testing.T) {
	type point [2]float64
	floats := ratelimit.NewKeyed[float64](1, 1)
	callEach(floats, func(method string, call func(float64)) {
		assert.PanicsWithValue(t, "ratelimit: a key that is not equal to itself", func() { call(math.NaN()) }, method)
	})
	points := ratelimit.NewKeyed[point](1, 1)
	callEach(points, func(method string, call func(point)) {
		assert.PanicsWithValue(t, "ratelimit: a key that is not equal to itself", func() { call(point{0, math.NaN()}) }, method)
	})
	anys := ratelimit.NewKeyed[any](1, 1)
	callEach(anys, func(method string, call func(any)) {
		assert.PanicsWithValue(t, "ratelimit: a key that is not equal to itself", func() { call(math.NaN()) }, method)
	})
	assert.Zero(t, floats.Len()+points.Len()+anys.Len())
	for i := range 1000 { // in all shards
		require.True(t, floats.Allow(float64(i)))
		require.False(t, floats.Allow(float64(i)))
	}
	assert.False(t, floats.Allow(math.Copysign(0, -1)), "the two zeros are one key")
}

// An interface may hold what cannot be compared: that is a panic of the runtime's, as with
// a map, and leaves no mutex locked.
func TestKeyedRefusesKeysThatCannotBeHashed(t *testing.T) {
	k := ratelimit.NewKeyed[any](1, 1)
	callEach(k, func(method string, call func(any)) {
		assert.Panics(t, func() { call([]int{1}) }, method)
		assert.Panics(t, func() { call(struct{ f func() }{}) }, method)
	})
	assert.Zero(t, k.Len())
	for i := range 1000 {
		require.True(t, k.Allow(i))
		require.False(t, k.Allow(i))
		require.True(t, k.Allow(int64(i)), "another type is another key")
		require.True(t, k.Allow(fmt.Sprint(i)))
	}
	assert.Equal(t, 3000, k.Len())
}

// Each key has its burst and no more while its shard grows around it, whatever is forgotten,
// evicted or waited for meanwhile.
func TestKeyedKeepsKeysWhileItGrows(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const keys, burst = 20_000, 2
		k := ratelimit.NewKeyed[string](ratelimit.Every(time.Hour), burst)
		var line sync.WaitGroup
		for i := range keys {
			key := fmt.Sprint(i)
			require.True(t, k.Allow(key))
			if i%1000 == 0 { // a Limiter of its own, for the hour
				require.True(t, k.Allow(key))
				line.Go(func() { assert.NoError(t, k.Wait(t.Context(), key)) })
			}
		}
		synctest.Wait()
		assert.Equal(t, keys, k.Len())
		for i := range keys {
			require.Equal(t, i%1000 != 0, k.Allow(fmt.Sprint(i)), "key %d", i)
			require.False(t, k.Allow(fmt.Sprint(i)), "key %d", i)
		}
		line.Wait()
		time.Sleep(3 * time.Hour)
		for i := range keys {
			require.True(t, k.AllowN(fmt.Sprint(i), time.Now(), burst), "key %d", i)
		}
		assert.Equal(t, keys, k.Len())
	})
}

// Goroutines that race for far more keys than there is room for, some of which are waited for
// or paused: nobody who waits is lost, and the count is right.
func TestKeyedEvictsUnderRaces(t *testing.T) {
	const room = 100
	k := ratelimit.NewKeyed[int](1e6, 1, ratelimit.MaxKeys(room), ratelimit.WhenFull(ratelimit.Evict))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 9))
			for range 5000 {
				switch key := rnd.IntN(room * 10); rnd.IntN(20) {
				case 0:
					if err := k.Wait(t.Context(), key); err != nil {
						assert.ErrorIs(t, err, ratelimit.ErrFull)
					}
				case 1:
					k.Pause(key, time.Now().Add(10*time.Microsecond))
				case 2:
					k.Refund(key, 1)
				case 3:
					k.Take(key, 1)
				default:
					k.Allow(key)
				}
				if n := k.Len(); n > room {
					assert.Fail(t, "too many keys", "%d", n)
				}
			}
		})
	}
	wg.Wait()
	then := time.Now().Add(time.Hour)
	for key := range room * 20 {
		require.True(t, k.AllowN(-key, then, 1), "all the others are over")
		require.LessOrEqual(t, k.Len(), room)
	}
}

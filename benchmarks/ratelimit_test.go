package benchmarks

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	throttledstore "github.com/throttled/throttled/v2/store/memstore"
	uber "go.uber.org/ratelimit"
	"golang.org/x/time/rate"

	"github.com/millstream-go/millstream/ratelimit"
)

// BenchmarkAllow asks one limiter for one event, on as many goroutines as -cpu says. The clock
// is the least that each of them has to read.
func BenchmarkAllow(b *testing.B) {
	epoch := time.Now()
	for _, subject := range []struct {
		name string
		call func() func()
	}{
		{"granted/subject=clock", func() func() { return func() { _ = time.Since(epoch) } }},
		{"granted/subject=millstream", func() func() { l := ratelimit.NewLimiter(1e9, 1e6); return func() { l.Allow() } }},
		{"granted/subject=x-time", func() func() { l := rate.NewLimiter(1e9, 1e6); return func() { l.Allow() } }},
		{"granted/subject=uber", func() func() { l := uber.New(1e9, uber.WithoutSlack); return func() { l.Take() } }},
		{"denied/subject=millstream", func() func() { l := ratelimit.NewLimiter(1e-3, 1); return func() { l.Allow() } }},
		{"denied/subject=x-time", func() func() { l := rate.NewLimiter(1e-3, 1); return func() { l.Allow() } }},
		{"wait/subject=millstream", func() func() {
			l, ctx := ratelimit.NewLimiter(1e9, 1e6), context.Background()
			return func() { _ = l.Wait(ctx) }
		}},
		{"wait/subject=x-time", func() func() {
			l, ctx := rate.NewLimiter(1e9, 1e6), context.Background()
			return func() { _ = l.Wait(ctx) }
		}},
	} {
		b.Run(subject.name, func(b *testing.B) {
			call := subject.call()
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					call()
				}
			})
		})
	}
}

// keyLimiters make a limiter of ten events a second and key, for at most so many keys if it has
// a bound, and return its Allow.
var keyLimiters = []struct {
	name string
	make func(b *testing.B, most int) func(key string) bool
}{
	{"millstream", func(_ *testing.B, most int) func(string) bool {
		return ratelimit.NewKeyed[string](10, 10, ratelimit.MaxKeys(most)).Allow
	}},
	{"go-limiter", func(b *testing.B, _ int) func(string) bool {
		b.Helper()
		s, err := memorystore.New(&memorystore.Config{Tokens: 10, Interval: time.Second, SweepInterval: time.Minute, SweepMinTTL: time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = s.Close(context.Background()) })
		return func(key string) bool {
			_, _, _, ok, _ := s.Take(context.Background(), key)
			return ok
		}
	}},
	{"throttled", func(b *testing.B, most int) func(string) bool {
		b.Helper()
		s, err := throttledstore.NewCtx(most)
		if err != nil {
			b.Fatal(err)
		}
		l, err := throttled.NewGCRARateLimiterCtx(s, throttled.RateQuota{MaxRate: throttled.PerSec(10), MaxBurst: 9})
		if err != nil {
			b.Fatal(err)
		}
		return func(key string) bool {
			limited, _, err := l.RateLimitCtx(context.Background(), key, 1)
			return err == nil && !limited
		}
	}},
	{"map of x-time", func(*testing.B, int) func(string) bool { // what one writes: no bound, nothing is forgotten
		var mu sync.Mutex
		limiters := make(map[string]*rate.Limiter)
		return func(key string) bool {
			mu.Lock()
			l := limiters[key]
			if l == nil {
				l = rate.NewLimiter(10, 10)
				limiters[key] = l
			}
			mu.Unlock()
			return l.Allow()
		}
	}},
}

const manyKeys = 100_000

// BenchmarkKeyed asks for one event of one of many keys: all alike, a few much more often than
// others (Zipf), or keys that come and go, of which one in eight was not seen before. With
// churn there is room for 100,000, which others have taken, so that new keys are turned away
// by who has a bound; with arrivals there is room for all.
func BenchmarkKeyed(b *testing.B) {
	keys := make([]string, 8*manyKeys)
	for i := range keys {
		keys[i] = "user-" + strconv.Itoa(i)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(rnd, 1.1, 1, manyKeys-1)
	uniform, skewed := make([]string, 1<<20), make([]string, 1<<20)
	for i := range uniform {
		uniform[i], skewed[i] = keys[rnd.IntN(manyKeys)], keys[zipf.Uint64()]
	}
	churn := func(i int) string { return keys[(manyKeys+i/8+i*7919%64)%len(keys)] }
	for _, work := range []struct {
		name string
		most int
		key  func(i int) string
	}{
		{"uniform", manyKeys, func(i int) string { return uniform[i&(1<<20-1)] }},
		{"zipf", manyKeys, func(i int) string { return skewed[i&(1<<20-1)] }},
		{"churn", manyKeys, churn},
		{"arrivals", len(keys), churn},
	} {
		for _, goroutines := range []int{1, 64} {
			for _, subject := range keyLimiters {
				b.Run(work.name+"/goroutines="+strconv.Itoa(goroutines)+"/subject="+subject.name, func(b *testing.B) {
					allow := subject.make(b, work.most)
					for i := range manyKeys {
						allow(keys[i])
					}
					b.ReportAllocs()
					b.ResetTimer()
					var next atomic.Int64
					var wg sync.WaitGroup
					for range goroutines {
						wg.Go(func() {
							const part = 1024
							for {
								from := int(next.Add(part)) - part
								if from >= b.N {
									return
								}
								for i := from; i < min(from+part, b.N); i++ {
									allow(work.key(i))
								}
							}
						})
					}
					wg.Wait()
				})
			}
		}
	}
}

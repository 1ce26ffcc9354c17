package ratelimit_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// waitingLimit is a Limiter or a Window.
type waitingLimit interface {
	ratelimit.Tier
	AllowN(t time.Time, n int) bool
	WaitN(ctx context.Context, n int) error
	ReserveN(t time.Time, n int) *ratelimit.Reservation
}

type event struct {
	at time.Duration
	n  int
}

// Callers that wait, some with deadlines and some for two limits at once, among reservations,
// some of which are canceled: all that happens, with the reservations at their times, keeps the
// bound, and each caller gets its turn.
func TestReservationsAmongCallersKeepTheBound(t *testing.T) {
	for seed := range uint64(600) {
		for _, kind := range []string{"Limiter", "Window"} {
			t.Run(fmt.Sprint(kind, " ", seed), func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					reservationsAmongCallers(t, rand.New(rand.NewPCG(seed, 2)), kind)
				})
			})
		}
	}
}

func reservationsAmongCallers(t *testing.T, random *rand.Rand, kind string) {
	burst := 1 + random.IntN(8)
	interval := time.Duration(1+random.IntN(5)) * 100 * time.Millisecond
	per := time.Duration(burst) * interval
	var l waitingLimit = ratelimit.NewLimiter(ratelimit.Every(interval), burst)
	fits := func(n int, d time.Duration) bool { return n <= burst || time.Duration(n-burst)*interval <= d }
	if kind == "Window" {
		l = ratelimit.NewWindow(burst, per)
		fits = func(n int, d time.Duration) bool { return n <= burst || d >= per }
	}
	m := ratelimit.Multi(l, ratelimit.NewLimiter(ratelimit.Every(2*interval), burst))
	start := time.Now()
	waiting, happened := 0, make(chan event, 100)
	type booking struct {
		event
		*ratelimit.Reservation
	}
	var reserved []booking
	for range 40 {
		n := 1 + random.IntN(burst)
		var each interface {
			AllowN(t time.Time, n int) bool
			WaitN(ctx context.Context, n int) error
			ReserveN(t time.Time, n int) *ratelimit.Reservation
		} = l
		if random.IntN(3) == 0 {
			each = m
		}
		switch random.IntN(8) {
		case 0, 1, 2:
			ctx, cancel := t.Context(), func() {}
			if random.IntN(4) == 0 {
				ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(3000))*time.Millisecond)
			}
			waiting++
			go func() {
				defer cancel()
				if each.WaitN(ctx, n) != nil {
					n = 0
				}
				happened <- event{time.Since(start), n}
			}()
			synctest.Wait()
		case 3:
			if each.AllowN(time.Now(), n) {
				waiting++
				happened <- event{time.Since(start), n}
			}
		case 4, 5, 6:
			later := time.Duration(random.IntN(2)*random.IntN(2000)) * time.Millisecond
			r := each.ReserveN(time.Now().Add(later), n)
			require.True(t, r.OK())
			reserved = append(reserved, booking{event{time.Since(start) + r.Delay(), n}, r})
		default:
			reserved = slices.DeleteFunc(reserved, func(b booking) bool {
				gone := b.at > time.Since(start) && random.IntN(3) == 0
				if gone {
					b.Cancel()
				}
				return gone
			})
		}
		time.Sleep(time.Duration(random.IntN(2)*random.IntN(600)) * time.Millisecond)
		synctest.Wait()
	}
	time.Sleep(time.Hour)
	synctest.Wait()
	require.Len(t, happened, waiting, "all have had their turn")
	var all []event
	for range waiting {
		all = append(all, <-happened)
	}
	for _, b := range reserved {
		all = append(all, b.event)
	}
	slices.SortFunc(all, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for i := range all {
		sum := 0
		for _, e := range all[i:] {
			sum += e.n
			require.True(t, fits(sum, e.at-all[i].at), "%d of %d each %v from %v to %v: %v", sum, burst, interval, all[i].at, e.at, all)
		}
	}
}

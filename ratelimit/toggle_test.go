package ratelimit_test

import (
	"testing"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

func TestToggle(t *testing.T) {
	for _, debt := range []int{0, 3, 8} {
		now := time.Now()
		l := ratelimit.NewLimiter(ratelimit.Every(64*time.Millisecond), 5)
		l.Settle(0, debt)
		for range 5 {
			now = now.Add(1234567 * time.Nanosecond)
			t.Log(l.TokensAt(now))
			for range 10000 {
				l.SetLimitAt(now, ratelimit.Every(time.Millisecond+7))
				l.SetLimitAt(now, ratelimit.Every(64*time.Millisecond))
			}
			t.Log(l.TokensAt(now))
			for range 10000 {
				l.SetBurstAt(now, 7)
				l.SetBurstAt(now, 5)
			}
			t.Log(l.TokensAt(now), "burst")
		}
	}
}

package ratelimit_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// FuzzOperations makes any calls, with any numbers and times, and looks for a panic, for a
// Take that does not agree with AllowN, and for more at one instant than the burst.
func FuzzOperations(f *testing.F) {
	f.Add(10.0, 5, []byte{0, 1, 0, 0, 0, 1, 1, 3, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0})
	f.Add(1e300, math.MaxInt, []byte{0, 255, 255, 255, 255, 127, 5, 255, 255, 255, 255, 127, 0, 1, 0, 0, 0, 128})
	f.Add(999_999_937.0, 1, []byte{0, 1, 255, 255, 255, 127, 1, 1, 0, 0, 0, 255, 0, 1, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0})
	f.Add(1e-300, 3, []byte{4, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, limit float64, burst int, calls []byte) {
		if math.IsNaN(limit) {
			t.Skip()
		}
		l := ratelimit.NewLimiter(ratelimit.Limit(limit), burst)
		start := time.Now()
		var last *ratelimit.Reservation
		for ; len(calls) >= 6; calls = calls[6:] {
			n := int(calls[1])
			if n == 255 {
				n = math.MaxInt
			}
			at := start.Add(time.Duration(int32(binary.LittleEndian.Uint32(calls[2:]))) << 32)
			switch calls[0] % 8 {
			case 0:
				l.AllowN(at, n)
			case 1:
				last = l.ReserveN(at, n)
				if last.OK() && last.DelayFrom(at) < 0 {
					t.Fatal("a delay below zero")
				}
			case 2:
				if last != nil {
					last.CancelAt(at)
				}
			case 3:
				l.SetLimitAt(at, ratelimit.Limit(limit/float64(n+1)))
			case 4:
				l.SetBurstAt(at, n)
			case 5:
				l.Settle(n, int(calls[2]))
			case 6:
				l.Refund(n)
			case 7:
				if d := l.Take(n); d.Allowed != (d.RetryAfter == 0) || d.Remaining < 0 || d.RetryAfter < 0 || d.ResetAfter < 0 {
					t.Fatalf("%+v", d)
				}
			}
			if tokens := l.TokensAt(at); math.IsNaN(tokens) || tokens > float64(max(l.Burst(), 0)) {
				t.Fatalf("%v tokens with a burst of %d", tokens, l.Burst())
			}
			if l.Limit() >= ratelimit.Inf {
				continue
			}
			got := 0
			for range 5 {
				if l.AllowN(at, max(l.Burst()/4, 1)) {
					got++
				}
			}
			if got > 4 && l.Burst() > 4 && l.Burst()%4 == 0 {
				t.Fatalf("more than the burst of %d at one instant", l.Burst())
			}
		}
	})
}

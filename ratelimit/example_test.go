package ratelimit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// Examples count time from here, so that what they print does not depend on the clock.
var midnight = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func ExampleNewLimiter() {
	l := ratelimit.NewLimiter(10, 3) // ten a second, three at once
	for range 4 {
		fmt.Println(l.AllowN(midnight, 1))
	}
	fmt.Println(l.AllowN(midnight.Add(100*time.Millisecond), 1))
	// Output:
	// true
	// true
	// true
	// false
	// true
}

func ExampleEvery() {
	fmt.Println(ratelimit.Every(time.Minute) * 60)
	// Output: 1
}

func ExampleLimiter_Allow() {
	l := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 1)
	fmt.Println(l.Allow(), l.Allow())
	// Output: true false
}

func ExampleLimiter_AllowN() {
	l := ratelimit.NewLimiter(1, 10)
	fmt.Println(l.AllowN(midnight, 8), l.AllowN(midnight, 8), l.AllowN(midnight, 2))
	// Output: true false true
}

func ExampleLimiter_Wait() {
	l := ratelimit.NewLimiter(100, 1)
	begin := time.Now()
	for range 3 {
		if err := l.Wait(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(time.Since(begin) >= 20*time.Millisecond)
	// Output: true
}

// A deadline that is too near is known at once.
func ExampleLimiter_WaitN() {
	l := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 2)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(l.WaitN(ctx, 2))
	err := l.WaitN(ctx, 2)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	fmt.Println(errors.Is(l.WaitN(ctx, 3), ratelimit.ErrBurst))
	// Output:
	// <nil>
	// true
	// true
}

func ExampleLimiter_WaitPriority() {
	l := ratelimit.NewLimiter(100, 1)
	fmt.Println(l.WaitPriority(context.Background(), 1, 2))
	// Output: <nil>
}

func ExampleWaitError() {
	l := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 1)
	l.Allow()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if wait, ok := errors.AsType[*ratelimit.WaitError](l.Wait(ctx)); ok {
		fmt.Println("come back in", wait.RetryAfter.Round(time.Minute))
	}
	// Output: come back in 1h0m0s
}

func ExampleWaitError_Error() {
	fmt.Println(ratelimit.NewLimiter(1, 2).WaitN(context.Background(), 3))
	// Output: ratelimit: Wait(n=3): n is above the burst
}

func ExampleWaitError_Unwrap() {
	err := ratelimit.NewLimiter(1, 2).WaitN(context.Background(), 3)
	fmt.Println(errors.Is(errors.Unwrap(err), ratelimit.ErrBurst))
	// Output: true
}

func ExampleLimiter_Take() {
	l := ratelimit.NewLimiter(ratelimit.Every(time.Minute), 5)
	d := l.Take(4)
	fmt.Println(d.Allowed, d.Limit, d.Remaining)
	d = l.Take(2)
	fmt.Println(d.Allowed, d.RetryAfter.Round(time.Second), d.ResetAfter.Round(time.Second))
	// Output:
	// true 5 1
	// false 1m0s 4m0s
}

func ExampleLimiter_Reserve() {
	l := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 1)
	fmt.Println(l.Reserve().Delay(), l.Reserve().Delay().Round(time.Minute))
	// Output: 0s 1h0m0s
}

func ExampleLimiter_ReserveN() {
	l := ratelimit.NewLimiter(1, 10)
	l.ReserveN(midnight, 10)
	r := l.ReserveN(midnight, 4)
	fmt.Println(r.OK(), r.DelayFrom(midnight))
	// Output: true 4s
}

func ExampleReservation_OK() {
	fmt.Println(ratelimit.NewLimiter(1, 10).ReserveN(midnight, 11).OK())
	// Output: false
}

func ExampleReservation_Delay() {
	l := ratelimit.NewLimiter(1000, 1)
	l.Allow()
	r := l.Reserve()
	time.Sleep(r.Delay())
	fmt.Println(r.Delay())
	// Output: 0s
}

func ExampleReservation_DelayFrom() {
	l := ratelimit.NewLimiter(1, 1)
	l.AllowN(midnight, 1)
	fmt.Println(l.ReserveN(midnight, 1).DelayFrom(midnight.Add(400 * time.Millisecond)))
	// Output: 600ms
}

func ExampleReservation_Cancel() {
	l := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 1)
	l.Allow()
	r := l.Reserve()
	r.Cancel()
	fmt.Println(l.Reserve().Delay().Round(time.Minute))
	// Output: 1h0m0s
}

func ExampleReservation_CancelAt() {
	l := ratelimit.NewLimiter(1, 10)
	r := l.ReserveN(midnight, 7)
	r.CancelAt(midnight)
	fmt.Println(l.TokensAt(midnight))
	// Output: 10
}

func ExampleLimiter_Limit() {
	fmt.Println(ratelimit.NewLimiter(2.5, 10).Limit())
	// Output: 2.5
}

func ExampleLimiter_Burst() {
	fmt.Println(ratelimit.NewLimiter(2.5, 10).Burst())
	// Output: 10
}

func ExampleLimiter_SetLimit() {
	l := ratelimit.NewLimiter(1, 10)
	l.SetLimit(100)
	fmt.Println(l.Limit())
	// Output: 100
}

func ExampleLimiter_SetLimitAt() {
	l := ratelimit.NewLimiter(1, 10)
	l.AllowN(midnight, 10)
	l.SetLimitAt(midnight.Add(2*time.Second), 3)
	fmt.Println(l.TokensAt(midnight.Add(4 * time.Second)))
	// Output: 8
}

func ExampleLimiter_SetBurst() {
	l := ratelimit.NewLimiter(1, 10)
	l.SetBurst(20)
	fmt.Println(l.Burst())
	// Output: 20
}

func ExampleLimiter_SetBurstAt() {
	l := ratelimit.NewLimiter(1, 10)
	l.AllowN(midnight, 1)
	l.SetBurstAt(midnight, 20)
	fmt.Println(l.TokensAt(midnight), l.TokensAt(midnight.Add(time.Hour)))
	// Output: 9 20
}

func ExampleLimiter_Tokens() {
	fmt.Println(ratelimit.NewLimiter(1, 10).Tokens())
	// Output: 10
}

func ExampleLimiter_TokensAt() {
	l := ratelimit.NewLimiter(1, 10)
	l.AllowN(midnight, 10)
	fmt.Println(l.TokensAt(midnight.Add(2500 * time.Millisecond)))
	// Output: 2.5
}

// A server has said when to come back; all that share the limiter keep to it.
func ExampleLimiter_Pause() {
	l := ratelimit.NewLimiter(10, 10)
	l.Pause(time.Now().Add(time.Minute)) // Retry-After: 60
	fmt.Println(l.Allow(), l.Take(1).RetryAfter.Round(time.Second))
	// Output: false 1m0s
}

func ExampleLimiter_Refund() {
	l := ratelimit.NewLimiter(1, 10)
	l.AllowN(midnight, 10)
	l.Refund(3) // three of them were found in a cache
	fmt.Println(l.TokensAt(midnight))
	// Output: 3
}

// A model that is paid by the token says what an answer has cost when it is there.
func ExampleLimiter_Settle() {
	l := ratelimit.NewLimiter(100, 1000)
	l.AllowN(midnight, 400)
	l.Settle(400, 650)
	fmt.Println(l.TokensAt(midnight))
	// Output: 350
}

func ExampleNewKeyed() {
	users := ratelimit.NewKeyed[string](1, 2, ratelimit.MaxKeys(100_000), ratelimit.WhenFull(ratelimit.Deny))
	fmt.Println(users.Allow("ann"), users.Allow("ann"), users.Allow("ann"), users.Allow("bob"))
	// Output: true true false true
}

func ExampleMaxKeys() {
	k := ratelimit.NewKeyed[int](ratelimit.Every(time.Hour), 5, ratelimit.MaxKeys(10))
	for i := range 1000 {
		k.Allow(i)
	}
	fmt.Println(k.Len())
	// Output: 10
}

func ExampleWhenFull() {
	k := ratelimit.NewKeyed[string](ratelimit.Every(time.Hour), 2, ratelimit.MaxKeys(1), ratelimit.WhenFull(ratelimit.Share))
	k.Allow("known")
	fmt.Println(k.Allow("a"), k.Allow("b"), k.Allow("c"), k.Allow("known"))
	// Output: true true false true
}

func ExampleFullPolicy_String() {
	fmt.Println(ratelimit.Share, ratelimit.Deny, ratelimit.Evict)
	// Output: Share Deny Evict
}

func ExampleKeyed_Allow() {
	k := ratelimit.NewKeyed[string](ratelimit.Every(time.Hour), 1)
	fmt.Println(k.Allow("ann"), k.Allow("ann"), k.Allow("bob"))
	// Output: true false true
}

func ExampleKeyed_AllowN() {
	k := ratelimit.NewKeyed[string](1, 5)
	fmt.Println(k.AllowN("ann", midnight, 5), k.AllowN("ann", midnight.Add(time.Second), 2))
	// Output: true false
}

func ExampleKeyed_Take() {
	k := ratelimit.NewKeyed[string](ratelimit.Every(time.Hour), 5)
	fmt.Println(k.Take("ann", 2).Remaining)
	// Output: 3
}

func ExampleKeyed_Wait() {
	k := ratelimit.NewKeyed[string](100, 1)
	fmt.Println(k.Wait(context.Background(), "ann"), k.Wait(context.Background(), "ann"))
	// Output: <nil> <nil>
}

func ExampleKeyed_WaitN() {
	k := ratelimit.NewKeyed[string](100, 1)
	fmt.Println(errors.Is(k.WaitN(context.Background(), "ann", 2), ratelimit.ErrBurst))
	// Output: true
}

func ExampleKeyed_Pause() {
	hosts := ratelimit.NewKeyed[string](10, 1)
	hosts.Pause("busy.example", time.Now().Add(time.Minute))
	fmt.Println(hosts.Allow("busy.example"), hosts.Allow("other.example"))
	// Output: false true
}

func ExampleKeyed_Refund() {
	k := ratelimit.NewKeyed[string](ratelimit.Every(time.Hour), 1)
	fmt.Println(k.Allow("ann"))
	k.Refund("ann", 1)
	fmt.Println(k.Allow("ann"))
	// Output:
	// true
	// true
}

func ExampleKeyed_Len() {
	k := ratelimit.NewKeyed[string](1, 1)
	k.Allow("ann")
	k.Allow("bob")
	fmt.Println(k.Len())
	// Output: 2
}

func ExampleKeyed_At() {
	k := ratelimit.NewKeyed[string](ratelimit.Every(time.Hour), 1)
	ann := k.At("ann")
	fmt.Println(ann.Allow(), k.Allow("ann"))
	// Output: true false
}

func ExampleKeyLimit_Allow() {
	k := ratelimit.NewKeyed[string](1, 1)
	fmt.Println(k.At("ann").Allow())
	// Output: true
}

func ExampleKeyLimit_Wait() {
	k := ratelimit.NewKeyed[string](1, 1)
	fmt.Println(k.At("ann").Wait(context.Background()))
	// Output: <nil>
}

// So many in all, and so many of one user.
func ExampleMulti() {
	all := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 3)
	users := ratelimit.NewKeyed[string](ratelimit.Every(time.Hour), 2)
	for _, user := range []string{"ann", "ann", "ann", "bob", "bob"} {
		fmt.Print(ratelimit.Multi(users.At(user), all).Allow(), " ")
	}
	// Output: true true false true false
}

func ExampleMultiLimiter_Allow() {
	m := ratelimit.Multi(ratelimit.NewLimiter(10, 10), ratelimit.NewWindow(1, time.Hour))
	fmt.Println(m.Allow(), m.Allow())
	// Output: true false
}

func ExampleMultiLimiter_AllowN() {
	second, hour := ratelimit.NewLimiter(10, 10), ratelimit.NewLimiter(ratelimit.Every(time.Minute), 60)
	m := ratelimit.Multi(second, hour)
	fmt.Println(m.AllowN(midnight, 10), m.AllowN(midnight, 1), hour.TokensAt(midnight))
	// Output: true false 50
}

func ExampleMultiLimiter_Take() {
	m := ratelimit.Multi(ratelimit.NewLimiter(10, 10), ratelimit.NewWindow(3, time.Hour))
	d := m.Take(2)
	fmt.Println(d.Allowed, d.Limit, d.Remaining)
	// Output: true 3 1
}

func ExampleMultiLimiter_Reserve() {
	m := ratelimit.Multi(ratelimit.NewLimiter(10, 10), ratelimit.NewWindow(1, time.Hour))
	fmt.Println(m.Reserve().Delay(), m.Reserve().Delay().Round(time.Minute))
	// Output: 0s 1h0m0s
}

func ExampleMultiLimiter_ReserveN() {
	m := ratelimit.Multi(ratelimit.NewLimiter(10, 5), ratelimit.NewLimiter(1, 8))
	fmt.Println(m.ReserveN(midnight, 6).OK())
	m.ReserveN(midnight, 5)
	fmt.Println(m.ReserveN(midnight, 5).DelayFrom(midnight))
	// Output:
	// false
	// 2s
}

func ExampleMultiLimiter_Wait() {
	m := ratelimit.Multi(ratelimit.NewLimiter(100, 1), ratelimit.NewWindow(2, time.Hour))
	fmt.Println(m.Wait(context.Background()), m.Wait(context.Background()))
	// Output: <nil> <nil>
}

func ExampleMultiLimiter_WaitN() {
	m := ratelimit.Multi(ratelimit.NewLimiter(100, 10), ratelimit.NewWindow(2, time.Hour))
	fmt.Println(errors.Is(m.WaitN(context.Background(), 3), ratelimit.ErrBurst))
	// Output: true
}

func ExampleMultiLimiter_WaitPriority() {
	m := ratelimit.Multi(ratelimit.NewLimiter(100, 10), ratelimit.NewWindow(2, time.Hour))
	fmt.Println(m.WaitPriority(context.Background(), 2, -1))
	// Output: <nil>
}

func ExampleNewWindow() {
	w := ratelimit.NewWindow(2, time.Hour)
	begin := time.Now()
	for _, minute := range []int{0, 59, 59, 60, 118, 119} {
		fmt.Print(w.AllowN(begin.Add(time.Duration(minute)*time.Minute), 1), " ")
	}
	// Output: true true false true false true
}

func ExampleWindow_Allow() {
	w := ratelimit.NewWindow(1, time.Hour)
	fmt.Println(w.Allow(), w.Allow())
	// Output: true false
}

func ExampleWindow_AllowN() {
	w := ratelimit.NewWindow(5, time.Hour)
	fmt.Println(w.AllowN(midnight, 5), w.AllowN(midnight.Add(time.Hour), 5))
	// Output: true true
}

func ExampleWindow_Take() {
	d := ratelimit.NewWindow(5, time.Hour).Take(2)
	fmt.Println(d.Allowed, d.Remaining, d.ResetAfter)
	// Output: true 3 1h0m0s
}

func ExampleWindow_Reserve() {
	w := ratelimit.NewWindow(1, time.Hour)
	fmt.Println(w.Reserve().Delay(), w.Reserve().Delay().Round(time.Minute))
	// Output: 0s 1h0m0s
}

func ExampleWindow_ReserveN() {
	w := ratelimit.NewWindow(3, time.Hour)
	w.ReserveN(midnight, 2)
	fmt.Println(w.ReserveN(midnight, 2).DelayFrom(midnight))
	// Output: 1h0m0s
}

func ExampleWindow_Wait() {
	fmt.Println(ratelimit.NewWindow(1, time.Hour).Wait(context.Background()))
	// Output: <nil>
}

func ExampleWindow_WaitN() {
	w := ratelimit.NewWindow(2, time.Hour)
	fmt.Println(w.WaitN(context.Background(), 2), errors.Is(w.WaitN(context.Background(), 3), ratelimit.ErrBurst))
	// Output: <nil> true
}

func ExampleWindow_Pause() {
	w := ratelimit.NewWindow(2, time.Hour)
	w.Pause(time.Now().Add(time.Minute))
	fmt.Println(w.Allow())
	// Output: false
}

func ExampleWindow_N() {
	fmt.Println(ratelimit.NewWindow(500, time.Hour).N())
	// Output: 500
}

func ExampleWindow_Per() {
	fmt.Println(ratelimit.NewWindow(500, time.Hour).Per())
	// Output: 1h0m0s
}

func ExampleReader() {
	l := ratelimit.NewLimiter(1<<20, 64<<10) // a MiB a second
	r := ratelimit.Reader(context.Background(), strings.NewReader("slow and steady"), l)
	all, err := io.ReadAll(r)
	fmt.Println(string(all), err)
	// Output: slow and steady <nil>
}

func ExampleWriter() {
	var out bytes.Buffer
	w := ratelimit.Writer(context.Background(), &out, ratelimit.NewLimiter(1<<20, 4))
	n, err := io.WriteString(w, "slow and steady")
	fmt.Println(n, err, out.String())
	// Output: 15 <nil> slow and steady
}

func ExampleSometimes() {
	sometimes := ratelimit.Sometimes{First: 2, Every: 5}
	for i := range 12 {
		sometimes.Do(func() { fmt.Print(i, " ") })
	}
	fmt.Println()
	// Output: 0 1 5 10
}

func ExampleSometimes_Do() {
	var once ratelimit.Sometimes
	for range 3 {
		once.Do(func() { fmt.Println("the zero value does it once") })
	}
	// Output: the zero value does it once
}

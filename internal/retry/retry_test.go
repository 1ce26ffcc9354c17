package retry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/result"
)

var errRefused = errors.New("refused")

// busyError is an error of another package that asks for a wait.
type busyError struct{ after time.Duration }

func (busyError) Error() string               { return "busy" }
func (e busyError) RetryAfter() time.Duration { return e.after }

func TestRetryDecisions(t *testing.T) {
	always := func(error) bool { return true }
	// Without randomness the waits are known.
	plain := Policy{Attempts: 4, Base: time.Second, Cap: 3 * time.Second, Steady: 1}
	withIf := plain
	withIf.If = always
	onlyEOF := plain
	onlyEOF.If = func(err error) bool { return errors.Is(err, io.EOF) }
	fast := Policy{Attempts: 1000, Steady: 1}
	const never = -1

	for _, tt := range []struct {
		name   string
		policy Policy
		err    error
		made   int
		want   time.Duration
	}{
		{"first failure", plain, errRefused, 1, time.Second},
		{"doubled", plain, errRefused, 2, 2 * time.Second},
		{"capped", plain, errRefused, 3, 3 * time.Second},
		{"attempts used up", plain, errRefused, 4, never},
		{"attempts exceeded", plain, errRefused, 5, never},
		{"one attempt", Policy{Attempts: 1}, errRefused, 1, never},
		{"default base", fast, errRefused, 1, 100 * time.Millisecond},
		{"default base, doubled", fast, errRefused, 3, 400 * time.Millisecond},
		{"default cap", fast, errRefused, 8, 10 * time.Second},
		{"as many doublings as there are bits", fast, errRefused, 64, 10 * time.Second},
		{"many doublings", fast, errRefused, 999, 10 * time.Second},

		{"canceled", plain, context.Canceled, 1, never},
		{"canceled inside", plain, fmt.Errorf("get: %w", context.Canceled), 1, never},
		{"canceled, but If decides", withIf, context.Canceled, 1, time.Second},
		{"deadline exceeded", plain, context.DeadlineExceeded, 1, time.Second},
		{"If says yes", onlyEOF, fmt.Errorf("get: %w", io.EOF), 1, time.Second},
		{"If says no", onlyEOF, errRefused, 1, never},

		{"panic", withIf, &result.PanicError{Value: "bug"}, 1, never},
		{"panic inside", withIf, fmt.Errorf("get: %w", &result.PanicError{Value: errRefused}), 1, never},
		{"Goexit", withIf, engine.ErrGoexit, 1, never},
		{"Goexit inside", withIf, fmt.Errorf("get: %w", engine.ErrGoexit), 1, never},
		{"permanent", withIf, Permanent(errRefused), 1, never},
		{"permanent inside", withIf, fmt.Errorf("get: %w", Permanent(errRefused)), 1, never},
		{"permanent beside another", withIf, errors.Join(errRefused, Permanent(io.EOF)), 1, never},

		{"asked to wait", plain, After(errRefused, 90*time.Second), 1, 90 * time.Second},
		{"asked inside", plain, fmt.Errorf("get: %w", After(errRefused, time.Minute)), 3, time.Minute},
		{"asked to come at once", plain, After(errRefused, 0), 3, 0},
		{"asked to have come", plain, After(errRefused, -time.Second), 2, 0},
		{"asked by another package", plain, fmt.Errorf("get: %w", busyError{time.Hour}), 1, time.Hour},
		{"asked twice", plain, After(busyError{time.Hour}, time.Minute), 1, time.Minute},
		{"asked, attempts used up", plain, After(errRefused, time.Second), 4, never},
		{"asked, If says no", onlyEOF, After(errRefused, time.Second), 1, never},
		{"asked, canceled", plain, After(context.Canceled, time.Second), 1, never},
		{"asked, but permanent", plain, After(Permanent(errRefused), time.Second), 1, never},
		{"permanent, but asked", plain, Permanent(After(errRefused, time.Second)), 1, never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Empty(t, tt.policy.Complaint())
			wait, final := New(tt.policy).Next(tt.err, tt.made)
			if tt.want == never {
				assert.Equal(t, tt.err, final)
				assert.Zero(t, wait)
			} else {
				require.NoError(t, final)
				assert.Equal(t, tt.want, wait)
			}
		})
	}
}

func TestIfIsAskedOnlyWhenItMatters(t *testing.T) {
	asked := 0
	r := New(Policy{Attempts: 2, If: func(error) bool { asked++; return true }})
	for made, err := range map[int]error{2: errRefused, 1: Permanent(errRefused), 0: engine.ErrGoexit} {
		_, final := r.Next(err, max(made, 1))
		assert.ErrorIs(t, final, err)
	}
	assert.Zero(t, asked)
	_, _ = r.Next(errRefused, 1)
	assert.Equal(t, 1, asked)
}

func TestRetryErrorsAreWhatTheyWrap(t *testing.T) {
	for name, wrap := range map[string]func(error) error{
		"Permanent":  Permanent,
		"RetryAfter": func(err error) error { return After(err, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, wrap(nil), "no error stays none")
			err := wrap(fmt.Errorf("get: %w", busyError{time.Hour}))
			require.EqualError(t, err, "get: busy")
			require.ErrorIs(t, err, busyError{time.Hour})
			var busy busyError
			require.ErrorAs(t, err, &busy)
		})
	}
	asks, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](fmt.Errorf("get: %w", After(errRefused, -time.Second)))
	require.True(t, ok, "others can ask it")
	assert.Equal(t, -time.Second, asks.RetryAfter(), "as it was given")
}

// "The wait is random between 0 and a bound", of which Steady is a share.
func TestWaitsAreBounded(t *testing.T) {
	for _, policy := range []Policy{
		{},
		{Steady: 0.5},
		{Steady: 1},
		{Base: 1, Cap: 3},
		{Base: 7 * time.Millisecond, Cap: 7 * time.Millisecond, Steady: 0.25},
		{Base: math.MaxInt64, Cap: math.MaxInt64},
		{Base: 1, Cap: math.MaxInt64, Steady: math.SmallestNonzeroFloat64},
		{Base: math.MaxInt64 - 1, Cap: math.MaxInt64, Steady: math.Nextafter(1, 0)},
		{Base: 3, Cap: math.MaxInt64, Steady: 1},
	} {
		policy.Attempts = math.MaxInt
		require.Empty(t, policy.Complaint())
		r := New(policy)
		bound := r.policy.Base
		for made := 1; made < 200; made++ {
			least := math.Floor(float64(bound) * policy.Steady * (1 - 1e-9))
			for range 20 {
				wait, final := r.Next(errRefused, made)
				require.NoError(t, final)
				require.LessOrEqual(t, wait, bound, "%+v after %d calls", policy, made)
				require.GreaterOrEqual(t, float64(wait), least, "%+v after %d calls", policy, made)
				require.GreaterOrEqual(t, wait, time.Duration(0))
			}
			if bound > r.policy.Cap/2 {
				bound = r.policy.Cap
			} else {
				bound *= 2
			}
		}
		_, final := r.Next(errRefused, math.MaxInt-1)
		require.NoError(t, final)
	}
}

// Of 1000 draws some come near either end: each misses a tenth of the range with
// a chance of 0.9, all of them with one below 1e-45.
func TestJitterUsesItsRange(t *testing.T) {
	for _, steady := range []float64{0, 0.5} {
		r := New(Policy{Attempts: 2, Base: time.Second, Steady: steady})
		least, most, sum := time.Hour, time.Duration(0), time.Duration(0)
		for range 1000 {
			wait, _ := r.Next(errRefused, 1)
			least, most, sum = min(least, wait), max(most, wait), sum+wait
		}
		low := time.Duration(steady * float64(time.Second))
		assert.InDelta(t, low, least, float64(time.Second-low)/10)
		assert.InDelta(t, time.Second, most, float64(time.Second-low)/10)
		assert.InDelta(t, (low+time.Second)/2, sum/1000, float64(time.Second-low)/10)
	}
}

// granted says how many retries the budget grants in a row.
func granted(r *Retrier) int {
	n := 0
	for n < 1000 {
		if _, final := r.Next(errRefused, 1); final != nil {
			break
		}
		n++
	}
	return n
}

func TestBudget(t *testing.T) {
	begin := func(r *Retrier, inputs int) {
		for range inputs {
			r.First()
		}
	}
	t.Run("none is no bound", func(t *testing.T) {
		assert.Equal(t, 1000, granted(New(Policy{Attempts: 2})))
	})
	t.Run("reserve", func(t *testing.T) {
		assert.Equal(t, 10, granted(New(Policy{Attempts: 2, Budget: 0.1})))
	})
	t.Run("earned by inputs", func(t *testing.T) {
		r := New(Policy{Attempts: 2, Budget: 0.1})
		require.Equal(t, 10, granted(r))
		for range 50 {
			begin(r, 9)
			require.Zero(t, granted(r))
			begin(r, 1)
			require.Equal(t, 1, granted(r))
		}
	})
	t.Run("more than one for an input", func(t *testing.T) {
		r := New(Policy{Attempts: 9, Budget: 2.5})
		begin(r, 4)
		assert.Equal(t, 20, granted(r))
	})
	t.Run("no more than 100 are kept", func(t *testing.T) {
		for _, budget := range []float64{0.1, 1, 99.7, 1e9, math.MaxFloat64} {
			r := New(Policy{Attempts: 2, Budget: budget})
			begin(r, 10_000)
			assert.Equal(t, 100, granted(r), "budget %v", budget)
		}
	})
	t.Run("less than is counted", func(t *testing.T) {
		r := New(Policy{Attempts: 2, Budget: 1e-9})
		begin(r, 1000)
		assert.Equal(t, 10, granted(r))
	})
	t.Run("a refusal costs nothing", func(t *testing.T) {
		r := New(Policy{Attempts: 2, Budget: 0.1})
		for range 100 {
			_, _ = r.Next(errRefused, 2)
			_, _ = r.Next(Permanent(errRefused), 1)
			_, _ = r.Next(context.Canceled, 1)
		}
		assert.Equal(t, 10, granted(r))
	})
	t.Run("a panic of the user's code costs nothing", func(t *testing.T) {
		bug := true
		r := New(Policy{Attempts: 2, Budget: 0.1, If: func(error) bool {
			if bug {
				panic("bug")
			}
			return true
		}})
		assert.Panics(t, func() { _, _ = r.Next(errRefused, 1) })
		bug = false
		assert.Panics(t, func() { _, _ = r.Next((*panickyError)(nil), 1) })
		assert.Equal(t, 10, granted(r))
	})
	t.Run("asked to wait costs as well", func(t *testing.T) {
		r := New(Policy{Attempts: 2, Budget: 0.1})
		for range 10 {
			_, final := r.Next(After(errRefused, 0), 1)
			require.NoError(t, final)
		}
		_, final := r.Next(After(errRefused, 0), 1)
		assert.Error(t, final)
	})
	t.Run("the error of the input says that it is empty", func(t *testing.T) {
		r := New(Policy{Attempts: 2, Budget: 0.1})
		require.Equal(t, 10, granted(r))
		_, final := r.Next(errRefused, 1)
		require.ErrorIs(t, final, errRefused)
		assert.EqualError(t, final, "refused; no retry: the retry budget is empty")
	})
}

// panickyError panics when it is asked for a wait.
type panickyError struct{ after time.Duration }

func (*panickyError) Error() string               { return "panicky" }
func (e *panickyError) RetryAfter() time.Duration { return e.after }

// No credit is lost and none is granted twice: 320 inputs earn 80, and 10 were there.
func TestBudgetIsExactUnderConcurrency(t *testing.T) {
	for range 50 {
		r := New(Policy{Attempts: 2, Budget: 0.25})
		var yes atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 40 {
					r.First()
					if _, final := r.Next(errRefused, 1); final == nil {
						yes.Add(1)
					}
				}
			})
		}
		all.Wait()
		require.Equal(t, 90, int(yes.Load())+granted(r))
		require.Zero(t, r.credit.Load())
	}
}

func TestRetrySleep(t *testing.T) {
	r := New(Policy{Attempts: 2})
	// slept returns how long it took, in the bubble's time.
	slept := func(ctx context.Context, d time.Duration) (time.Duration, error) {
		start := time.Now()
		err := r.Sleep(ctx, d)
		return time.Since(start), err
	}
	for _, tt := range []struct {
		name    string
		cut     time.Duration // when the context ends; below 0: never
		d, want time.Duration
		err     error
	}{
		{"to its end", -1, time.Minute, time.Minute, nil},
		{"to its end in time", time.Hour, time.Minute, time.Minute, nil},
		{"cut", time.Second, time.Minute, time.Second, errRefused},
		{"cut before", 0, time.Minute, 0, errRefused},
		{"nothing to sleep", -1, 0, 0, nil},
		{"less than nothing", -1, -time.Second, 0, nil},
		{"nothing to sleep, cut before", 0, 0, 0, errRefused},
		{"less than nothing, cut before", 0, -time.Second, 0, errRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.cut >= 0 {
					var stop context.CancelFunc
					ctx, stop = context.WithTimeoutCause(ctx, tt.cut, errRefused)
					defer stop()
				}
				took, err := slept(ctx, tt.d)
				assert.Equal(t, tt.want, took)
				assert.Equal(t, tt.err, err)
			})
		})
	}
}

func TestPolicyComplaint(t *testing.T) {
	for _, tt := range []struct {
		policy Policy
		want   string
	}{
		{Policy{}, "Retry: Attempts 0: want at least 1"},
		{Policy{Attempts: -3}, "Retry: Attempts -3: want at least 1"},
		{Policy{Attempts: 2, Base: -1}, "Retry: Base -1ns: want at least 0"},
		{Policy{Attempts: 2, Cap: -time.Second}, "Retry: Cap -1s: want at least 0"},
		{Policy{Attempts: 2, Base: 2 * time.Second, Cap: time.Second}, "Retry: Cap 1s is below Base 2s"},
		{Policy{Attempts: 2, Cap: time.Millisecond}, "Retry: Cap 1ms is below Base 100ms"},
		{Policy{Attempts: 2, Steady: -0.1}, "Retry: Steady -0.1: want 0 to 1"},
		{Policy{Attempts: 2, Steady: 1.5}, "Retry: Steady 1.5: want 0 to 1"},
		{Policy{Attempts: 2, Steady: math.NaN()}, "Retry: Steady NaN: want 0 to 1"},
		{Policy{Attempts: 2, Steady: math.Inf(1)}, "Retry: Steady +Inf: want 0 to 1"},
		{Policy{Attempts: 2, Budget: -1}, "Retry: Budget -1: want at least 0, and finite"},
		{Policy{Attempts: 2, Budget: math.NaN()}, "Retry: Budget NaN: want at least 0, and finite"},
		{Policy{Attempts: 2, Budget: math.Inf(1)}, "Retry: Budget +Inf: want at least 0, and finite"},
	} {
		assert.Equal(t, tt.want, tt.policy.Complaint())
	}
	for _, policy := range []Policy{
		{Attempts: 1},
		{Attempts: 2, Base: time.Minute},
		{Attempts: math.MaxInt, Base: 10 * time.Second, Steady: 1, Budget: math.MaxFloat64},
		{Attempts: 2, Base: 1, Cap: 1, Steady: math.SmallestNonzeroFloat64, Budget: math.SmallestNonzeroFloat64},
		{Attempts: 2, Cap: 100 * time.Millisecond},
	} {
		assert.Empty(t, policy.Complaint())
	}
}

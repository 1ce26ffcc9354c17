package pipeline_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/result"
)

// What users hand in can fail in many ways, and for each of them the package says what
// happens. Those that are not here stand with what they are about:
//
//   - Goexit on the caller's goroutine: TestGoexitOnTheCallersGoroutineEndsIt;
//   - a source that panics: TestASourceThatPanics, and one of each other kind in reader_test.go;
//   - a body that panics: TestAPanicInTheBodyGoesOnAsItIs;
//   - a limit that panics, refuses or never returns: TestALimitThatPanicsAtTheEnd,
//     TestALimitThatPanicsIsNotWaitedFor, TestALimitThatDoesNotReturn;
//   - a Progress that panics or never returns: TestProgressThatDoesNotReturn;
//   - a pool that is closed under a flow: TestThroughAPoolThatIsClosedMeanwhile.

// ills are the ways for a function to fail that tests of errors alone do not have.
var ills = map[string]struct {
	do   func() error
	want func(err error) bool
}{
	"panic with nil": {
		func() error { panic(nil) },
		func(err error) bool {
			_, ok := errors.AsType[*runtime.PanicNilError](err)
			return ok
		},
	},
	"panic with an error": {func() error { panic(errBoom) }, func(err error) bool { return errors.Is(err, errBoom) }},
	"runtime error": {
		func() error {
			var none map[int]int
			none[1] = 1 //nolint:staticcheck // that is what is tried
			return nil
		},
		func(err error) bool {
			_, ok := errors.AsType[runtime.Error](err)
			return ok
		},
	},
	"panic in a deferred call": {
		func() (err error) {
			defer func() { panic(errBoom) }()
			return nil
		},
		func(err error) bool { return errors.Is(err, errBoom) },
	},
	"panic in a panic": {
		func() error {
			defer func() { panic(errBoom) }()
			panic("first")
		},
		func(err error) bool { return errors.Is(err, errBoom) },
	},
}

// Each is a PanicError in the StageError of its input, however the stage runs, and the stages
// around it go on in Results.
func TestIllsOfAFunction(t *testing.T) {
	for name, ill := range ills {
		for _, s := range stages {
			testkit.Bubble(t, func(t *testing.T) {
				f := pipeline.Map(pipeline.From(upTo(10)).Buffer(4), func(_ context.Context, v int) (int, error) {
					if v == 5 {
						return 0, ill.do()
					}
					return v, nil
				}, append(s.opts, pipeline.Named("ill"))...)
				check := func(err error) {
					var at *pipeline.StageError
					var caught *result.PanicError
					require.ErrorAs(t, err, &at, "%s, %s", name, s.name)
					assert.Equal(t, "ill", at.Stage)
					assert.Equal(t, 5, at.Index)
					assert.ErrorAs(t, at.Err, &caught, "%s, %s", name, s.name)
					assert.True(t, ill.want(err), "%s, %s: %v", name, s.name, err)
				}
				check(f.Run(t.Context()))
				fine := 0
				for r := range f.Results(t.Context()) {
					if r.Err == nil {
						fine++
						continue
					}
					check(r.Err)
					assert.Equal(t, result.Panicked, r.Status())
				}
				assert.Equal(t, 9, fine, "%s, %s", name, s.name)
			})
		}
	}
}

// "A seq that goes on behind false" panics, by the rules of package iter; the run was through
// with it, so that this is of no interest.
func TestASourceThatYieldsAfterFalse(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			goesOn := false
			f := pipeline.Map(pipeline.From(func(yield func(int) bool) {
				for i := 0; ; i++ {
					if !yield(i) {
						goesOn = true
						yield(i + 1)
					}
				}
			}), same, s.opts...).Take(3)
			got, err := f.Collect(t.Context())
			assert.NoError(t, err, s.name)
			assert.Len(t, got, 3, s.name)
			assert.True(t, goesOn)
			for range f.Results(t.Context()) {
				break
			}
		})
	}
}

// endless is a context that cannot end, as context.Background is, but of a type of the user's.
type endless struct{ context.Context }

func (endless) Done() <-chan struct{}       { return nil }
func (endless) Err() error                  { return nil }
func (endless) Deadline() (time.Time, bool) { return time.Time{}, false }

// A context whose Done is nil does not end a run, which ends as ever.
func TestAContextWithoutADone(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, ctx := range []context.Context{context.Background(), endless{context.Background()}} {
		for _, s := range stages {
			f := pipeline.Map(pipeline.From(upTo(100)), same, s.opts...)
			got, err := f.Collect(ctx)
			assert.NoError(t, err, s.name)
			assert.Len(t, got, 100, s.name)
			for range f.Results(ctx) {
				break
			}
			assert.ErrorIs(t, pipeline.Map(f, failAt(7)).Run(ctx), errBoom, s.name)
		}
	}
}

// A function that does not return is waited for: the terminal returns the cause behind it.
func TestAFunctionThatNeverReturns(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			gate := make(chan struct{})
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- pipeline.Map(pipeline.From(upTo(3)), func(_ context.Context, v int) (int, error) {
					<-gate
					return v, nil
				}, append(s.opts, pipeline.Timeout(time.Minute))...).Run(ctx)
			}()
			synctest.Wait()
			cancel(errStop)
			time.Sleep(time.Hour)
			assert.Empty(t, done, "%s: it has returned while the call runs", s.name)
			close(gate)
			assert.Equal(t, errStop, <-done, s.name)
		})
	}
}

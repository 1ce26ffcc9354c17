package pipeline_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/result"
)

// script is a reader that gives what each of its reads is to give.
type script []struct {
	text string
	err  error
}

func (s *script) Read(p []byte) (int, error) {
	if len(*s) == 0 {
		return 0, io.EOF
	}
	first := (*s)[0]
	*s = (*s)[1:]
	return copy(p, first.text), first.err
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"\n", []string{""}},
		{"\r\n", []string{""}},
		{"a", []string{"a"}},
		{"a\n", []string{"a"}},
		{"a\n\n\nb", []string{"a", "", "", "b"}},
		{"a\r\nb\r\n", []string{"a", "b"}},
		{"a\rb\r\r\n", []string{"a\rb\r"}},
		{"a\r", []string{"a"}},
		{"\n\n", []string{"", ""}},
		{"\xff\x00\n\u2028\n", []string{"\xff\x00", "\u2028"}},
		{long + "\n" + long + "\r\n" + long, []string{long, long, long}}, // the default limit, to the byte
	} {
		for name, r := range map[string]io.Reader{
			"plain":      strings.NewReader(tt.text),
			"data, EOF":  iotest.DataErrReader(strings.NewReader(tt.text)),
			"half reads": iotest.HalfReader(strings.NewReader(tt.text)),
		} {
			got, err := pipeline.Lines(r).Collect(t.Context())
			require.NoError(t, err)
			require.True(t, equalLines(tt.want, got), "%.20q, %s: %.99q", tt.text, name, got)
		}
	}
}

// equalLines compares without writing megabytes to the log.
func equalLines(want, got []string) bool {
	return strings.Join(want, "\n") == strings.Join(got, "\n") && len(want) == len(got)
}

// The limit is that of a line without its end, to the byte.
func TestTheLimitOfLines(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 10, 4095, 4096, 4097, 9000} {
		for _, end := range []string{"\n", "\r\n", ""} {
			for _, reader := range []func(io.Reader) io.Reader{
				func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader,
			} {
				fits := strings.Repeat("x", limit)
				before := "a\n" + fits + "\r\n"
				got, err := pipeline.Lines(reader(strings.NewReader(before+fits+end)), limit).Collect(t.Context())
				require.NoError(t, err, "limit %d, %q", limit, end)
				require.True(t, equalLines([]string{"a", fits, fits}, got), "limit %d, %q", limit, end)

				for _, more := range []int{1, 2, 3, 4, 900} {
					text := before + fits + strings.Repeat("x", more) + end + "b\n"
					if end == "" {
						text = strings.TrimSuffix(text, "b\n")
					}
					all := outcomes(pipeline.Lines(reader(strings.NewReader(text)), limit).Results(t.Context()))
					require.Len(t, all, 3, "limit %d, %q, %d more", limit, end, more)
					require.Equal(t, outcome[string]{2, "", fmt.Sprintf("pipeline: stage lines: input 2: line longer than %d bytes", limit)}, all[2])
				}
			}
		}
	}
	err := pipeline.Lines(strings.NewReader("abc"), 2).Run(t.Context())
	assert.ErrorIs(t, err, bufio.ErrTooLong)
	got, err := pipeline.Lines(strings.NewReader("abc\n"), math.MaxInt).Collect(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"abc"}, got)
	err = pipeline.Lines(strings.NewReader(strings.Repeat("x", 1<<20+1))).Run(t.Context())
	assert.ErrorIs(t, err, bufio.ErrTooLong, "the default")
}

// An error of the reader comes behind the whole lines that were there before it: half a
// line is none. A reader that gives nothing for a while is borne with, for good it is not.
func TestAReaderThatFails(t *testing.T) {
	nothing := script{{"", nil}, {"", nil}, {"", nil}}
	for name, tt := range map[string]struct {
		reads script
		want  []outcome[string]
	}{
		"with the data": {
			script{{"a\nb\nhal", errBoom}},
			[]outcome[string]{{0, "a", ""}, {1, "b", ""}, {2, "", "pipeline: stage lines: input 2: boom"}},
		},
		"behind the data": {
			script{{"a\nhal", nil}, {"", errBoom}},
			[]outcome[string]{{0, "a", ""}, {1, "", "pipeline: stage lines: input 1: boom"}},
		},
		"at the end of a line": {
			script{{"a\n", errBoom}},
			[]outcome[string]{{0, "a", ""}, {1, "", "pipeline: stage lines: input 1: boom"}},
		},
		"an unexpected end": {
			script{{"a\nhal", io.ErrUnexpectedEOF}},
			[]outcome[string]{{0, "a", ""}, {1, "", "pipeline: stage lines: input 1: unexpected EOF"}},
		},
		"at once":             {script{{"", errBoom}}, []outcome[string]{{0, "", "pipeline: stage lines: input 0: boom"}}},
		"nothing for a while": {append(append(script{{"a", nil}}, nothing...), script{{"b\nc", nil}}...), []outcome[string]{{0, "ab", ""}, {1, "c", ""}}},
		"nothing for good": {
			append(script{{"a\nhal", nil}}, make(script, 200)...),
			[]outcome[string]{{0, "a", ""}, {1, "", "pipeline: stage lines: input 1: " + io.ErrNoProgress.Error()}},
		},
	} {
		again := append(script{}, tt.reads...)
		assert.Equal(t, tt.want, outcomes(pipeline.Lines(&tt.reads).Results(t.Context())), name)
		got, err := pipeline.Lines(&again).Collect(t.Context())
		if tt.want[len(tt.want)-1].Err != "" {
			assert.EqualError(t, err, tt.want[len(tt.want)-1].Err, name)
			assert.Nil(t, got, name)
		}
	}
}

// A reader that panics, or ends its goroutine, is a failure of the source.
func TestAReaderThatDoesNotReturn(t *testing.T) {
	pipelinetest.NoLeak(t)
	for name, end := range map[string]pipelinetest.Fault{"panic: no": pipelinetest.Panic("no"), pipeline.ErrGoexit.Error(): pipelinetest.Goexit()} {
		read := readerFunc(func(p []byte) (int, error) { return 0, end(t.Context()) })
		f := pipeline.Lines(io.MultiReader(strings.NewReader("a\nb"), read)).Named("log").Buffer(1)
		assert.Equal(t, []outcome[string]{{0, "a", ""}, {1, "", "pipeline: stage log: input 1: " + name}},
			outcomes(f.Results(t.Context())))
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A run that is over has no use for an error of the reader that it has not come to.
func TestLinesThatAreLeftBeforeAnError(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	f := pipeline.Lines(&script{{"a\nb\nc", errBoom}})
	var got []outcome[string]
	for r := range f.Results(ctx) {
		got = append(got, outcome[string]{r.Index, r.Value, fmt.Sprint(r.Err)})
		cancel(errStop)
	}
	assert.Equal(t, []outcome[string]{{0, "a", "<nil>"}}, got)

	drain, stop := context.WithCancel(t.Context())
	defer stop()
	f = pipeline.Lines(&script{{"a\nb\nc", errBoom}}).Tap(func(string) { stop() })
	lines, err := f.Collect(t.Context(), pipeline.Drain(drain))
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, lines)
}

// usedSources are those that serve one run. Each has three values and then waits for release.
func usedSources(release <-chan struct{}) map[string]pipeline.Flow[int] {
	c := make(chan int)
	go func() {
		defer close(c)
		for i := range 3 {
			c <- i
		}
		<-release
	}()
	n := -1
	next := func(context.Context) (int, error) {
		if n++; n == 3 {
			<-release
			return 0, io.EOF
		}
		return n, nil
	}
	wait := readerFunc(func([]byte) (int, error) {
		<-release
		return 0, io.EOF
	})
	lines := pipeline.Lines(io.MultiReader(strings.NewReader("0\n1\n2\n"), wait))
	return map[string]pipeline.Flow[int]{
		"chan":  pipeline.FromChan(c),
		"func":  pipeline.FromFunc(next),
		"lines": pipeline.Map(lines, func(_ context.Context, s string) (int, error) { return int(s[0] - '0'), nil }),
	}
}

// Of several runs one has the values, and all others the error, whether they come at the
// same time or later, and also through another flow upon the source.
func TestASourceForOneRun(t *testing.T) {
	pipelinetest.NoLeak(t)
	release := make(chan struct{})
	for name, f := range usedSources(release) {
		var served, refused atomic.Int64
		var all, early sync.WaitGroup
		early.Add(7)
		for i := range 8 {
			flow := f
			if i%2 == 0 {
				flow = f.Named("other").Buffer(2)
			}
			all.Go(func() {
				got, err := flow.Collect(t.Context())
				if err == nil {
					served.Add(1)
					assert.Equal(t, []int{0, 1, 2}, got, name)
					return
				}
				assert.ErrorIs(t, err, pipeline.ErrSourceUsed, name)
				refused.Add(1)
				early.Done()
			})
		}
		early.Wait() // the others do not wait for the first one
		release <- struct{}{}
		all.Wait()
		assert.EqualValues(t, 1, served.Load(), name)
		assert.EqualValues(t, 7, refused.Load(), name)
		results := outcomes(f.Results(t.Context()))
		require.Len(t, results, 1, name)
		assert.Contains(t, results[0].Err, pipeline.ErrSourceUsed.Error(), name)
	}
}

// A run that was over before it began has not used the source.
func TestARunThatDoesNotReadDoesNotUseTheSource(t *testing.T) {
	release := make(chan struct{})
	close(release)
	over, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	for name, f := range usedSources(release) {
		assert.Equal(t, errStop, f.Run(over), name)
		got, err := f.Collect(t.Context(), pipeline.Drain(over))
		require.NoError(t, err, name)
		assert.Empty(t, got, name)
		got, err = f.Take(0).Collect(t.Context())
		require.NoError(t, err, name)
		assert.Empty(t, got, name)
		got, err = f.Collect(t.Context())
		require.NoError(t, err, name)
		assert.Equal(t, []int{0, 1, 2}, got, name)
	}
}

// nextOf is what FromFunc takes: it gives the values, and then the error.
func nextOf(values []int, err error) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		if len(values) == 0 {
			return -1, err
		}
		v := values[0]
		values = values[1:]
		return v, nil
	}
}

func TestFromFuncEndsWithAnError(t *testing.T) {
	for _, s := range stages {
		from := func(err error) pipeline.Flow[int] {
			return pipeline.Map(pipeline.FromFunc(nextOf([]int{5, 6}, err)), same, s.opts...)
		}
		got, err := from(io.EOF).Collect(t.Context())
		require.NoError(t, err, s.name)
		assert.ElementsMatch(t, []int{5, 6}, got, s.name)
		for _, bad := range []error{
			errBoom, io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded,
			fmt.Errorf("page 3: %w", io.EOF), &url.Error{Op: "Get", URL: "http://example.com", Err: io.EOF},
		} {
			for name, err := range map[string]error{
				"run": from(bad).Run(t.Context()), "drain": from(bad).Run(t.Context(), pipeline.Drain(t.Context())),
			} {
				var at *pipeline.StageError
				require.ErrorAs(t, err, &at, "%s, %s", s.name, name)
				assert.Equal(t, pipeline.StageError{Stage: "from", Index: 2, Attempts: 1, Err: bad}, *at)
			}
		}
		all := byIndex(outcomes(from(errBoom).Results(t.Context())))
		assert.Equal(t, []outcome[int]{{0, 5, ""}, {1, 6, ""}, {2, 0, "pipeline: stage from: input 2: boom"}}, all, s.name)
	}
}

// next that waits is told of each end of a run by its context; what it returns for that is
// no failure.
func TestFromFuncIsToldOfTheEnd(t *testing.T) {
	for _, asCause := range []bool{false, true} {
		for _, s := range stages {
			testkit.Bubble(t, func(t *testing.T) {
				enough := false
				from := func() pipeline.Flow[int] {
					n := 0
					return pipeline.Map(pipeline.FromFunc(func(ctx context.Context) (int, error) {
						if n++; n <= 2 {
							return n, nil
						}
						<-ctx.Done()
						if !enough {
							assert.Equal(t, errStop, context.Cause(ctx), "that of the cancel, or of the drain")
						}
						if asCause {
							return 0, fmt.Errorf("wait: %w", context.Cause(ctx))
						}
						return 0, fmt.Errorf("wait: %w", ctx.Err())
					}), same, s.opts...)
				}
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
				defer cancel()
				require.Equal(t, errStop, from().Run(ctx), "the run was cut")
				ctx, cancel = context.WithTimeoutCause(t.Context(), time.Second, errStop)
				defer cancel()
				assert.Len(t, outcomes(from().Results(ctx)), 2)

				drain, stop := context.WithTimeoutCause(t.Context(), time.Second, errStop)
				defer stop()
				start := time.Now()
				got, err := from().Collect(t.Context(), pipeline.Drain(drain))
				require.NoError(t, err, "a drained one was not")
				assert.ElementsMatch(t, []int{1, 2}, got)
				assert.Equal(t, time.Second, time.Since(start))

				enough = true
				got, err = from().Take(2).Collect(t.Context())
				require.NoError(t, err)
				assert.ElementsMatch(t, []int{1, 2}, got)
				for _, err := range from().All(t.Context()) {
					require.NoError(t, err)
					break
				}
			})
		}
	}
}

// Another error is a failure also while a run drains, and a value is passed on.
func TestWhatFromFuncReturnsWhileARunDrains(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, late := range []error{nil, errBoom, io.EOF} {
			drain, stop := context.WithTimeout(t.Context(), time.Second)
			t.Cleanup(stop)
			calls := 0
			got, err := pipeline.FromFunc(func(ctx context.Context) (int, error) {
				calls++
				<-ctx.Done()
				return 7, late
			}).Collect(t.Context(), pipeline.Drain(drain))
			assert.Equal(t, 1, calls)
			if errors.Is(late, errBoom) {
				assert.ErrorIs(t, err, errBoom)
				continue
			}
			require.NoError(t, err)
			if late == nil {
				assert.Equal(t, []int{7}, got)
			} else {
				assert.Empty(t, got)
			}
		}
	})
}

// The context of a next that ended well ends too: what was made with it goes away.
func TestTheContextOfFromFuncEndsWithTheSource(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ended := make(chan struct{})
		f := pipeline.FromFunc(func(ctx context.Context) (int, error) {
			context.AfterFunc(ctx, func() { close(ended) })
			return 0, io.EOF
		})
		// The run goes on behind it.
		total := pipeline.Map(pipeline.Reduce(f.Buffer(1), 0, sumUp), func(context.Context, int) (int, error) {
			<-ended
			return 0, nil
		})
		require.NoError(t, total.Run(t.Context()))
	})
}

// A next that panics, and one that ends its goroutine, are failures of the source.
func TestANextThatDoesNotReturn(t *testing.T) {
	pipelinetest.NoLeak(t)
	for name, end := range map[string]pipelinetest.Fault{"panic: no": pipelinetest.Panic("no"), pipeline.ErrGoexit.Error(): pipelinetest.Goexit()} {
		from := func() pipeline.Flow[int] {
			n := -1
			return pipeline.FromFunc(func(ctx context.Context) (int, error) {
				if n++; n == 2 {
					return 0, end(ctx)
				}
				return n, nil
			}).Named("queue").Buffer(1)
		}
		want := "pipeline: stage queue: input 2: " + name
		assert.EqualError(t, from().Run(t.Context()), want)
		assert.EqualError(t, from().Run(t.Context(), pipeline.Drain(t.Context())), want)
		assert.Equal(t, []outcome[int]{{0, 0, ""}, {1, 1, ""}, {2, 0, want}}, outcomes(from().Results(t.Context())))
	}
	var none *int
	err := pipeline.FromFunc(func(context.Context) (int, error) { return *none, nil }).Run(t.Context())
	var p *result.PanicError
	require.ErrorAs(t, err, &p)
	var fault runtime.Error
	assert.ErrorAs(t, err, &fault)
}

// pairs gives numbers with errors at some places.
func pairs(n int, bad ...int) func(func(int, error) bool) {
	return func(yield func(int, error) bool) {
		for i := range n {
			var err error
			for _, b := range bad {
				if i == b {
					err = errBoom
				}
			}
			if !yield(i, err) {
				return
			}
		}
	}
}

// A pair with an error fails a fail-fast run, and is one of the results of Results.
func TestPairsWithErrors(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.Map(pipeline.FromSeq2(pairs(6, 2, 5)), same, s.opts...)
		err := f.Run(t.Context())
		var at *pipeline.StageError
		require.ErrorAs(t, err, &at, s.name)
		assert.Equal(t, pipeline.StageError{Stage: "from", Index: 2, Input: 2, Attempts: 1, Err: errBoom}, *at)
		for range 2 { // as often as the sequence can
			assert.Equal(t, []outcome[int]{
				{0, 0, ""}, {1, 1, ""}, {2, 0, "pipeline: stage from: input 2: boom"}, {3, 3, ""}, {4, 4, ""},
				{5, 0, "pipeline: stage from: input 5: boom"},
			}, byIndex(outcomes(f.Results(t.Context()))), s.name)
		}
		got, err := pipeline.Map(pipeline.FromSeq2(pairs(6)), same, s.opts...).Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 6)
		got, err = pipeline.Map(pipeline.FromSeq2(pairs(6, 3)).Take(3), same, s.opts...).Collect(t.Context())
		require.NoError(t, err, "behind the third nothing is read")
		assert.Len(t, got, 3)
	}
}

// A failed pair has failed: it was not canceled. It has the value that came with the error,
// and the sequence goes on.
func TestAFailedPairIsNoCanceledOne(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		start := time.Now()
		for r := range pipeline.FromSeq2(func(yield func(int, error) bool) {
			time.Sleep(time.Second)
			yield(7, errBoom)
		}).Results(t.Context()) {
			assert.Equal(t, result.Failed, r.Status())
			assert.Equal(t, []int{7, 0, 1, -1}, []int{r.Value, r.Index, r.Attempt, r.Worker})
			assert.Equal(t, time.Second, r.Timing.Queued.Sub(start))
			assert.Zero(t, r.Timing.Wait+r.Timing.Run)
		}
	})
	var report pipeline.Report
	for range pipeline.FromSeq2(pairs(6, 2, 5)).Results(t.Context(), pipeline.ReportTo(&report)) {
	}
	stats := report.Snapshot().Stages[0]
	assert.EqualValues(t, 2, stats.Errors)
	assert.EqualValues(t, 6, stats.Out)
}

// Once the run is over, a pair with an error is as canceled as any other.
func TestAPairAfterACancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	seq := func(yield func(int, error) bool) {
		if yield(0, nil) {
			cancel(errStop)
			yield(1, errBoom)
		}
	}
	assert.Equal(t, []outcome[int]{{0, 0, ""}, {1, 1, "stop"}}, outcomes(pipeline.FromSeq2(seq).Results(ctx)))
	ctx, cancel = context.WithCancelCause(t.Context())
	defer cancel(nil)
	assert.Equal(t, errStop, pipeline.FromSeq2(seq).Run(ctx))
}

// A sequence of pairs that panics.
func TestPairsThatPanic(t *testing.T) {
	seq := func(yield func(int, error) bool) {
		_ = yield(0, nil) && yield(1, errBoom)
		panic("dry")
	}
	assert.Equal(t, []outcome[int]{
		{0, 0, ""}, {1, 1, "pipeline: stage rows: input 1: boom"}, {2, 0, "pipeline: stage rows: input 2: panic: dry"},
	}, outcomes(pipeline.FromSeq2(seq).Named("rows").Results(t.Context())))
	err := pipeline.FromSeq2(seq).Run(t.Context())
	require.ErrorIs(t, err, errBoom, "the first failure; what the sequence does when it is cut is of no interest")
	_, panicked := errors.AsType[*result.PanicError](err)
	assert.False(t, panicked)
}

// The name of a source is that of its failures, and the flow that was named keeps its own.
func TestNamesOfSources(t *testing.T) {
	plain := pipeline.FromSeq2(pairs(1, 0))
	named := plain.Named("rows")
	assert.EqualError(t, plain.Run(t.Context()), "pipeline: stage from: input 0: boom")
	assert.EqualError(t, named.Run(t.Context()), "pipeline: stage rows: input 0: boom")
	assert.Equal(t, "pipeline: from rows: Named given twice", message(func() { named.Named("again") }))
	assert.Equal(t, "pipeline: from: Named: empty name", message(func() { plain.Named("") }))
}

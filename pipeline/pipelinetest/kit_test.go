package pipelinetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// errBoom is the failure that tests inject, errStop the cause with which they cancel.
var errBoom, errStop = errors.New("boom"), errors.New("stop")

// recorder is a test whose failures are texts and whose end is a call. An example has
// only this, without a testing.TB inside.
type recorder struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()                  {}
func (r *recorder) Name() string             { return "TestRecorded" }
func (r *recorder) Context() context.Context { return context.Background() }
func (r *recorder) Cleanup(fn func())        { r.cleanups = append(r.cleanups, fn) }

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// end calls the cleanups, the last one first.
func (r *recorder) end() {
	for _, cleanup := range slices.Backward(r.cleanups) {
		cleanup()
	}
	r.cleanups = nil
}

// numbers returns the numbers below n.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// same is the function of a stage that changes nothing.
func same(_ context.Context, v int) (int, error) { return v, nil }

// is returns the predicate that holds for one number.
func is(n int) func(int) bool { return func(v int) bool { return v == n } }

// mapped returns the stage of one function.
func mapped(fn func(context.Context, int) (int, error), opts ...pipeline.StageOption) pipeline.Stage[int, int] {
	return func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, fn, opts...) }
}

// ways are those in which a stage can run.
var ways = map[string][]pipeline.StageOption{
	"fused":     nil,
	"1 worker":  {pipeline.Workers(1)},
	"4 workers": {pipeline.Workers(4)},
	"4 ordered": {pipeline.Workers(4), pipeline.Ordered()},
}

var _ testing.TB = (*recorder)(nil)

// reported is what a run says of a test that ought to pass.
func reported(stage pipeline.Stage[int, int], opts ...pipelinetest.Option) []string {
	var r recorder
	pipelinetest.Run(&r, stage, numbers(3), opts...)
	return r.failures
}

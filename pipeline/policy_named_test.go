package pipeline_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/pipeline"
)

// A flow can be named twice, each time for its own: the one that was there stays.
func TestAFlowIsNamedForItself(t *testing.T) {
	f := pipeline.Map(pipeline.From(upTo(3)), failAt(1), pipeline.Workers(1))
	a, b := f.Named("a"), f.Named("b")
	for want, flow := range map[string]pipeline.Flow[int]{
		"pipeline: stage map: input 1: boom": f,
		"pipeline: stage a: input 1: boom":   a,
		"pipeline: stage b: input 1: boom":   b,
	} {
		assert.EqualError(t, flow.Run(t.Context()), want)
	}
	assert.Equal(t, "pipeline: map a: Named given twice", message(func() { a.Named("c") }))
}

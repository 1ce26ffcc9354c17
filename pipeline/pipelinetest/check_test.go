package pipelinetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// said is a test that keeps its last failure.
type said struct {
	testing.TB
	text string
}

func (s *said) Helper()                           {}
func (s *said) Errorf(format string, args ...any) { s.text = fmt.Sprintf(format, args...) }

// A panic of the terminal that nobody ordered is Millstream's fault. No stage is known
// to bring one about, so that the outcome is made by hand.
func TestCheckOfAPanicThatNobodyOrdered(t *testing.T) {
	for text, opts := range map[string][]Option{
		"pipelinetest: Run: the terminal panicked: odd": nil,
		"": {SinkPanicsAfter(1, "odd")},
	} {
		var s said
		r := run[int, int]{config: configure(opts), family: newFamily(), out: Outcome[int]{Panic: "odd"}}
		r.check(&s)
		assert.Equal(t, text, s.text)
	}
}

func TestDescribe(t *testing.T) {
	const record = "2 @ 0x1 0x2\n# labels: {\"a\":\"b\"}\n" +
		"#\t0x1\tmain.wait[...]+0x2d\t/a b/main.go:12\n" +
		"#\t0x2\tgithub.com/millstream-go/millstream/pipeline.(*T[...]).f+0x1\t/p.go:3"
	assert.Equal(t, "2 with this stack:\nmain.wait[...]\n\t/a b/main.go:12\n"+
		"github.com/millstream-go/millstream/pipeline.(*T[...]).f\n\t/p.go:3\n\n", describe(record, inRun))
	assert.Empty(t, describe(record, []string{"main.main"}))
	assert.Empty(t, describe("", inAny))
}

// Code of a package whose name only begins like one of ours, tests included, is none.
func TestBegins(t *testing.T) {
	for name, want := range map[string][2]bool{ // in a run, in any
		"pipeline.Map[...]":                      {true, true},
		"internal/engine.(*worker[...]).Handle":  {true, true},
		"internal/engine.(*Crew[...]).work":      {false, true},
		"pool.(*Pool[...]).Submit":               {false, true},
		"pipeline_test.TestX":                    {},
		"pipeline/pipelinetest.Run[...]":         {},
		"result.Collect[...]":                    {},
		"internal/enginetest.(*worker[...]).Run": {},
	} {
		assert.Equal(t, want, [2]bool{begins(module+name, inRun), begins(module+name, inAny)}, name)
	}
}

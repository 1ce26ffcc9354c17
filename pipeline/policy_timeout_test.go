package pipeline_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/pipeline"
)

// The calls of Reduce and GroupBy have a Timeout, too.
func TestTimeoutOfAReduceAndAGroupBy(t *testing.T) {
	for _, k := range policiedKinds {
		if k.name != "reduce" && k.name != "groupby" {
			continue
		}
		called := false
		err := k.build(pipeline.From(upTo(1)), func(ctx context.Context, _ int) error {
			called = true
			_, ok := ctx.Deadline()
			assert.True(t, ok, "%s: a call with a Timeout has a deadline", k.name)
			return nil
		}, pipeline.Timeout(sec)).Run(t.Context())
		assert.NoError(t, err)
		assert.True(t, called)
	}
}

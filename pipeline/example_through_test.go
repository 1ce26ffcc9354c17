package pipeline_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// A service has one pool for all its requests to another service, and a flow shares it with
// the other callers.
func ExampleThrough() {
	price := func(_ context.Context, symbol string) (int, error) { return 100 * len(symbol), nil }
	prices := pool.New(price, pool.Workers(4))
	defer prices.Close()

	symbols := pipeline.FromSlice([]string{"A", "BB", "CCC"})
	all, err := pipeline.Through(symbols, prices).Collect(context.Background())
	slices.Sort(all) // they come as the calls end
	fmt.Println(all, err)

	// Where order matters, the pool's Do is the function of a stage.
	all, err = pipeline.Map(symbols, prices.Do, pipeline.Workers(4), pipeline.Ordered()).Collect(context.Background())
	fmt.Println(all, err)
	// Output:
	// [100 200 300] <nil>
	// [100 200 300] <nil>
}

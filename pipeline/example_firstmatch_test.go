package pipeline_test

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/millstream-go/millstream/pipeline"
)

// Stop at the first match: search an endless sequence with four workers for the
// first number whose hash starts with a zero byte. Leaving the loop ends the source
// and the calls in flight, and waits for them.
func Example_stopAtTheFirstMatch() {
	candidates := pipeline.From(func(yield func(int) bool) {
		for n := 0; yield(n); n++ {
		}
	})
	type hashed struct {
		n   int
		sum [sha256.Size]byte
	}
	hashes := pipeline.Map(candidates, func(_ context.Context, n int) (hashed, error) {
		return hashed{n, sha256.Sum256(fmt.Append(nil, n))}, nil
	}, pipeline.Workers(4), pipeline.Ordered()) // Ordered: the first by number, not by luck

	for h, err := range hashes.All(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if h.sum[0] == 0 {
			fmt.Printf("%d: %x\n", h.n, h.sum[:4])
			break
		}
	}
	// Output: 286: 00328ce5
}

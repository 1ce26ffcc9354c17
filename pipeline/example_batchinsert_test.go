package pipeline_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/millstream-go/millstream/pipeline"
)

// store takes rows in bulk, as databases prefer.
type store struct {
	mu      sync.Mutex
	rows    int
	inserts int
}

func (s *store) insert(_ context.Context, rows []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows += len(rows)
	s.inserts++
	return nil
}

// Insert incoming rows into a store, a hundred at a time, on two connections. A row waits
// at most 50 milliseconds for others.
func Example_insertIntoAStoreInBatches() {
	events := make(chan int)
	go func() {
		defer close(events)
		for i := range 250 {
			events <- i
		}
	}()
	rows := pipeline.Map(pipeline.FromChan(events), func(_ context.Context, event int) (string, error) {
		return fmt.Sprintf("event %d", event), nil
	})
	var s store
	err := pipeline.Batch(rows, 100, 50*time.Millisecond).
		ForEach(context.Background(), s.insert, pipeline.Workers(2), pipeline.Named("insert"))
	fmt.Println(s.rows, "rows in a few inserts:", s.inserts < 50, err)
	// Output: 250 rows in a few inserts: true <nil>
}

package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/millstream-go/millstream/pipeline"
)

// Each order is written into the ledger, and the large ones are also reported.
func ExampleBroadcast() {
	type order struct {
		id    string
		cents int
	}
	orders := pipeline.FromSlice([]order{{"a", 200}, {"b", 99000}, {"c", 3500}})

	ledger := func(f pipeline.Flow[order]) pipeline.Flow[string] {
		return pipeline.Map(f, func(_ context.Context, o order) (string, error) { return "ledger " + o.id, nil })
	}
	alerts := func(f pipeline.Flow[order]) pipeline.Flow[string] {
		large := f.Filter(func(o order) bool { return o.cents > 50000 })
		return pipeline.Map(large, func(_ context.Context, o order) (string, error) { return "alert " + o.id, nil })
	}
	lines, err := pipeline.Broadcast(orders, ledger, alerts).Collect(context.Background())
	slices.Sort(lines) // the outputs of the two come as they are made
	fmt.Println(lines, err)
	// Output: [alert b ledger a ledger b ledger c] <nil>
}

// Small pictures are scaled one by one, large ones by many workers.
func ExampleRoute() {
	sizes := pipeline.FromSlice([]int{10, 8000, 20, 9000})
	bySize := func(size int) int {
		if size < 1000 {
			return 0
		}
		return 1
	}
	say := func(what string) func(context.Context, int) (string, error) {
		return func(_ context.Context, size int) (string, error) { return fmt.Sprint(what, " ", size), nil }
	}
	small := func(f pipeline.Flow[int]) pipeline.Flow[string] { return pipeline.Map(f, say("small")) }
	large := func(f pipeline.Flow[int]) pipeline.Flow[string] {
		return pipeline.Map(f, say("large"), pipeline.Workers(8))
	}
	done, err := pipeline.Route(sizes, bySize, small, large).Collect(context.Background())
	slices.Sort(done)
	fmt.Println(done, err)
	// Output: [large 8000 large 9000 small 10 small 20] <nil>
}

// Entries of one account are booked in order, those of different accounts concurrently.
func ExamplePartition() {
	type entry struct {
		account string
		amount  int
	}
	entries := pipeline.FromSlice([]entry{{"ann", 10}, {"bob", 5}, {"ann", -3}, {"ann", -4}, {"bob", 1}})

	var booked [2][]string // by account: what is called for one is called one after the other
	book := func(f pipeline.Flow[entry]) pipeline.Flow[entry] {
		return f.Tap(func(e entry) {
			i := strings.Index("ab", e.account[:1])
			booked[i] = append(booked[i], fmt.Sprint(e.account, " ", e.amount))
		})
	}
	byAccount := func(e entry) string { return e.account }
	err := pipeline.Partition(entries, 4, byAccount, book).Run(context.Background())
	fmt.Println(booked[0], booked[1], err)
	// Output: [ann 10 ann -3 ann -4] [bob 5 bob 1] <nil>
}

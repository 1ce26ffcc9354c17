package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/millstream-go/millstream/pipeline"
)

// pages is a service that answers page by page.
type pages struct {
	next int
	all  [][]string
}

func (p *pages) fetch(context.Context) ([]string, error) {
	if p.next == len(p.all) {
		return nil, io.EOF
	}
	p.next++
	return p.all[p.next-1], nil
}

func ExampleFromFunc() {
	users := &pages{all: [][]string{{"ada", "bob"}, {"cyd"}}}
	f := pipeline.FromFunc(users.fetch)
	fmt.Println(f.Collect(context.Background()))
	_, err := f.Collect(context.Background())
	fmt.Println(errors.Is(err, pipeline.ErrSourceUsed))
	// Output:
	// [[ada bob] [cyd]] <nil>
	// true
}

// Rows of a database come one by one, each with its read error.
func ExampleFromSeq2() {
	rows := func(yield func(string, error) bool) {
		_ = yield("ada", nil) && yield("", errors.New("bad date")) && yield("cyd", nil)
	}
	for r := range pipeline.FromSeq2(rows).Named("users").Results(context.Background()) {
		fmt.Println(r.Get())
	}
	// Output:
	// ada <nil>
	//  pipeline: stage users: input 1: bad date
	// cyd <nil>
}

func ExampleLines() {
	file := strings.NewReader("GET /\nGET /a\n\nPUT /b")
	requests := pipeline.Lines(file).Filter(func(line string) bool { return line != "" })
	fmt.Println(requests.Collect(context.Background()))

	_, err := pipeline.Lines(strings.NewReader("ok\nmuch too long\n"), 8).Collect(context.Background())
	fmt.Println(err)
	// Output:
	// [GET / GET /a PUT /b] <nil>
	// pipeline: stage lines: input 1: line longer than 8 bytes
}

// A source takes no options; Named gives it a name.
func ExampleFlow_Named() {
	orders := pipeline.FromSlice([]int{1, 2, 3}).Named("orders").Buffer(10).Named("read ahead")
	for _, stage := range orders.Plan().Stages {
		fmt.Println(stage.Kind, "is", stage.Name)
	}
	// Output:
	// from is orders
	// buffer is read ahead
	// terminal is terminal
}

// The second file is read while the first one is written: without the buffer, this write
// would wait forever.
func ExampleFlow_Buffer() {
	read := make(chan bool)
	files := pipeline.FromSlice([]string{"a", "b", "c"}).Tap(func(file string) {
		if file == "b" {
			close(read)
		}
	})
	err := files.Buffer(2).ForEach(context.Background(), func(_ context.Context, file string) error {
		if file == "a" {
			<-read
		}
		fmt.Println("wrote", file)
		return nil
	})
	fmt.Println(err)
	// Output:
	// wrote a
	// wrote b
	// wrote c
	// <nil>
}

// pace limits values to one per interval; use *rate.Limiter of golang.org/x/time instead.
type pace time.Duration

func (p pace) Wait(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(p)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ExampleFlow_Throttle() {
	mails := pipeline.FromSlice([]string{"a@example.org", "b@example.org", "c@example.org"})
	start := time.Now()
	sent, err := mails.Throttle(pace(10 * time.Millisecond)).Collect(context.Background())
	fmt.Println(len(sent), err, time.Since(start) >= 30*time.Millisecond)
	// Output: 3 <nil> true
}

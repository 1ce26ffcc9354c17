package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/millstream-go/millstream/pipeline"
)

func ExampleReportTo() {
	amounts := pipeline.Map(pipeline.FromSlice([]string{"3", "x", "5"}),
		func(_ context.Context, s string) (int, error) { return strconv.Atoi(s) },
		pipeline.Named("parse"), pipeline.Workers(2), pipeline.OnError(pipeline.Skip))

	var report pipeline.Report
	err := amounts.Run(context.Background(), pipeline.ReportTo(&report))
	for _, stage := range report.Snapshot().Stages {
		fmt.Println(stage.Name, stage.In, stage.Out, stage.Skipped)
	}
	fmt.Println(err)
	// Output:
	// from 0 3 0
	// parse 3 2 1
	// run 2 0 0
	// <nil>
}

// A report can be read from elsewhere while the run goes on, such as by a page that shows the
// state of a service.
func ExampleReport_Snapshot() {
	var report pipeline.Report
	state := func() string {
		s := report.Snapshot()
		if len(s.Stages) == 0 {
			return "not started"
		}
		return fmt.Sprintf("%d orders, done: %v", s.Stages[0].Out, s.Done)
	}

	fmt.Println(state())
	orders := pipeline.FromSlice([]string{"tea", "milk"})
	_ = orders.ForEach(context.Background(), func(context.Context, string) error {
		fmt.Println(state())
		return nil
	}, pipeline.ReportTo(&report))
	fmt.Println(state())
	// Output:
	// not started
	// 1 orders, done: false
	// 2 orders, done: false
	// 2 orders, done: true
}

// A report can be written as JSON, for a dashboard or a log.
func ExampleReport_MarshalJSON() {
	var report pipeline.Report
	_ = pipeline.FromSlice([]string{"a", "b"}).Run(context.Background(), pipeline.ReportTo(&report))

	text, err := json.Marshal(&report)
	if err != nil {
		panic(err)
	}
	var doc struct {
		Done   bool
		Stages []struct {
			Name string
			Out  int
		}
	}
	_ = json.Unmarshal(text, &doc)
	fmt.Printf("%+v\n", doc)
	// Output: {Done:true Stages:[{Name:from Out:2} {Name:run Out:0}]}
}

// Progress of a long run is shown every second, and at the end.
func ExampleProgress() {
	pages := pipeline.FromSlice([]string{"/", "/about", "/contact"})
	index := func(context.Context, string) error { return nil }

	_ = pages.ForEach(context.Background(), index, pipeline.Workers(4),
		pipeline.Progress(func(s pipeline.Snapshot) {
			last := s.Stages[len(s.Stages)-1]
			fmt.Printf("%d pages, done: %v\n", last.In, s.Done)
		}, time.Second))
	// Output: 3 pages, done: true
}

// How many requests a server can answer at once is not known beforehand. The stage starts with
// one worker and adds more for as long as they get more done.
func ExampleAuto() {
	fetch := func(_ context.Context, path string) (string, error) {
		if path == "" {
			return "", errors.New("no path")
		}
		return "page of " + path, nil
	}
	pages := pipeline.Map(pipeline.FromSlice([]string{"/", "/about"}), fetch,
		pipeline.Workers(pipeline.Auto(1, 64)), pipeline.Ordered())

	all, err := pages.Collect(context.Background())
	fmt.Printf("%q %v\n", all, err)
	// Output: ["page of /" "page of /about"] <nil>
}

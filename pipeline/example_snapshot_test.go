package pipeline_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/pipeline"
)

// slowParse is a run of three stages, of which the second is slow.
func slowParse() pipeline.Snapshot {
	return pipeline.Snapshot{
		Elapsed: 10 * time.Second, Done: true,
		Stages: []pipeline.StageStats{
			{Name: "read", Kind: "from", Group: 0, Copies: 1, Out: 52_000, Busy: 0.29, Blocked: 0.71},
			{Name: "parse", Kind: "map", From: []int{0}, Group: 1, Workers: 4, Copies: 1, In: 52_000, Out: 51_990, Errors: 10, Busy: 0.96, Starved: 0.04},
			{Name: "collect", Kind: "collect", From: []int{1}, Group: 2, Copies: 1, In: 51_990, Busy: 0.02, Starved: 0.98},
		},
	}
}

func ExampleSnapshot() {
	fmt.Println(slowParse())
	// Output:
	// done in 10s: 52,000 from the source (5,200/s), 51,990 at the end (5,199/s)
	//
	// stage        workers      in     out  errors  busy  starved  blocked  wait p50/p99  run p50/p99  peak/buffer
	// read (from)        -       -  52,000       0   29%       0%      71%             -            -            -
	// parse (map)        4  52,000  51,990      10   96%       4%       0%             -            -            -
	// collect            -  51,990       0       0    2%      98%       0%             -            -            -
	//
	// parse holds the run back: its 4 workers were busy 96% of the time, while read before it was blocked 71% and collect
	// behind it starved 98%. More workers may help.
}

func ExampleSnapshot_Bottleneck() {
	s := slowParse()
	if stage, ok := s.Bottleneck(); ok {
		fmt.Println(s.Stages[stage].Name)
	}
	// Output: parse
}

func ExampleSnapshot_Verdict() {
	s := slowParse()
	s.Stages[0].Busy, s.Stages[0].Blocked = 0.97, 0.03
	s.Stages[1].Busy, s.Stages[1].Starved = 0.05, 0.95
	fmt.Println(s.Verdict())
	// Output: The source read holds the run back: its sequence took 97% of the time, while parse behind it starved 95%. Only a faster source would help.
}

func ExampleSnapshot_MarshalJSON() {
	s := slowParse()
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	var report struct {
		Bottleneck string
		Stages     []struct {
			Name string
			Busy float64
			In   uint64
		}
	}
	fmt.Println(json.Unmarshal(text, &report))
	fmt.Printf("%+v\n", report)
	// Output:
	// <nil>
	// {Bottleneck:parse Stages:[{Name:read Busy:0.29 In:0} {Name:parse Busy:0.96 In:52000} {Name:collect Busy:0.02 In:51990}]}
}

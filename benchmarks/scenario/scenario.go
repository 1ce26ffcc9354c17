// Package scenario holds the work on which the benchmarks compare the subjects, runs a subject on it, and measures and
// checks it, in the same way for all.
package scenario

import (
	"fmt"

	"github.com/millstream-go/millstream/benchmarks/subject"
)

// Form is the way in which the inputs are handed over.
type Form string

// The forms, and what they are for.
const (
	Submit Form = "submit" // one goroutine hands in single inputs and waits for the end of all
	Map    Form = "map"    // a slice, outputs in order
	Do     Form = "do"     // goroutines that each wait for the output of one input before they hand in the next
	Flow   Form = "flow"   // stages behind each other
	Fan    Form = "fan"    // one stage: fan out from one source, fan in to one reader
	Batch  Form = "batch"  // a stage of batches
	Alone  Form = "alone"  // stages, and one item at a time on its way through them
	Ants   Form = "ants"   // the workload of ants' benchmarks
	Pond   Form = "pond"   // the workload of pond's benchmarks
)

// Forms returns the forms in the order of the report.
func Forms() []Form { return []Form{Submit, Map, Do, Flow, Fan, Batch, Alone, Ants, Pond} }

// About says what the form is, in a sentence or two.
func (f Form) About() string {
	switch f {
	case Submit:
		return "One goroutine hands single inputs to a pool of 8 workers and waits for the end of all. The function puts its output into a slice, for all subjects alike."
	case Map:
		return "The outputs of 8 workers for a slice, in order."
	case Do:
		return "From 1 and from 64 goroutines: hand in one input and wait for its output, before the next. 8 workers."
	case Flow:
		return "1, 3, 6 and 16 stages behind each other, each with 1, 4 or 8 workers of its own; in any order, and in the order of the inputs."
	case Fan:
		return "One source, 8 workers, one reader: fan out and fan in."
	case Batch:
		return "Batches of up to 100, 4 workers, one reader of what is in them."
	case Alone:
		return "Four stages of 4 workers; the next item enters when the one before has come out, so that nothing is ever full: the price of being passed on."
	case Ants:
		return "The workload of ants' own benchmarks: 1,000,000 tasks that sleep for 10 ms, capacity 50,000, one submitter. Starting and ending the pool is in the time."
	case Pond:
		return "The workload of pond's own benchmarks: 1,000,000 tasks that sleep for 10 ms, from as many users as it says, 200,000 workers at most, and a queue with room for all, where it has a bound. Starting and ending the pool is in the time."
	}
	panic("scenario: unknown form " + string(f))
}

// Scenario is one piece of work. It is a plain value.
type Scenario struct {
	Form    Form
	Work    Work
	Workers int
	Callers int // goroutines that hand in; 1 in most forms
	Stages  int
	Ordered bool
	Inputs  int // fixed number of inputs; 0: as many as fill a round
}

// large is how many tasks the workloads of others have.
const large = 1_000_000

// skewedInputs are half a second of waiting for 8 workers.
const skewedInputs = 2_000

// All returns all scenarios in the order of the report.
func All() []Scenario {
	var all []Scenario
	waiting := func(s Scenario) Scenario {
		s.Work, s.Inputs = skewedSleep, skewedInputs
		return s
	}
	for _, w := range Works() {
		all = append(all, Scenario{Form: Submit, Work: w, Workers: 8, Callers: 1, Stages: 1})
	}
	all = append(all, waiting(all[len(all)-1]))
	for _, w := range Works() {
		all = append(all, Scenario{Form: Map, Work: w, Workers: 8, Callers: 1, Stages: 1, Ordered: true})
	}
	all = append(all, waiting(all[len(all)-1]))
	for _, w := range Works() {
		for _, callers := range []int{1, 64} {
			all = append(all, Scenario{Form: Do, Work: w, Workers: 8, Callers: callers, Stages: 1})
		}
	}
	for _, w := range Works() {
		for _, ordered := range []bool{false, true} {
			for _, stages := range []int{1, 3, 6, 16} {
				for _, workers := range []int{1, 4, 8} {
					all = append(all, Scenario{Form: Flow, Work: w, Workers: workers, Callers: 1, Stages: stages, Ordered: ordered})
				}
			}
		}
	}
	for _, w := range Works() {
		all = append(all, Scenario{Form: Fan, Work: w, Workers: 8, Callers: 1, Stages: 1})
	}
	all = append(all, waiting(all[len(all)-1]))
	for _, w := range Works() {
		all = append(all, Scenario{Form: Batch, Work: w, Workers: 4, Callers: 1, Stages: 1})
	}
	for _, w := range Works()[:2] { // with sleeps it would be the sleeps
		all = append(all, Scenario{Form: Alone, Work: w, Workers: 4, Callers: 1, Stages: 4})
	}
	all = append(all, Scenario{Form: Ants, Work: longSleep, Workers: 50_000, Callers: 1, Stages: 1, Inputs: large})
	for _, users := range []int{1, 1_000, 1_000_000} {
		all = append(all, Scenario{Form: Pond, Work: longSleep, Workers: 200_000, Callers: users, Stages: 1, Inputs: large})
	}
	return all
}

// Scaled returns a scenario with a fixed number of inputs divided by n, and with it the thousands of workers and callers
// that the workloads of others have. What has no fixed number stays as it is.
func (s Scenario) Scaled(n int) Scenario {
	if s.Inputs == 0 {
		return s
	}
	s.Inputs = max(1, s.Inputs/n)
	if s.Form == Ants || s.Form == Pond {
		s.Workers = max(2, s.Workers/n)
	}
	if s.Callers > s.Inputs {
		s.Callers = s.Inputs
	}
	return s
}

// Name is the name by which the scenario is found, such as "flow/3x4/ordered/noop" for three stages of 4 workers.
func (s Scenario) Name() string {
	switch s.Form {
	case Flow:
		order := "any"
		if s.Ordered {
			order = "ordered"
		}
		return fmt.Sprintf("flow/%dx%d/%s/%s", s.Stages, s.Workers, order, s.Work.Name)
	case Do:
		return fmt.Sprintf("do/%d/%s", s.Callers, s.Work.Name)
	case Ants:
		return "ants"
	case Pond:
		return fmt.Sprintf("pond/%dx%d", s.Callers, s.Inputs/s.Callers)
	default:
		return fmt.Sprintf("%s/%s", s.Form, s.Work.Name)
	}
}

// Title says what the scenario is, for people.
func (s Scenario) Title() string {
	switch s.Form {
	case Flow:
		order := ""
		if s.Ordered {
			order = ", in order"
		}
		stages, workers := "stages", "workers each"
		if s.Stages == 1 {
			stages, workers = "stage", "workers"
		}
		if s.Workers == 1 {
			workers = "worker"
			if s.Stages > 1 {
				workers = "worker each"
			}
		}
		return fmt.Sprintf("%d %s of %d %s%s: %s", s.Stages, stages, s.Workers, workers, order, s.Work.Title)
	case Do:
		callers := "goroutines"
		if s.Callers == 1 {
			callers = "goroutine"
		}
		return fmt.Sprintf("Do and wait from %d %s: %s", s.Callers, callers, s.Work.Title)
	case Submit:
		return "Submit: " + s.Work.Title
	case Map:
		return "Map a slice: " + s.Work.Title
	case Fan:
		return "Fan out and in: " + s.Work.Title
	case Batch:
		return "Batches of 100: " + s.Work.Title
	case Alone:
		return "One item at a time through 4 stages: " + s.Work.Title
	case Ants:
		return fmt.Sprintf("ants' workload: %s tasks of 10 ms, capacity %s", thousands(s.Inputs), thousands(s.Workers))
	case Pond:
		users := "users"
		if s.Callers == 1 {
			users = "user"
		}
		return fmt.Sprintf("pond's workload: %s %s × %s tasks of 10 ms", thousands(s.Callers), users, thousands(s.Inputs/s.Callers))
	}
	return s.Name()
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// Takes reports whether the subject has the form that the scenario asks for, and can be expected to come through it.
func (s Scenario) Takes(sub subject.Subject) bool {
	if s.Inputs > 0 && sub.Name == "loop" {
		return false // it would be seconds, or hours
	}
	switch s.Form {
	case Submit:
		return sub.Submit != nil
	case Map:
		return sub.Map != nil
	case Do:
		return sub.Do != nil
	case Fan:
		return sub.Fan != nil
	case Batch:
		return sub.Batch != nil
	case Flow:
		return s.flow(sub) != nil
	case Alone:
		// Neither of them has stages that pass something on.
		return sub.Flow != nil && sub.Name != subject.Bound && sub.Name != "loop" && sub.Name != "errgroup"
	case Ants, Pond:
		return sub.Submit != nil && sub.Name != subject.Bound // it has nothing to hand in
	}
	return false
}

// flow returns how the subject does the stages; nil if it cannot. What has one worker keeps the order without being told.
func (s Scenario) flow(sub subject.Subject) func(subject.Options, []subject.Func, seq, func(int)) error {
	switch {
	case !s.Ordered:
		return sub.Flow
	case sub.Ordered != nil || s.Workers > 1 || sub.Name == "errgroup" || sub.Name == subject.Bound:
		return sub.Ordered
	default:
		return sub.Flow
	}
}

// Rounds returns how many rounds the scenario gets of those that the others have: fewer where a run takes seconds, whoever
// does it. The noise of a second is less than that of a short run.
func (s Scenario) Rounds(all int) int {
	switch {
	case s.Inputs == 0:
		return all
	case s.Form == Pond:
		return min(all, 2)
	default:
		return min(all, 3)
	}
}

// Package subject holds the ways to do the same work that the benchmarks set side by side: Millstream, the libraries that
// one would use instead, and what one would write by hand. Each of them has a file of its own, says how it is used and
// what it does less than Millstream, and offers only those forms of work that it has.
//
// A subject does not measure, count or check anything; package scenario does, in the same way for all.
package subject

import (
	"context"
	"iter"
	"strings"
)

// Func is the work: it gives v+1 for v, after having taken the time that the scenario says.
type Func = func(ctx context.Context, v int) (int, error)

// Options say how much of everything a subject is to use.
type Options struct {
	Inputs  int // how many inputs there will be; for those that are told beforehand
	Workers int // how many calls may be under way at once, in each stage
	Queue   int // how many inputs may wait for a worker, where a subject lets one say that; in Submit
	Size    int // the most items in a batch
}

// buffer is how many items the channels of the hand-written subjects hold between two stages, as Millstream's do.
const buffer = 256

// Subject is one way to do the work. A form that it does not have is nil. It is a plain value.
type Subject struct {
	Name   string // "conc/iter"
	Module string // path of the module that it is from; "" if it is Millstream or written by hand
	Use    string // how it is used here, as its documentation says is best
	Lacks  Lacks  // what it does less than Millstream

	// Submit starts a pool of o.Workers, which calls fn for each v given to submit. That one may be called by several
	// goroutines at once, and returns as soon as the subject has taken v. wait is called after the last submit has
	// returned: it waits for all calls, and for the end of the pool.
	Submit func(o Options, fn Func) (submit func(v int) error, wait func() error)

	// Do starts a pool of o.Workers. do, which may be called by several goroutines at once, returns what fn returns
	// for v; stop ends the pool.
	Do func(o Options, fn Func) (do Func, stop func())

	// Map returns what fn returns for each of ins, in their order.
	Map func(o Options, fn Func, ins []int) ([]int, error)

	// Fan passes the inputs through o.Workers calls of fn at once, and what they return to take, which one goroutine
	// at a time may call, in whatever order.
	Fan func(o Options, fn Func, ins iter.Seq[int], take func(int)) error

	// Flow passes the inputs through all stages, one behind the other, each with o.Workers of its own, and what the
	// last one returns to take, which one goroutine at a time may call, in whatever order. Ordered does it in the
	// order of the inputs, in every stage.
	Flow, Ordered func(o Options, stages []Func, ins iter.Seq[int], take func(int)) error

	// Batch gathers the inputs in batches of o.Size and passes these through o.Workers calls of a function that calls
	// fn for each member; all that it returns goes to take, which one goroutine at a time may call.
	Batch func(o Options, fn Func, ins iter.Seq[int], take func(int)) error
}

// Lacks is a set of what a subject does less than Millstream does in the same place.
type Lacks uint

// What a subject may lack. That an item has none of it, or the user has to write it, is the same here.
const (
	NoResult Lacks = 1 << iota // outputs do not come back: the function has to put them somewhere
	NoError                    // errors neither
	NoTiming                   // nobody knows how long an item waited and ran
	NoCancel                   // what was accepted cannot be called off by a context
	NoPanic                    // a panic ends the program, or the one who waits
	NoBound                    // what waits has no bound, and grows in memory
	NoLimit                    // the number of calls under way has no bound
	NoOrder                    // outputs do not come in order, or not by themselves
)

// everything is what the shortest code by hand lacks.
const everything = NoResult | NoError | NoTiming | NoCancel | NoPanic

// String lists what is lacking, such as "no error, no timing".
func (l Lacks) String() string {
	var names []string
	for i, name := range []string{"result", "error", "timing", "cancel", "panic", "bound", "limit", "order"} {
		if l&(1<<i) != 0 {
			names = append(names, "no "+name)
		}
	}
	return strings.Join(names, ", ")
}

// All returns the subjects, Millstream first. The order says nothing.
func All() []Subject {
	var all []Subject
	for _, from := range [][]Subject{
		millstream(), concPools(), errGroup(), antsPools(), pondPools(), workerPool(), tunnyPool(), rillStreams(), goStreams(),
		deliveryhero(), semaphores(), channels(), timedChannels(), oneChannel(), dispatcher(), goroutines(), ranges(), loop(), bound(),
	} {
		all = append(all, from...)
	}
	return all
}

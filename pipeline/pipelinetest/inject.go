package pipelinetest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
)

// Injector is a function of a stage of which chosen calls fail. [Inject] makes one,
// its methods On, OnCall and Always choose the calls, and the method value Call is
// the function for the stage:
//
//	fetch := pipelinetest.Inject(fetch).
//		OnCall(3, pipelinetest.Error(errDown)).
//		On(isLarge, pipelinetest.Delay(time.Second)).
//		Call
//
// If several choices apply to a call, their faults take their turns in the order in
// which they were given, until one ends the call.
//
// The zero Injector is of no use. It must not be copied. Calls may be made by several
// goroutines at once, but only after the last choice.
type Injector[In, Out any] struct {
	fn      func(context.Context, In) (Out, error)
	choices []choice[In]
	calls   atomic.Int64
}

// choice says in which calls faults happen.
type choice[In any] struct {
	applies func(call int, in In) bool
	faults  []Fault
}

// Inject returns an Injector that calls fn and has no faults yet. A nil fn panics.
func Inject[In, Out any](fn func(context.Context, In) (Out, error)) *Injector[In, Out] {
	if fn == nil {
		panic("pipelinetest: Inject: nil function")
	}
	return &Injector[In, Out]{fn: fn}
}

// On has the faults happen, in turn, in the calls whose input pred holds for, and
// returns the Injector. pred is called in every call, by several goroutines at once if
// the calls are made so. A nil pred, a nil fault and none at all panic.
func (i *Injector[In, Out]) On(pred func(In) bool, faults ...Fault) *Injector[In, Out] {
	if pred == nil {
		panic("pipelinetest: On: nil predicate")
	}
	return i.choose("On", func(_ int, in In) bool { return pred(in) }, faults)
}

// OnCall has the faults happen, in turn, in the n-th call, counted from 1 in the order
// in which the calls are made, and returns the Injector. An n below 1, a nil fault and
// none at all panic.
func (i *Injector[In, Out]) OnCall(n int, faults ...Fault) *Injector[In, Out] {
	if n < 1 {
		panic(fmt.Sprintf("pipelinetest: OnCall(%d): want at least 1", n))
	}
	return i.choose("OnCall", func(call int, _ In) bool { return call == n }, faults)
}

// Always has the faults happen, in turn, in every call, and returns the Injector. A
// nil fault and none at all panic.
func (i *Injector[In, Out]) Always(faults ...Fault) *Injector[In, Out] {
	return i.choose("Always", func(int, In) bool { return true }, faults)
}

func (i *Injector[In, Out]) choose(method string, applies func(int, In) bool, faults []Fault) *Injector[In, Out] {
	if len(faults) == 0 {
		panic("pipelinetest: " + method + ": no fault")
	}
	if slices.ContainsFunc(faults, func(f Fault) bool { return f == nil }) {
		panic("pipelinetest: " + method + ": nil fault")
	}
	i.choices = append(i.choices, choice[In]{applies, slices.Clone(faults)})
	return i
}

// Call calls the function, unless a fault ends the call first: then it returns the
// fault's error beside a zero value, or does not return. It blocks for as long as
// faults and function do.
func (i *Injector[In, Out]) Call(ctx context.Context, in In) (Out, error) {
	call := int(i.calls.Add(1))
	for _, c := range i.choices {
		if !c.applies(call, in) {
			continue
		}
		for _, fault := range c.faults {
			if err := fault(ctx); err != nil {
				var none Out
				return none, err
			}
		}
	}
	return i.fn(ctx, in)
}

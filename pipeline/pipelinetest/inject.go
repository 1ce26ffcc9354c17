package pipelinetest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
)

// Injector is a function of a stage in which chosen calls fail. [Inject] creates one, its
// methods On, OnCall and Always choose the calls, and the method value Call is the function
// for the stage:
//
//	fetch := pipelinetest.Inject(fetch).
//		OnCall(3, pipelinetest.Error(errDown)).
//		On(isLarge, pipelinetest.Delay(time.Second)).
//		Call
//
// If several choices apply to a call, their faults happen in the order in which they were
// given, until one ends the call.
//
// The zero Injector is invalid. An Injector must not be copied. Several goroutines may call
// it at once, but only after the last choice.
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

// On makes the faults happen, in order, in the calls for whose input pred returns true, and
// returns the Injector. pred is called in every call, by several goroutines at once if the
// calls are. A nil pred or fault panics, and so does giving no fault.
func (i *Injector[In, Out]) On(pred func(In) bool, faults ...Fault) *Injector[In, Out] {
	if pred == nil {
		panic("pipelinetest: On: nil predicate")
	}
	return i.choose("On", func(_ int, in In) bool { return pred(in) }, faults)
}

// OnCall makes the faults happen, in order, in the n-th call, counted from 1 in the order
// in which the calls are made, and returns the Injector. An n below 1 or a nil fault
// panics, and so does giving no fault.
func (i *Injector[In, Out]) OnCall(n int, faults ...Fault) *Injector[In, Out] {
	if n < 1 {
		panic(fmt.Sprintf("pipelinetest: OnCall(%d): want at least 1", n))
	}
	return i.choose("OnCall", func(call int, _ In) bool { return call == n }, faults)
}

// Always makes the faults happen, in order, in every call, and returns the Injector. A nil
// fault panics, and so does giving no fault.
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

// Call calls the function, unless a fault ends the call first. In that case it returns the
// fault's error with a zero value, or does not return. It blocks for as long as the faults
// and the function do.
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

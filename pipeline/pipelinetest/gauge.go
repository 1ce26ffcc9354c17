package pipelinetest

import (
	"context"
	"sync/atomic"
)

// Gauge counts calls: how many are under way, how many were at most, and how many
// there have been. [Gauged] puts one around a function.
//
// The zero Gauge is ready to use. It must not be copied once it is used. Goroutines
// may share it, and one Gauge may count the calls of several functions together. It
// cannot be reset: a new one is a line.
type Gauge struct{ running, peak, total atomic.Int64 }

// Running returns how many calls are under way.
func (g *Gauge) Running() int { return int(g.running.Load()) }

// Peak returns the most calls that were ever under way at once.
func (g *Gauge) Peak() int { return int(g.peak.Load()) }

// Total returns how many calls there have been, those under way included.
func (g *Gauge) Total() int { return int(g.total.Load()) }

func (g *Gauge) enter() {
	g.total.Add(1)
	n := g.running.Add(1)
	for {
		peak := g.peak.Load()
		if n <= peak || g.peak.CompareAndSwap(peak, n) {
			return
		}
	}
}

func (g *Gauge) leave() { g.running.Add(-1) }

// undo takes back an enter that came to nothing; what it did to the peak stays.
func (g *Gauge) undo() {
	g.leave()
	g.total.Add(-1)
}

// Gauged returns fn with its calls counted by g, however they end. A nil g and a nil
// fn panic.
func Gauged[In, Out any](g *Gauge, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if g == nil {
		panic("pipelinetest: Gauged: nil gauge")
	}
	if fn == nil {
		panic("pipelinetest: Gauged: nil function")
	}
	return func(ctx context.Context, in In) (Out, error) {
		g.enter()
		defer g.leave()
		return fn(ctx, in)
	}
}

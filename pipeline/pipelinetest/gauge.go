package pipelinetest

import (
	"context"
	"sync/atomic"
)

// Gauge counts calls: how many are under way, how many were under way at most, and how many
// there have been. [Gauged] counts the calls of a function.
//
// The zero Gauge is ready to use. It must not be copied after first use. Goroutines may
// share it, and one Gauge may count the calls of several functions together. It cannot be
// reset; use a new one.
type Gauge struct{ running, peak, total atomic.Int64 }

// Running returns how many calls are under way.
func (g *Gauge) Running() int { return int(g.running.Load()) }

// Peak returns the most calls that were under way at once.
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

// undo takes back an enter that came to nothing; its effect on the peak stays.
func (g *Gauge) undo() {
	g.leave()
	g.total.Add(-1)
}

// Gauged returns fn with its calls counted by g, however they end. A nil g panics, and so
// does a nil fn.
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

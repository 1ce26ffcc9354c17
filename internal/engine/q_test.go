package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

type countH struct{ n *atomic.Int64; c Clock; now int64; sum int64; timed bool }

func (h *countH) Begin(t *Taker[int])         { h.now = t.Started() }
func (h *countH) Handle(t *Taker[int], v *int) { h.sum++; if h.timed { h.now = h.c.Now() } }
func (h *countH) Failed(t *Taker[int], v *int, err error) {}
func (h *countH) End() int64                  { h.n.Add(h.sum); h.sum = 0; if h.timed {return h.now}; return 0 }

func benchSubmit(b *testing.B, workers, depth int) {
	c := NewClock()
	q := NewQueue[int](c, depth)
	var n atomic.Int64
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	crew := NewCrew(q, workers, &wg, func(int) Handler[int] { return &countH{n: &n, c: c, timed: true} }, func() { close(done) })
	ctx := context.Background()
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		_ = c.Now()
		if err := q.Put(ctx, i); err != nil {
			b.Fatal(err)
		}
	}
	crew.Close()
	<-done
	wg.Done()
	wg.Wait()
	if n.Load() != int64(b.N) {
		b.Fatal(n.Load(), b.N)
	}
}
func BenchmarkSubmit1(b *testing.B) { benchSubmit(b, 1, 1024) }
func BenchmarkSubmit2(b *testing.B) { benchSubmit(b, 2, 1024) }
func BenchmarkSubmit8(b *testing.B) { benchSubmit(b, 8, 1024) }
func BenchmarkChan8(b *testing.B) {
	ch := make(chan int, 1024)
	var n atomic.Int64
	var wg sync.WaitGroup
	for i := 0; i < 8; i++ {
		wg.Go(func() { s := int64(0); for range ch { s++ }; n.Add(s) })
	}
	for i := 0; i < b.N; i++ {
		ch <- i
	}
	close(ch)
	wg.Wait()
}

type fwd struct{ out *Outbox[int]; c Clock; now int64 }

func (h *fwd) Begin(t *Taker[int])          { h.now = t.Started() }
func (h *fwd) Handle(t *Taker[int], v *int) { h.now = h.c.Now(); if h.out.Put(*v + 1) { h.now = h.c.Now() } }
func (h *fwd) Failed(t *Taker[int], v *int, err error) {}
func (h *fwd) End() int64                  { if h.out.Flush() { return 0 }; return h.now }

func benchPipe(b *testing.B, workers, depth int) {
	c := NewClock()
	var wg sync.WaitGroup
	wg.Add(1)
	q4 := NewQueue[int](c, depth)
	next := q4
	var first *Crew[int]
	var qs []*Queue[int]
	closeNext := func() { q4.Close() }
	for s := 0; s < 3; s++ {
		q := NewQueue[int](c, depth)
		out := next
		cn := closeNext
		first = NewCrew(q, workers, &wg, func(int) Handler[int] { return &fwd{out: out.NewOutbox(), c: c} }, cn)
		f := first
		closeNext = func() { f.Close() }
		next = q
		qs = append(qs, q)
	}
	src := next.NewOutbox()
	b.ReportAllocs()
	wg.Go(func() {
		for i := 0; i < b.N; i++ {
			src.Put(i)
		}
		src.Flush()
		closeNext()
	})
	t := q4.NewTaker()
	n, sum := 0, 0
	for t.Next(0) {
		for v := t.Claim(); v != nil; v = t.Claim() {
			n++
			sum += *v
		}
	}
	wg.Done()
	wg.Wait()
	if n != b.N {
		b.Fatal(n, b.N)
	}
	if sum != b.N*(b.N-1)/2+3*b.N {
		b.Fatal("sum")
	}
}
func BenchmarkPipe1(b *testing.B) { benchPipe(b, 1, 256) }
func BenchmarkPipe4(b *testing.B) { benchPipe(b, 4, 256) }
func BenchmarkPipe4d(b *testing.B) { benchPipe(b, 4, 1024) }

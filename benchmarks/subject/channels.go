package subject

import (
	"context"
	"iter"
	"slices"
	"sync"
)

// channels are what one writes by hand: goroutines that read from one buffered channel and write to the next.
func channels() []Subject {
	return []Subject{{
		Name:  "channels",
		Use:   "goroutines that read from one buffered channel and write to the next; in order, a channel of channels, used again",
		Lacks: NoError | NoTiming | NoCancel | NoPanic,
		Do: func(o Options, fn Func) (Func, func()) {
			in := make(chan *request)
			var workers sync.WaitGroup
			for range o.Workers {
				workers.Go(func() {
					for r := range in {
						r.serve(fn)
					}
				})
			}
			do := func(_ context.Context, v int) (int, error) {
				return asked(v, func(r *request) error {
					in <- r
					return nil
				})
			}
			return do, func() {
				close(in)
				workers.Wait()
			}
		},
		Map: func(o Options, fn Func, ins []int) ([]int, error) {
			outs := make([]int, len(ins))
			places := make(chan int, buffer)
			var workers sync.WaitGroup
			for range o.Workers {
				workers.Go(func() {
					for i := range places {
						if u, err := fn(context.Background(), ins[i]); err == nil {
							outs[i] = u
						}
					}
				})
			}
			for i := range ins {
				places <- i
			}
			close(places)
			workers.Wait()
			return outs, nil
		},
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			return takeAll(channelStage(o, fn, source(ins, buffer)), take)
		},
		Flow: func(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
			stream := source(ins, buffer)
			for _, fn := range stages {
				stream = channelStage(o, fn, stream)
			}
			return takeAll(stream, take)
		},
		Ordered: func(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
			stream := source(ins, buffer)
			for _, fn := range stages {
				if o.Workers == 1 {
					stream = channelStage(o, fn, stream)
				} else {
					stream = orderedStage(o, fn, stream)
				}
			}
			return takeAll(stream, take)
		},
		Batch: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			batches := make(chan []int, o.Workers)
			go func() {
				defer close(batches)
				batch := make([]int, 0, o.Size)
				for v := range ins {
					if batch = append(batch, v); len(batch) == o.Size {
						batches <- batch
						batch = make([]int, 0, o.Size)
					}
				}
				if len(batch) > 0 {
					batches <- batch
				}
			}()
			done := make(chan []int, o.Workers)
			do := each(fn)
			var workers sync.WaitGroup
			for range o.Workers {
				workers.Go(func() {
					for batch := range batches {
						if outs, err := do(context.Background(), batch); err == nil {
							done <- outs
						}
					}
				})
			}
			go func() {
				workers.Wait()
				close(done)
			}()
			for outs := range done {
				for _, v := range outs {
					take(v)
				}
			}
			return nil
		},
	}}
}

func channelStage(o Options, fn Func, in <-chan int) <-chan int {
	out := make(chan int, buffer)
	var workers sync.WaitGroup
	for range o.Workers {
		workers.Go(func() {
			for v := range in {
				if u, err := fn(context.Background(), v); err == nil {
					out <- u
				}
			}
		})
	}
	go func() {
		workers.Wait()
		close(out)
	}()
	return out
}

// orderedStage gives each input a channel for its output and lines these up. They come back when they have been read.
func orderedStage(o Options, fn Func, in <-chan int) <-chan int {
	type job struct {
		in  int
		out chan int
	}
	jobs := make(chan job, o.Workers)
	line := make(chan chan int, buffer)
	free := make(chan chan int, 2*buffer)
	out := make(chan int, buffer)
	for range o.Workers {
		go func() {
			for j := range jobs {
				u, _ := fn(context.Background(), j.in) // it has no place for an error
				j.out <- u
			}
		}()
	}
	go func() {
		defer close(line)
		defer close(jobs)
		for v := range in {
			var slot chan int
			select {
			case slot = <-free:
			default:
				slot = make(chan int, 1)
			}
			line <- slot
			jobs <- job{v, slot}
		}
	}()
	go func() {
		defer close(out)
		for slot := range line {
			out <- <-slot
			select {
			case free <- slot:
			default:
			}
		}
	}()
	return out
}

func takeAll(stream <-chan int, take func(int)) error {
	for v := range stream {
		take(v)
	}
	return nil
}

// ranges are the shortest way for a slice: an equal part for each worker, and nobody helps the one that is behind.
func ranges() []Subject {
	return []Subject{{
		Name:  "ranges",
		Use:   "the slice cut into as many equal parts as there are workers, a goroutine for each",
		Lacks: NoTiming | NoCancel | NoPanic,
		Map: func(o Options, fn Func, ins []int) ([]int, error) {
			outs := make([]int, len(ins))
			var failed firstError
			var workers sync.WaitGroup
			size := max(1, (len(ins)+o.Workers-1)/o.Workers)
			start := 0
			for part := range slices.Chunk(ins, size) {
				to := outs[start : start+len(part)]
				start += len(part)
				workers.Go(func() {
					for i, v := range part {
						u, err := fn(context.Background(), v)
						if err != nil {
							failed.set(err)
							return
						}
						to[i] = u
					}
				})
			}
			workers.Wait()
			return outs, failed.err
		},
	}}
}

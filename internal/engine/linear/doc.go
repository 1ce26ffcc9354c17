// Package linear checks that what several goroutines do with a queue or a pool at once is what they could have done one
// after the other: histories of calls are recorded, with the instants at which each began and returned, and porcupine
// (https://github.com/anishathalye/porcupine) looks for an order of the calls, each at some instant between the two, that
// a sequential model allows. There is only test code.
//
// What the models say is the contract of package engine, no more:
//
//   - With one taker the queue is a bounded first-in-first-out queue. What its taker takes at once, a chunk, is a prefix
//     of it and leaves it at one instant. A put that finds the queue full waits, or is told, or takes the place of the
//     oldest item; nothing goes in behind the close, and what has gone in comes out.
//   - With several takers it is not first in, first out: each has a chunk in hand, and may take over what another has
//     not started. Then it is a bag: each item that went in is started once, and only such items; a put is told that the
//     queue is full only if as many items wait as its limit; and there are never more of them than that and a chunk in
//     the hands of each taker.
//   - A pool whose workers are held takes as many jobs as its queue has room for. A canceled job has ended and leaves
//     its place; what is submitted once the pool is closed, is refused.
//
// That every interleaving is right, of small cases, is the business of the model in ../model; here it is the code itself
// that runs, on those orders that come about.
//
// It is a module of its own, since the root module's dependencies are fixed. The path lies below the root's, which is why it
// may import what is internal there.
package linear

// Package engine is what packages pool and pipeline run on: a bounded queue that hands
// items over in chunks, and crews of workers on such queues.
//
// # Why not a channel
//
// A channel hands over one item under one lock, and may park or wake a goroutine for
// each. With functions that take much less than a microsecond, this costs more than the
// functions. Handing over many items under one lock shares that cost among them. But a
// producer that gathers items makes them wait, and a consumer that takes many keeps
// them from others. The two rules below prevent that.
//
// # How it works
//
// A [Queue] is a ring under a mutex. A producer puts items into its [Outbox] and a
// consumer takes them with its [Taker]; both hold a chunk of items outside the ring,
// where they are handled without the lock.
//
// Going in: an outbox publishes each item with one atomic store. It moves its items to
// the ring when it is full, when its owner has nothing more to do, or when the queue is
// hungry, that is, when a taker is idle and no taker is on the way. A taker that runs
// out of items looks into all outboxes before it parks.
//
// Coming out: a taker takes as many items as take 50 microseconds, going by what items
// have cost it lately, and at most 64. It keeps the items that it has not started in a
// span, a word from which it takes the next item with one atomic add, and from whose
// end an idle taker may cut half.
//
// Waking: at most one taker is on the way at any time. It is woken when an item comes
// in and a taker is idle. If it arrives and leaves something behind, in the ring or in
// another taker's span, it wakes the next one. So a burst costs one wake at a time, and
// no more takers are awake than there is work for.
//
// Changing places: a goroutine is not tied to its taker. When it has passed on its last
// item and finds no other, it goes itself to the idle taker of the next stage, and the
// goroutine that slept there takes over its place. So a single item wakes no goroutine
// on its way from stage to stage; see mate.go.
//
// Waiting for room: producers wait in line, first in, first out, and leave their items
// where the takers find them: a taker that makes room moves the items of those in line
// into it, and wakes a producer once all of its items are in.
//
// Order: an item's sequence number is the count of items taken before it. The outputs
// of an ordered stage go into the slot of that number in a window ([Order]), and
// whichever goroutine holds the lock of the next queue moves what has become
// contiguous. The takers of the stage get no items beyond the window.
//
// Out of turn: an item with a key, a priority, a weight or a delay is an [Entry] and
// waits in a lane beside the ring, under the same lock and the same limit. While an
// entry may go, takers take one item at a time, and what they hold beyond that goes
// back to the front of the ring. See lane.go for the order.
//
// A [Crew] starts a worker, which is a taker and a goroutine, each time one is to be
// woken and none is idle, up to its number of workers, which may change. It catches
// panics and replaces goroutines that end, with one deferred call for a whole stretch
// of items.
//
// A [Stage] is a crew that calls a user's function on items and puts its outputs into
// the next queue. It may need a [Slot] for each call, where several share a limit. A
// [Scope] is what is canceled together.
//
// Fan-in: a queue may be fed by any number of producers and ordered stages; ordered
// stages and the producers that wait for room take turns. Fan-out: a queue that is no
// longer read is made void, and what is still put into it vanishes, so that its
// producer can go on with other queues.
//
// Watching: a [Meter] gathers what a stage does. Each worker records it in a [Probe] of
// its own, which is nil if the stage is not watched.
//
// # What it guarantees
//
//   - An item that was put is handed out exactly once.
//   - No item is in a ring, an outbox or a span while a taker of its queue is idle and
//     no taker is on the way, unless an ordered stage's window is full or the queue is
//     held. (An item in the outbox of a producer counts from the moment it is
//     published.) The same is true of an entry that may go.
//   - A queue never holds more than its limit, except for what comes back from takers
//     and for dead items, of which there are at most as many as others, or a few. An
//     outbox or a taker holds at most a chunk.
//   - Items of one producer leave the queue in the order in which they were put, and
//     outputs of an ordered stage in the order of its inputs.
//   - No queue keeps alive what was taken from it.
//
// # Lock order
//
// There is none to keep: no lock of this package is held while another one is taken,
// nor during a channel operation or a call of user code. A step under the lock of a
// queue finds out what is to be woken; [Queue.unlock] wakes it afterwards.
//
// Goroutines park on a channel of their own with room for one token, and the stacks of
// idle takers are linked lists. So testing/synctest sees that they are parked, a
// certain taker can be woken, and a taker may wait with a time limit.
package engine

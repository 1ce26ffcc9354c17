package engine

import "sync"

// mate is a goroutine that works in crews, at one post at a time. It keeps no post: when
// it has nothing to do at its own, and an item that it has just passed on is for an idle
// worker of the next crew, it goes there itself, with the item, and leaves its own post to
// the mate who waits there. Nobody has to be woken for that, and the item stays with the
// processor that has it in its cache. How many calls each crew makes at once is as before:
// that is a matter of posts.
//
// A taker that has no post has a mate to itself, for its wake.
type mate struct {
	wake chan struct{} // one token each time it waits

	// Written by whoever has it change its post, before it is woken.
	post post

	// next is to be roused for what the mate has passed on, unless it goes there itself. Its
	// own.
	next post
}

// post is the place of one worker in a crew: its taker, which has its handler.
type post interface {
	// come looks for something to do, with a clock reading or 0, and open begins with it.
	come(how arrival, now int64) outcome
	open()
	// stretch goes on with it, and returns false if there may be more: behind a panic.
	stretch() (done bool)
	// close ends what there was to do, and returns a clock reading, or 0.
	close() int64
	// quit gives up the post.
	quit()

	// take makes m the one who works at the post, and returns who did.
	take(m *mate) *mate
	// rouse wakes the mate of the post.
	rouse()
	// group counts the goroutines of the crew.
	group() *sync.WaitGroup
}

// arrival is how a mate comes to a post.
type arrival uint8

const (
	free    arrival = iota // it has nothing in hand
	roused                 // the post has been roused
	resumed                // a call has ended its goroutine, in the middle of a chunk
)

// outcome is what a mate finds.
type outcome uint8

const (
	found outcome = iota // a chunk
	idle                 // nothing: the post waits to be roused
	over                 // nothing, and there will be none
)

// start has m work on a goroutine of its own.
func (m *mate) start(how arrival) { m.post.group().Go(func() { m.run(how) }) }

// run is the life of a mate. What a user's function is called by goes no deeper than it
// has to: a stack that is a little deeper needs twice the memory.
func (m *mate) run(how arrival) {
	ended := false
	defer func() {
		if !ended { // a call has ended this goroutine: another one goes on in its place
			m.start(resumed)
		}
	}()
	now := int64(0)
	for !ended {
		switch m.post.come(how, now) {
		case found:
			m.pass()
			if how != resumed {
				m.post.open()
			}
			for done := false; !done; { // each time goes on behind a panic
				done = m.post.stretch()
			}
			now, how = m.post.close(), free
		case idle:
			if m.next == nil {
				<-m.wake
			}
			m.next, how = nil, roused // else swap has seen to the rest
		case over:
			ended = true
		}
	}
	m.pass()
	m.post.quit()
}

// pass rouses the post that was kept, if any: the mate has to do where it is.
func (m *mate) pass() {
	if next := m.next; next != nil {
		m.next = nil
		next.rouse()
	}
}

// swap is called with the lock of the post of m held, where there is nothing to do. If it
// has kept another, it goes there, and returns who comes in its place; else itself.
func (m *mate) swap() *mate {
	if m.next == nil {
		return m
	}
	other := m.next.take(m)
	other.post, m.post = m.post, m.next
	return other
}

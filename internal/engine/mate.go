package engine

import "sync"

// mate is a goroutine that works in crews, at one post at a time. It does not keep its
// post. When it has nothing to do there, and an item that it has just passed on is for an
// idle worker of the next crew, it goes to that worker's post itself, with the item, and
// leaves its own post to the mate that waits there. That wakes no goroutine, and the item
// stays with the processor that has it in its cache. How many calls each crew makes at once
// does not change: posts decide that.
//
// A taker that has no post has a mate to itself, for its wake.
type mate struct {
	wake chan struct{} // one token each time it waits

	// Written by the mate that takes its post, before this one is woken.
	post post

	// next is to be roused for what the mate has passed on, unless the mate goes there itself.
	// Used only by the mate.
	next post
}

// post is the place of one worker in a crew: its taker, which has its handler.
type post interface {
	// come looks for something to do, with a clock reading or 0, and open begins with it.
	come(how arrival, now int64) outcome
	open()
	// stretch goes on with it. It returns false if there may be more: after a panic.
	stretch() (done bool)
	// close ends what there was to do, and returns a clock reading, or 0.
	close() int64
	// quit gives up the post.
	quit()

	// take makes m the mate that works at the post, and returns the one that did.
	take(m *mate) *mate
	// rouse wakes the mate of the post.
	rouse()
	// group counts the goroutines of the crew.
	group() *sync.WaitGroup
}

// arrival is how a mate comes to a post.
type arrival uint8

const (
	free    arrival = iota // it has no chunk
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

// start makes m work on a goroutine of its own.
func (m *mate) start(how arrival) { m.post.group().Go(func() { m.run(how) }) }

// run is the life of a mate. It calls the user's function at the least possible stack
// depth: a stack that is a little deeper needs twice the memory.
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
			for done := false; !done; { // goes on after each panic
				done = m.post.stretch()
			}
			now, how = m.post.close(), free
		case idle:
			if m.next == nil {
				<-m.wake
			}
			m.next, how = nil, roused // otherwise swap has done the rest
		case over:
			ended = true
		}
	}
	m.pass()
	m.post.quit()
}

// pass rouses the post that was kept, if any, because the mate has work where it is.
func (m *mate) pass() {
	if next := m.next; next != nil {
		m.next = nil
		next.rouse()
	}
}

// swap is called with the lock of m's post held, when there is nothing to do at the post.
// If m has kept another post, it goes there, and swap returns the mate that comes in its
// place; otherwise swap returns m.
func (m *mate) swap() *mate {
	if m.next == nil {
		return m
	}
	other := m.next.take(m)
	other.post, m.post = m.post, m.next
	return other
}

package engine

// ring is a first-in-first-out buffer that grows by doubling as items are put in. It
// does not lock, and forgets what was taken from it.
type ring[T any] struct {
	buf  []T // length zero or a power of two
	head int // place of the oldest item
	size int
}

// smallestRing is the smallest non-empty size of a ring. A queue with a high limit that
// is used little stays small.
const smallestRing = 16

func (r *ring[T]) push(v T) {
	if r.size == len(r.buf) {
		r.grow(r.size + 1)
	}
	r.buf[(r.head+r.size)&(len(r.buf)-1)] = v
	r.size++
}

func (r *ring[T]) pushAll(vs []T) {
	if r.size+len(vs) > len(r.buf) {
		r.grow(r.size + len(vs))
	}
	at := (r.head + r.size) & (len(r.buf) - 1)
	n := copy(r.buf[at:], vs)
	copy(r.buf, vs[n:])
	r.size += len(vs)
}

// pushFront puts vs back in front of all other items.
func (r *ring[T]) pushFront(vs []T) {
	if r.size+len(vs) > len(r.buf) {
		r.grow(r.size + len(vs))
	}
	r.head = (r.head - len(vs)) & (len(r.buf) - 1)
	n := copy(r.buf[r.head:], vs)
	copy(r.buf, vs[n:])
	r.size += len(vs)
}

// at returns the item with i others before it; there must be one.
func (r *ring[T]) at(i int) T { return r.buf[(r.head+i)&(len(r.buf)-1)] }

// first returns the oldest item; there must be one.
func (r *ring[T]) first() T { return r.at(0) }

// shift moves the oldest items into dst, as many as fit, and returns how many. It
// clears the places that they leave, so that the ring keeps nothing alive.
func (r *ring[T]) shift(dst []T) int {
	n := min(len(dst), r.size)
	first := r.buf[r.head:min(r.head+n, len(r.buf))]
	copy(dst, first)
	clear(first)
	if rest := n - len(first); rest > 0 {
		copy(dst[len(first):], r.buf[:rest])
		clear(r.buf[:rest])
	}
	r.size -= n
	if r.size == 0 {
		r.head = 0 // the next items find a warm start
	} else {
		r.head = (r.head + n) & (len(r.buf) - 1)
	}
	return n
}

// remove takes out dead items. The others keep their order.
func (r *ring[T]) remove(dead func(T) bool) {
	mask, kept := len(r.buf)-1, 0
	for i := range r.size {
		v := r.buf[(r.head+i)&mask]
		if !dead(v) {
			r.buf[(r.head+kept)&mask] = v
			kept++
		}
	}
	var zero T
	for i := kept; i < r.size; i++ {
		r.buf[(r.head+i)&mask] = zero
	}
	r.size = kept
}

func (r *ring[T]) grow(need int) {
	size := max(len(r.buf), smallestRing)
	for size < need {
		size *= 2
	}
	buf := make([]T, size)
	n := copy(buf, r.buf[r.head:])
	copy(buf[n:], r.buf[:r.head])
	r.buf, r.head = buf, 0
}

package engine

// Entry is an item with conditions. The caller sets the exported fields and then leaves
// them alone until the entry is gone. The zero value has no conditions. An Entry must not
// be copied once added. It is guarded by what guards its lane, and may be added again
// when it is gone.
type Entry[T any] struct {
	Value    T
	Key      any   // comparable; nil: none. At most one entry of a key is taken and not done at a time
	Priority int   // higher first
	Weight   int64 // of the capacity while taken; 0: none; never above the capacity
	Due      int64 // clock reading before which it waits; 0 or past: none

	state  entryState
	keyed  bool
	helped bool   // it is run by a goroutine other than the taker that holds it
	rank   rank   // what heaps sort by: that of Due while delayed, then its own
	seq    uint64 // the order of adding
	place  int    // in the heap that holds it

	older, newer  *Entry[T] // the lane's list, in the order of adding
	ahead, behind *Entry[T] // of the same key, in the order of entering
}

type entryState uint8

const (
	entryGone    entryState = iota // not added yet, removed, or done
	entryDelayed                   // before its Due
	entryBehind                    // another entry of its key goes first
	entryReady
	entryTaken
)

// lane holds the items of a queue that do not simply go first in, first out. It does not
// lock, reads no clock, and forgets what has left it.
//
// An entry enters when it is added or, if it is delayed, when it is due. From then on
// these rules hold:
//
//   - Smaller ranks go first, and the rank is the time of entering minus aging for each
//     step of priority. So a priority is worth a head start of a fixed time, and nothing
//     starves: an entry that enters later than that stays behind. Nor need waiting
//     entries be visited to raise them. Equal ranks go in the order of adding.
//   - Entries of one key go in the order of entering, whatever their priorities, each
//     when the one before it is done or removed. An entry is ready only then, but ranks
//     by when it entered.
//   - Weights of taken entries add up to no more than capacity. If the first of the
//     entries with a weight does not fit, no lighter one passes it; otherwise a heavy one
//     could wait forever. Entries without a weight pass.
//
// Taken entries are not in the lane, except that one with a key holds its turn until it
// is done.
type lane[T any] struct {
	aging    int64 // nanoseconds that one step of priority is worth; > 0
	capacity int64 // of weights
	used     int64 // weights of taken entries
	size     int   // entries that are delayed, behind their key or ready
	added    uint64

	delayed      entryHeap[T]
	light, heavy entryHeap[T] // ready, without and with a weight: heavy may be stuck

	first, last *Entry[T]         // delayed, behind or ready, in the order of adding
	keys        map[any]*Entry[T] // the last entry of each key; ahead leads to the first
}

// add puts in e, which must be gone. If e is not due at now, it is delayed; otherwise it
// enters at once. To make it enter in the order of time among delayed entries, promote
// these first.
func (l *lane[T]) add(e *Entry[T], now int64) {
	// A key that is not equal to itself, such as a NaN, has no equal to wait for, and
	// could not be deleted from the map. Comparing here also lets a key that is
	// not comparable panic before anything has changed, not when the entry is due.
	key := e.Key
	e.keyed = key != nil && key == e.Key

	e.seq = l.added
	l.added++
	l.link(e)
	if e.Due != 0 && e.Due > now { // a reading may be negative
		e.state, e.rank = entryDelayed, rankOf(e.Due)
		l.delayed.push(e)
		return
	}
	l.enter(e, now)
}

// promote lets all entries that are due at now enter, in the order in which they are due.
// It returns when the next one is due, and whether one is left.
func (l *lane[T]) promote(now int64) (next int64, left bool) {
	for e := l.delayed.top(); e != nil; e = l.delayed.top() {
		if e.Due > now {
			return e.Due, true
		}
		l.delayed.remove(e)
		l.enter(e, e.Due) // not now: a late timer costs no rank
	}
	return 0, false
}

// best returns the entry to take next, or nil if none can be taken now.
func (l *lane[T]) best() *Entry[T] {
	light, heavy := l.light.top(), l.heavy.top()
	if heavy == nil || heavy.Weight > l.capacity-l.used {
		return light
	}
	if light == nil || heavy.before(light) {
		return heavy
	}
	return light
}

// take takes the entry that best returned: it occupies its key and its weight until done.
// An entry that is not ready is left alone.
func (l *lane[T]) take(e *Entry[T]) {
	if e.state != entryReady {
		return
	}
	l.ready(e).remove(e)
	l.unlink(e)
	l.used += max(e.Weight, 0)
	e.state = entryTaken
}

// untake puts back an entry that was taken and not started.
func (l *lane[T]) untake(e *Entry[T]) {
	if e.state != entryTaken {
		return
	}
	l.used -= max(e.Weight, 0)
	l.link(e)
	l.makeReady(e)
}

// done ends a taken entry: it frees the entry's weight, and the next entry of its key
// becomes ready. It does nothing for an entry that is not taken.
func (l *lane[T]) done(e *Entry[T]) {
	if e.state != entryTaken {
		return
	}
	l.used -= max(e.Weight, 0)
	e.state = entryGone
	l.leaveKey(e)
}

// remove takes out an entry that is not taken, and reports whether it was in the lane. If
// it was the first of its key, the next one of the key becomes ready.
func (l *lane[T]) remove(e *Entry[T]) bool {
	switch e.state {
	case entryGone, entryTaken:
		return false
	case entryDelayed:
		l.delayed.remove(e)
	case entryReady:
		l.ready(e).remove(e)
	case entryBehind: // in no heap
	}
	entered := e.state != entryDelayed
	e.state = entryGone
	l.unlink(e)
	if entered {
		l.leaveKey(e)
	}
	return true
}

// oldest returns the entry in the lane that was added first, or nil if there is none.
func (l *lane[T]) oldest() *Entry[T] { return l.first }

// all yields the entries in the lane in the order of adding. The body may remove
// the current one, but no other.
func (l *lane[T]) all(yield func(*Entry[T]) bool) {
	for e := l.first; e != nil; {
		next := e.newer // e forgets it when it is removed
		if !yield(e) {
			return
		}
		e = next
	}
}

// enter makes e ready, or lines it up behind the last one of its key.
func (l *lane[T]) enter(e *Entry[T], at int64) {
	e.rank = rankAt(at, e.Priority, l.aging)
	if !e.keyed {
		l.makeReady(e)
		return
	}
	if l.keys == nil {
		l.keys = make(map[any]*Entry[T])
	}
	last := l.keys[e.Key]
	l.keys[e.Key] = e
	if last == nil {
		l.makeReady(e)
		return
	}
	last.behind, e.ahead = e, last
	e.state = entryBehind
}

// leaveKey takes e out of the line of its key. If it was the first, the next one
// becomes ready.
func (l *lane[T]) leaveKey(e *Entry[T]) {
	if !e.keyed {
		return
	}
	ahead, behind := e.ahead, e.behind
	e.ahead, e.behind = nil, nil
	if ahead != nil {
		ahead.behind = behind
	}
	switch {
	case behind != nil:
		behind.ahead = ahead
		if ahead == nil {
			l.makeReady(behind)
		}
	case ahead != nil:
		l.keys[e.Key] = ahead
	default:
		delete(l.keys, e.Key)
	}
}

func (l *lane[T]) makeReady(e *Entry[T]) {
	e.state = entryReady
	l.ready(e).push(e)
}

// ready returns the heap that holds e when it is ready.
func (l *lane[T]) ready(e *Entry[T]) *entryHeap[T] {
	if e.Weight > 0 {
		return &l.heavy
	}
	return &l.light
}

func (l *lane[T]) link(e *Entry[T]) {
	if l.last == nil {
		l.first = e
	} else {
		l.last.newer, e.older = e, l.last
	}
	l.last = e
	l.size++
}

func (l *lane[T]) unlink(e *Entry[T]) {
	if e.older == nil {
		l.first = e.newer
	} else {
		e.older.newer = e.newer
	}
	if e.newer == nil {
		l.last = e.older
	} else {
		e.newer.older = e.older
	}
	e.older, e.newer = nil, nil
	l.size--
}

func (e *Entry[T]) before(f *Entry[T]) bool {
	return e.rank.less(f.rank) || e.rank == f.rank && e.seq < f.seq
}

// entryHeap is a binary heap whose entries know their places, so that any of them can be
// removed. container/heap would make each step a call through an interface.
type entryHeap[T any] struct{ es []*Entry[T] }

func (h *entryHeap[T]) top() *Entry[T] {
	if len(h.es) == 0 {
		return nil
	}
	return h.es[0]
}

func (h *entryHeap[T]) push(e *Entry[T]) {
	h.es = append(h.es, e)
	h.up(e, len(h.es)-1)
}

func (h *entryHeap[T]) remove(e *Entry[T]) {
	end := len(h.es) - 1
	last := h.es[end]
	h.es[end] = nil // the array keeps nothing alive
	h.es = h.es[:end]
	if last == e {
		return
	}
	// The last entry comes from another branch: it may belong further up.
	h.down(last, e.place)
	h.up(last, last.place)
}

// up puts e into place i, or above it.
func (h *entryHeap[T]) up(e *Entry[T], i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(h.es[parent]) {
			break
		}
		h.set(i, h.es[parent])
		i = parent
	}
	h.set(i, e)
}

// down puts e into place i, or below it.
func (h *entryHeap[T]) down(e *Entry[T], i int) {
	for {
		child := 2*i + 1
		if child >= len(h.es) {
			break
		}
		if child+1 < len(h.es) && h.es[child+1].before(h.es[child]) {
			child++
		}
		if !h.es[child].before(e) {
			break
		}
		h.set(i, h.es[child])
		i = child
	}
	h.set(i, e)
}

func (h *entryHeap[T]) set(i int, e *Entry[T]) {
	h.es[i], e.place = e, i
}

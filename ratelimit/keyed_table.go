package ratelimit

// table is a hash table with open addressing and linear probing (Knuth, The Art of Computer
// Programming, volume 3, section 6.4, algorithms L and R). The state of a key is in its
// cell, so that finding it is one cache miss; with a map to an index it was two, and the key
// was hashed a second time.
//
// The caller hashes. Keys with the same hash are told apart, at the price of a longer
// search, so hashes need a secret seed.
//
// insert and remove move cells: pointers to cells and indexes are valid until the next call
// of either.
type table[K comparable] struct {
	cells []cell[K] // a power of two of them, some always empty, so that each search ends
	used  int
}

type cell[K comparable] struct {
	hash uint64 // odd; 0: the cell is empty
	tat  int64  // busy: the key has a Limiter of its own
	key  K
}

func newTable[K comparable]() table[K] { return table[K]{cells: make([]cell[K], 1)} }

// home returns where the search for a hash begins. The lowest bit is always set, and the
// highest bits have chosen the shard.
func (t *table[K]) home(hash uint64) int { return int(hash>>1) & (len(t.cells) - 1) }

func (t *table[K]) next(i int) int { return (i + 1) & (len(t.cells) - 1) }

// find returns the cell of a key, or nil.
func (t *table[K]) find(key K, hash uint64) *cell[K] {
	for i := t.home(hash); ; i = t.next(i) {
		c := &t.cells[i]
		if c.hash == hash && c.key == key {
			return c
		}
		if c.hash == 0 {
			return nil
		}
	}
}

// insert adds a key that is not in the table, and returns its cell.
func (t *table[K]) insert(c cell[K]) *cell[K] {
	if (t.used+1)*4 > len(t.cells)*3 { // if fuller, searches soon get long
		t.grow()
	}
	t.used++
	return t.put(c)
}

func (t *table[K]) put(c cell[K]) *cell[K] {
	i := t.home(c.hash)
	for t.cells[i].hash != 0 {
		i = t.next(i)
	}
	t.cells[i] = c
	return &t.cells[i]
}

func (t *table[K]) grow() {
	old := t.cells
	t.cells = make([]cell[K], max(2*len(old), 8))
	for i := range old {
		if old[i].hash != 0 {
			t.put(old[i])
		}
	}
}

// remove empties a cell. It moves back the later cells whose search passes the empty one,
// rather than leave a mark, so that a table through which many keys go stays as fast as a
// new one. A walk upwards that removes a cell looks at the same index again, and misses
// none.
func (t *table[K]) remove(hole int) {
	for i := t.next(hole); t.cells[i].hash != 0; i = t.next(i) {
		if t.distance(t.home(t.cells[i].hash), i) >= t.distance(hole, i) {
			t.cells[hole] = t.cells[i]
			hole = i
		}
	}
	t.cells[hole] = cell[K]{}
	t.used--
}

// distance returns the steps of a search between two indexes.
func (t *table[K]) distance(from, to int) int { return (to - from) & (len(t.cells) - 1) }

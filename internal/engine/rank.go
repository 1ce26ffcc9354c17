package engine

import "math/bits"

// rank says where an entry stands: the time of entering less the head start of its priority, in
// nanoseconds; smaller goes first. It has 128 bits, which hold that exactly for any time, priority
// and aging, so that no two priorities count the same. The first word has the sign.
type rank struct {
	high int64
	low  uint64
}

// rankOf is the rank of what entered at a reading of the clock without a priority.
func rankOf(at int64) rank { return rank{at >> 63, uint64(at)} }

// rankAt is the rank of what entered at a reading of the clock, with priority times aging, which is
// positive, as its head start.
func rankAt(at int64, priority int, aging int64) rank {
	size := uint64(priority)
	if priority < 0 {
		size = -size
	}
	high, low := bits.Mul64(size, uint64(aging))
	r := rankOf(at)
	var carry uint64
	if priority < 0 {
		r.low, carry = bits.Add64(r.low, low, 0)
		r.high += int64(high + carry)
	} else {
		r.low, carry = bits.Sub64(r.low, low, 0)
		r.high -= int64(high + carry)
	}
	return r
}

func (r rank) less(than rank) bool {
	return r.high < than.high || r.high == than.high && r.low < than.low
}

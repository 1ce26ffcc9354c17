package engine

import "time"

// quantum is how much work is taken at once, going by what items have cost lately. Slow
// items are taken one at a time, and a queue then behaves like a channel.
const quantum = 50 * time.Microsecond

// pace is what an item has cost lately, in nanoseconds; 0 if nothing is known.
type pace int64

// learn takes into account that n items took spent nanoseconds. A higher cost is
// adopted at once, a lower one gradually.
func (p *pace) learn(spent int64, n int) {
	cost := pace(max(spent/int64(n), 1))
	if *p == 0 || cost > *p {
		*p = cost
	} else {
		*p += (cost - *p) / 4
	}
}

// fit returns how many items may be taken at once: what fits into the quantum, from 1
// to limit. The very first item is taken alone.
func (p *pace) fit(limit int) int {
	if *p == 0 {
		return 1
	}
	return int(min(max(int64(quantum)/int64(*p), 1), int64(limit)))
}

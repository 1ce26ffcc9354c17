package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mortal is an item that may die.
type mortal struct {
	id    int
	dead  bool
	place uint32
}

func newMortals(limit int) *Queue[*mortal] {
	q := NewQueue[*mortal](NewClock(), limit)
	q.Dead = func(m *mortal) bool { return m.dead }
	q.Place = func(m *mortal) *uint32 { return &m.place }
	q.Older = func(a, b *mortal) bool { return a.id < b.id }
	return q
}

// A queue has room for as many items as it may hold less those in it that live, whatever has been buried, taken, put back
// and dropped, and gives the living in order. Sequence numbers go round after 2^31 items.
func TestBuriedItemsLeaveTheirRoom(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		limit := 1 + rnd.IntN(200)
		q := newMortals(limit)
		q.taken = rnd.Uint64N(2) * (1<<31 - 50)
		tk := q.newTakerLocked()
		var inQueue, inHand []*mortal // alive, in order
		next := 0
		kill := func(of *[]*mortal) {
			i := rnd.IntN(len(*of))
			m := (*of)[i]
			*of = slices.Delete(*of, i, i+1)
			m.dead = true
			q.Bury(m)
		}
		claim := func() *mortal {
			for v := tk.Claim(); v != nil; v = tk.Claim() {
				if !(*v).dead {
					return *v
				}
			}
			return nil
		}
		for range 2000 {
			switch op := rnd.IntN(12); {
			case op < 5:
				m := &mortal{id: next}
				next++
				if len(inQueue) >= limit {
					require.ErrorIs(t, q.TryPut(m), ErrFull, "seed %d", seed)
					continue
				}
				require.NoError(t, q.TryPut(m), "seed %d: %d of %d", seed, len(inQueue), limit)
				inQueue = append(inQueue, m)
			case op == 5:
				m := &mortal{id: next}
				next++
				old, full, err := q.Replace(m, nil)
				require.NoError(t, err)
				require.Equal(t, len(inQueue) >= limit, full, "seed %d", seed)
				if full {
					require.Same(t, inQueue[0], old, "seed %d", seed)
					inQueue = inQueue[1:]
				}
				inQueue = append(inQueue, m)
			case op < 9 && len(inQueue) > 0:
				kill(&inQueue)
			case op == 9 && len(inHand) > 0:
				kill(&inHand)
			case op == 10 && len(inHand) > 0:
				require.Same(t, inHand[0], claim(), "seed %d", seed)
				if rnd.IntN(3) == 0 {
					tk.PutBack()
					q.onTheWay, tk.roused = false, false
					inQueue, inHand = append(slices.Clone(inHand), inQueue...), nil
					continue
				}
				inHand = inHand[1:]
			case op == 11 && len(inHand) == 0:
				require.Nil(t, claim())
				before := q.items.size
				if !tk.takeLocked(1 + rnd.IntN(10)) {
					require.Empty(t, inQueue)
					continue
				}
				taken := before - q.items.size
				for _, m := range tk.chunk[:taken] {
					if !m.dead {
						require.Same(t, inQueue[0], m, "seed %d", seed)
						inQueue = inQueue[1:]
						inHand = append(inHand, m)
					}
				}
			}
			require.Equal(t, limit-len(inQueue), q.roomLocked(), "seed %d", seed)
			require.LessOrEqual(t, q.items.size, max(2*len(inQueue)+1, len(inQueue)+fewDead+1), "seed %d: dead items are taken out", seed)
		}
	}
}

// To bury an item of a full queue and put another one in takes the same time in a long queue as in a short one.
func TestBuryInALongQueue(t *testing.T) {
	perPair := func(limit int) time.Duration {
		q := newMortals(limit)
		all := make([]*mortal, limit)
		for i := range all {
			all[i] = &mortal{id: i}
			require.NoError(t, q.TryPut(all[i]))
		}
		best := time.Hour
		for round := range 5 {
			begun := time.Now()
			for i := range 100 {
				m := all[(round*100+i)*7919%limit]
				m.dead = true
				q.Bury(m)
				require.NoError(t, q.TryPut(&mortal{id: limit}))
			}
			best = min(best, time.Since(begun)/100)
		}
		return best
	}
	short, long := perPair(1000), perPair(300_000)
	assert.Less(t, long, 50*short+10*time.Microsecond, "300 times as long a queue")
}

package ratelimit

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hashes are ways to hash a key, from none that collide to all. In here, for the hashes are not
// to be had from outside.
var hashes = map[string]func(key int) uint64{
	"spread":          func(key int) uint64 { return uint64(key)*0x9e3779b97f4a7c15 | 1 },
	"all alike":       func(int) uint64 { return 1 },
	"all at the end":  func(int) uint64 { return 1<<64 - 1 },
	"one home":        func(key int) uint64 { return uint64(key)<<40 | 1 },
	"two at the ends": func(key int) uint64 { return -uint64(key&1) | 1 },
	"neighbours":      func(key int) uint64 { return uint64(key%7)<<1 | 1 },
}

func checkTable(t *testing.T, table *table[int], want map[int]int64, hash func(int) uint64) {
	t.Helper()
	require.Equal(t, len(want), table.used)
	used := 0
	for i := range table.cells {
		if table.cells[i].hash != 0 {
			used++
		}
	}
	require.Equal(t, len(want), used)
	require.LessOrEqual(t, used*4, len(table.cells)*3)
	for key, tat := range want {
		c := table.find(key, hash(key))
		require.NotNil(t, c, "key %d", key)
		require.Equal(t, tat, c.tat, "key %d", key)
	}
}

// A table is a map, however its keys collide, and while it grows.
func TestTableAgreesWithAMap(t *testing.T) {
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			const keys = 60
			rnd := rand.New(rand.NewPCG(1, 2))
			table, want := newTable[int](), make(map[int]int64)
			for round := range int64(3000) {
				key := rnd.IntN(keys)
				c := table.find(key, hash(key))
				_, there := want[key]
				require.Equal(t, there, c != nil, "key %d", key)
				switch {
				case !there:
					table.insert(cell[int]{hash: hash(key), tat: round, key: key})
					want[key] = round
				case rnd.IntN(2) == 0:
					c.tat, want[key] = round, round
				default:
					for i := range table.cells {
						if &table.cells[i] == c {
							table.remove(i)
							break
						}
					}
					delete(want, key)
				}
				checkTable(t, &table, want, hash)
			}
		})
	}
}

// A walk that removes some sees each key, and finds the others where a search does.
func TestTableRemovesDuringAWalk(t *testing.T) {
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			for keys := range 50 {
				table, want := newTable[int](), make(map[int]int64)
				for key := range keys {
					table.insert(cell[int]{hash: hash(key), key: key})
					if key%3 == 0 {
						want[key] = 0
					}
				}
				seen := make(map[int]bool)
				for i := 0; i < len(table.cells); {
					c := table.cells[i]
					if c.hash != 0 {
						seen[c.key] = true
						if c.key%3 != 0 {
							table.remove(i)
							continue
						}
					}
					i++
				}
				require.Len(t, seen, keys)
				checkTable(t, &table, want, hash)
			}
		})
	}
}

// searched returns how many cells are looked at for a key, on average.
func searched[K comparable](k *Keyed[K]) float64 {
	steps, keys := 0, 0
	for i := range k.shards {
		t := &k.shards[i].table
		for j := range t.cells {
			if c := &t.cells[j]; c.hash != 0 {
				steps += t.distance(t.home(c.hash), j) + 1
				keys++
			}
		}
	}
	return float64(steps) / float64(keys)
}

// Keys that have a pattern are found as quickly as others: with linear probing and three
// quarters of the cells used, 2.5 are looked at.
func TestKeyedSpreadsKeysThatHaveAPattern(t *testing.T) {
	const keys = 50_000
	numbers := map[string]func(i int) uint64{
		"one after the other": func(i int) uint64 { return uint64(i) },
		"high bits":           func(i int) uint64 { return uint64(i) << 44 },
		"strides":             func(i int) uint64 { return uint64(i) * 4096 },
	}
	for name, number := range numbers {
		k, s := NewKeyed[uint64](1, 1), NewKeyed[string](1, 1)
		for i := range keys {
			k.Allow(number(i))
			s.Allow("user-" + strconv.FormatUint(number(i), 10) + "@example.com")
		}
		assert.Less(t, searched(k), 3.0, name)
		assert.Less(t, searched(s), 3.0, name)
	}
}

// Who finds keys that collide in one Keyed has found nothing for another.
func TestKeyedHasASeedOfItsOwn(t *testing.T) {
	a, b := NewKeyed[string](1, 1), NewKeyed[string](1, 1)
	same := 0
	for i := range 1000 {
		_, hashA := a.locate(strconv.Itoa(i))
		_, hashB := b.locate(strconv.Itoa(i))
		if hashA == hashB {
			same++
		}
	}
	assert.Zero(t, same)
}

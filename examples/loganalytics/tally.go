package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/millstream-go/millstream/examples/internal/show"
)

// A tally is a batch of lines, added up.
type tally struct {
	lines   int
	windows []*window // few, since lines come roughly in the order of their time
	counts  counts
	bad     []badLine
}

// A badLine is a line that was not understood.
type badLine struct {
	place int // in its batch
	text  string
	err   error
}

func newTally(lines int) *tally {
	return &tally{lines: lines, counts: newCounts(lines, false)}
}

func (t *tally) add(r record, width time.Duration) {
	t.counts.add(r)
	start := startOf(r.at, width)
	for _, w := range slices.Backward(t.windows) {
		if w.start == start {
			w.add(r)
			return
		}
	}
	w := &window{start: start}
	w.add(r)
	t.windows = append(t.windows, w)
}

// counts are requests by what they asked for and by who asked.
type counts struct{ requests, clients counter }

func newCounts(most int, clones bool) counts {
	return counts{newCounter(most, clones), newCounter(most, clones)}
}

func (c *counts) add(r record) {
	c.requests.add(r.request, 1)
	c.clients.add(r.client, 1)
}

func (c *counts) merge(o counts) {
	c.requests.merge(&o.requests)
	c.clients.merge(&o.clients)
}

// maxKeys bounds the memory for requests, and that for clients. What comes first is
// counted by its name, and what comes when all names are taken is counted as others.
const maxKeys = 1_000_000

// A counter counts keys. It knows them in the order in which they came: so counters of
// batches, merged in the order of the batches, count as one counter that is given all
// keys does, also when there are too many.
type counter struct {
	most   int
	clones bool // its keys, which else keep the lines in memory that they are parts of
	place  map[string]int
	rows   []row
	others uint64
}

// A row is a key and how often it came.
type row struct {
	Key   string `json:"key"`
	Count uint64 `json:"requests"`
}

func newCounter(most int, clones bool) counter {
	return counter{most: most, clones: clones, place: map[string]int{}}
}

func (c *counter) add(key string, n uint64) {
	if i, ok := c.place[key]; ok {
		c.rows[i].Count += n
		return
	}
	if len(c.rows) == c.most {
		c.others += n
		return
	}
	if c.clones {
		key = strings.Clone(key)
	}
	c.place[key] = len(c.rows)
	c.rows = append(c.rows, row{key, n})
}

// merge adds the counter of a batch, which has room for all keys of it.
func (c *counter) merge(o *counter) {
	for _, r := range o.rows {
		c.add(r.Key, r.Count)
	}
}

// top returns the rows with the highest counts.
func (c *counter) top(n int) []row {
	all := slices.Clone(c.rows)
	slices.SortFunc(all, func(a, b row) int {
		if a.Count != b.Count {
			if a.Count > b.Count {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Key, b.Key)
	})
	return all[:min(n, len(all))]
}

// maxMessages is how many malformed lines are shown; the others are only counted. Who
// gives the program the wrong file should not have to scroll.
const maxMessages = 5

// maxShown is how much of a malformed line is shown.
const maxShown = 80

// malformed says on out which lines were not understood, and counts them.
type malformed struct {
	log   string
	out   io.Writer
	count int
	why   map[string]int
	first []shown
}

// A shown is a malformed line that is shown.
type shown struct {
	Line  int    `json:"line"` // from 1
	Text  string `json:"text"` // its begin
	Error string `json:"error"`
}

// add takes in a line, whose number is counted from 0.
func (m *malformed) add(index int, text string, err error) {
	m.count++
	if m.why == nil {
		m.why = map[string]int{}
	}
	m.why[err.Error()]++
	if len(m.first) == maxMessages {
		return
	}
	if len(text) > maxShown {
		text = text[:maxShown] + "..."
	}
	s := shown{index + 1, strings.ToValidUTF8(text, "\uFFFD"), err.Error()}
	m.first = append(m.first, s)
	complain(m.out, fmt.Sprintf("%s:%d: %s: %s", m.log, s.Line, s.Error, text))
}

// close says how many lines were not shown.
func (m *malformed) close() {
	if more := m.count - len(m.first); more > 0 {
		complain(m.out, fmt.Sprintf("and %s more malformed lines", show.Commas(more)))
	}
}

package pipeline

import "fmt"

// StageOption sets how one stage runs. An option given twice to the same stage,
// and one whose value makes no sense, panics when the flow is built.
type StageOption func(*config)

// config is what the options of a stage come to.
type config struct {
	kind    string
	name    string
	workers int // 0: no pool of its own
	buffer  int
	ordered bool
	window  int // 0: not said

	given map[string]bool
}

const (
	defaultBuffer = 256

	// windowPerWorker keeps an ordered stage busy behind a slow head: as many
	// inputs a worker may be done and wait for it.
	windowPerWorker = 64
	fullWindow      = 4096 // but not beyond it, except for one a worker
)

// Named names the stage in errors. The default is the kind of the step, "map" for
// [Map], and so on.
func Named(name string) StageOption {
	return func(c *config) {
		c.once("Named")
		if name == "" {
			c.refuse("Named: empty name")
		}
		c.name = name
	}
}

// Workers gives the stage a pool of n workers of its own, so that up to n calls
// of its function run at once. Outputs then come in the order in which the calls
// end, unless the stage is [Ordered]. Without it the function is called by one
// goroutine at a time, in order. A worker is started when an item finds no idle
// one. n below 1 panics.
func Workers(n int) StageOption {
	return func(c *config) {
		c.once("Workers")
		if n < 1 {
			c.refuse(fmt.Sprintf("Workers(%d): want at least 1", n))
		}
		c.workers = n
	}
}

// Ordered makes a stage with workers give its outputs in the order of its inputs.
// window bounds how many inputs are in the stage at once, in flight and finished
// but waiting for an earlier one, so that a slow input cannot make the rest pile
// up; it must not be below the number of workers, and counts as 65,536 above that.
// The default is 64 a worker up to 4,096, and at least one a worker. A stage
// without workers is in order anyway.
func Ordered(window ...int) StageOption {
	return func(c *config) {
		c.once("Ordered")
		switch {
		case len(window) > 1:
			c.refuse("Ordered: more than one window")
		case len(window) == 1 && window[0] < 1:
			c.refuse(fmt.Sprintf("Ordered(%d): want at least 1", window[0]))
		case len(window) == 1:
			c.window = window[0]
		}
		c.ordered = true
	}
}

// Buffer sets how many items may wait before a stage with workers, and the same
// behind it if no other such stage follows; the default is 256. Beyond them each
// producer holds back at most 64, and never more than n. When the buffer is full,
// the steps before it wait. A small buffer saves memory where items are large; it
// costs nothing where calls take a millisecond. n below 1 panics.
func Buffer(n int) StageOption {
	return func(c *config) {
		c.once("Buffer")
		if n < 1 {
			c.refuse(fmt.Sprintf("Buffer(%d): want at least 1", n))
		}
		c.buffer = n
	}
}

func configure(kind string, opts []StageOption) config {
	c := config{kind: kind, name: kind}
	for _, opt := range opts {
		if opt == nil {
			c.refuse("nil option")
		}
		opt(&c)
	}
	if c.workers > 0 && c.window > 0 && c.window < c.workers {
		c.refuse(fmt.Sprintf("Ordered(%d) is below Workers(%d)", c.window, c.workers))
	}
	if c.buffer > 0 && c.workers == 0 {
		c.refuse("Buffer without Workers: the stage is fused with the one before and has none")
	}
	if c.buffer == 0 {
		c.buffer = defaultBuffer
	}
	if c.ordered && c.window == 0 && c.workers > 0 {
		c.window = windowPerWorker * min(c.workers, fullWindow/windowPerWorker)
		c.window = max(c.window, c.workers)
	}
	return c
}

func (c *config) once(option string) {
	if c.given[option] {
		c.refuse(option + " given twice")
	}
	if c.given == nil {
		c.given = make(map[string]bool)
	}
	c.given[option] = true
}

func (c *config) refuse(why string) {
	name := c.name
	if name != c.kind {
		name = c.kind + " " + name
	}
	panic("pipeline: " + name + ": " + why)
}

package pipelinetest

import (
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// NoLeak fails the test at its end if a goroutine that the test has started is still in the
// code of Millstream's packages. It checks after the functions that are registered with
// tb.Cleanup later than its own call. The message has the stacks. Call it first in a test,
// on the test's goroutine; it does not block.
//
// NoLeak looks only at goroutines started by the test's goroutine, directly or through
// others, so tests that run in parallel do not disturb each other. It identifies them by a
// profiler label, which a goroutine inherits; it does not see goroutines that remove the
// label, with [pprof.Do] or [pprof.SetGoroutineLabels]. It works inside a synctest bubble,
// outside, and around one. A bubble itself also waits for its goroutines, but if one never
// ends it cannot say whose it is.
func NoLeak(tb testing.TB) {
	tb.Helper()
	f := newFamily()
	pprof.SetGoroutineLabels(f.label(context.Background()))
	tb.Cleanup(func() {
		tb.Helper()
		// The caller is not a leak, even if a FailNow in the body of a range loop over a
		// flow has left that loop on its stack.
		pprof.SetGoroutineLabels(context.Background())
		if left := f.left(inAny); left != "" {
			tb.Errorf("pipelinetest: goroutines of Millstream are left at the end of %s.\n"+
				"Usual causes: a terminal that runs in the background and is not waited for, "+
				"an iter.Pull without its stop, a pool that is not closed.\n\n%s", tb.Name(), left)
		}
	})
}

// labelKey is the key of the profiler label that marks the goroutines of a family.
const labelKey = "millstream.pipelinetest"

// families is only a counter: goroutines of different bubbles can share it.
var families atomic.Int64

// family is a goroutine and those that it has started, directly or through others. Its
// value is that of their label. Labels can tell apart the goroutines of tests that run in
// parallel, which neither a dump of all stacks nor a comparison with an earlier one can.
type family string

func newFamily() family { return family(strconv.FormatInt(families.Add(1), 10)) }

// label returns a context with the label of the family.
func (f family) label(ctx context.Context) context.Context {
	return pprof.WithLabels(ctx, pprof.Labels(labelKey, string(f)))
}

// looks bounds how often left looks again. A goroutine that has just said that it is
// finished may be seen for an instant on its way out. Each look stops the world, so such a
// goroutine gets a bit further with each. Waiting by the clock instead would change the
// time in a synctest bubble.
const looks = 100

// left returns the stacks of those goroutines of the family that are in functions whose
// names begin with one of code, or "" if there are none.
func (f family) left(code []string) string {
	var left string
	for range looks {
		if left = f.look(code); left == "" {
			return ""
		}
		runtime.Gosched()
	}
	return left
}

func (f family) look(code []string) string {
	var profile, left strings.Builder
	// Neither can fail: the profile is a predefined one, and the writer is memory.
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1)
	mark := fmt.Sprintf("%q:%q", labelKey, string(f))
	for record := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(record, mark) {
			left.WriteString(describe(record, code))
		}
	}
	return left.String()
}

const module = "github.com/millstream-go/millstream/"

// What to look for, as prefixes of function names.
var (
	// inRun is what only runs of flows do: the steps of a flow, and the calls of a stage's
	// workers. An idle worker may belong to a pool that the stage uses, which was started
	// in the run and is meant to outlive it.
	inRun = []string{module + "pipeline.", module + "internal/engine.(*worker["}

	// inAny is everything that starts goroutines.
	inAny = []string{module + "pipeline.", module + "internal/engine.", module + "pool."}
)

// describe returns a record of the goroutine profile in the format of a panic's stacks, or
// "" if none of its frames is in the code to look for.
//
// A record is a line "2 @ 0x47c4ae 0x415b0c", for two goroutines with this stack, one with
// labels, and one per frame, "#	0x47c4ad	main.f+0x2d	/src/main.go:12".
func describe(record string, code []string) string {
	var stack strings.Builder
	ours := false
	count := ""
	for line := range strings.Lines(strings.TrimSpace(record)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 1 && fields[1] == "@":
			count = fields[0]
		case len(fields) > 3 && fields[0] == "#" && strings.HasPrefix(fields[1], "0x"):
			name := fields[2]
			if plus := strings.LastIndex(name, "+0x"); plus >= 0 {
				name = name[:plus]
			}
			ours = ours || begins(name, code)
			fmt.Fprintf(&stack, "%s\n\t%s\n", name, strings.Join(fields[3:], " "))
		}
	}
	if !ours {
		return ""
	}
	return fmt.Sprintf("%s with this stack:\n%s\n", count, stack.String())
}

func begins(function string, code []string) bool {
	return slices.ContainsFunc(code, func(prefix string) bool { return strings.HasPrefix(function, prefix) })
}

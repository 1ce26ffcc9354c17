//go:build !purego && !faketime

package engine

// readTicks reads the processor's time-stamp counter.
//
//go:noescape
func readTicks() uint64

// invariantTicks reports whether the counter runs at a constant rate, whatever the
// processor does to save power (CPUID leaf 0x80000007, EDX bit 8).
//
//go:noescape
func invariantTicks() bool

//go:build !amd64 || purego || faketime

package engine

func readTicks() uint64 { return 0 }

func invariantTicks() bool { return false }

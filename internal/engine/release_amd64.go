//go:build !purego && !race

package engine

// storeRelease is a plain store: on this processor, a reader that sees it also sees all
// that was written before.
//
//go:noescape
func storeRelease(addr *uint32, v uint32)

//go:build !purego && !race

package engine

// storeRelease is a plain store: on this processor all that was written before is seen
// by whoever sees it.
//
//go:noescape
func storeRelease(addr *uint32, v uint32)

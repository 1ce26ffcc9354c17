//go:build !amd64 || purego || race

package engine

import "sync/atomic"

func storeRelease(addr *uint32, v uint32) { atomic.StoreUint32(addr, v) }

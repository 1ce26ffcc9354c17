package engine

import "sync/atomic"

// released is a number that is published with what was written before it.
type released struct{ v uint32 }

func (r *released) Load() uint32   { return atomic.LoadUint32(&r.v) }
func (r *released) Store(v uint32) { atomic.StoreUint32(&r.v, v) }

// Release is a Store that may be seen later: at the latest after its caller has made
// any other atomic change; a load is none. It saves waiting for the processor's store
// buffer, which is most of the cost of a Store that no other processor reads.
func (r *released) Release(v uint32) { storeRelease(&r.v, v) }

package engine

import "sync/atomic"

// released is a number that is published with what was written before it.
type released struct{ v uint32 }

func (r *released) Load() uint32   { return atomic.LoadUint32(&r.v) }
func (r *released) Store(v uint32) { atomic.StoreUint32(&r.v, v) }

// Release is a Store that may be seen later: at the latest when the one who called it has
// made any other atomic change, a load not being one. It spares the wait for the
// processor's store buffer, which is most of what a Store costs where nobody looks.
func (r *released) Release(v uint32) { storeRelease(&r.v, v) }

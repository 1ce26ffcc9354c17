package subject

import (
	"context"
	"sync"
)

// request is how one asks for an output where a pool has no place for it: the function puts it here and tells the one
// who waits. Requests are used again, with their channels.
type request struct {
	in   int
	out  int
	err  error
	done chan struct{}
}

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// asked has hand pass on a request for v and waits for the output.
func asked(v int, hand func(*request) error) (int, error) {
	r := requests.Get().(*request)
	defer requests.Put(r)
	r.in = v
	if err := hand(r); err != nil {
		return 0, err
	}
	<-r.done
	return r.out, r.err
}

func (r *request) serve(fn Func) {
	r.out, r.err = fn(context.Background(), r.in)
	r.done <- struct{}{}
}

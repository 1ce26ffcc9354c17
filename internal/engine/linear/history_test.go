package linear

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// history records calls. Instants are those of a common counter: each is one of its own, so that a call that returned
// before another began is known to have.
type history struct {
	clock atomic.Int64

	mu  sync.Mutex
	ops []porcupine.Operation
}

// call records what f does and returns. client is its caller, who makes one call at a time.
func (h *history) call(client int, in any, f func() any) {
	begin := h.clock.Add(1)
	out := f()
	h.add(client, in, out, begin, h.clock.Add(1))
}

// steps records what f does, which takes effect at several instants, as an operation for each. clients is how many there
// are: for all but the first operation others are made up, since one client makes one call at a time.
func (h *history) steps(client, clients int, ops []any, f func()) {
	begin := h.clock.Add(1)
	f()
	end := h.clock.Add(1)
	for i, op := range ops {
		h.add(client+i*clients, op, nil, begin, end)
	}
}

func (h *history) add(client int, in, out any, begin, end int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: begin, Return: end})
}

// linearizable tells whether the model allows the history. A search without an end in a minute counts as not: with the
// few calls of a history here it takes some milliseconds.
func linearizable(model *porcupine.Model, h *history) bool {
	return porcupine.CheckOperationsTimeout(*model, h.ops, time.Minute) == porcupine.Ok
}

// accept fails the test with the history, in the order in which calls began, if the model does not allow it.
func accept(t *testing.T, model *porcupine.Model, h *history, seed uint64) {
	t.Helper()
	if linearizable(model, h) {
		return
	}
	for _, op := range h.ops {
		t.Logf("%3d to %3d, client %d: %s", op.Call, op.Return, op.ClientId, model.DescribeOperation(op.Input, op.Output))
	}
	require.Fail(t, "not linearizable", "seed %d", seed)
}

// jitter lets others run, now and then.
func jitter(r *rand.Rand) {
	for range r.IntN(4) {
		runtime.Gosched()
	}
}

// histories is how many of a kind are recorded.
func histories() int {
	if testing.Short() {
		return 1000
	}
	return 10_000
}

package pool

import (
	"slices"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// How workers start and stop: the part of slots that changes the set of workers.

// startLocked starts a worker with the lowest free number.
func (s *slots) startLocked() *slot {
	for len(s.vacant) > 0 {
		id := popInt(&s.vacant)
		s.seats[id].listed = false
		if s.seats[id].slot == nil && !s.seats[id].gone {
			return s.seatLocked(id)
		}
	}
	if len(s.seats) == s.ids {
		return nil // the number of a halting worker is not free yet
	}
	s.seats = append(s.seats, seat{})
	return s.seatLocked(len(s.seats) - 1)
}

func (s *slots) seatLocked(id int) *slot {
	got := &slot{id: id}
	s.seats[id].slot = got
	s.started++
	return got
}

// partLocked takes a slot that is not held out of use. Its worker has stopped; the
// caller must then call retire, without the lock.
func (s *slots) partLocked(r *slot) {
	r.closing = true
	s.started--
	s.closing.Add(1) // so that the end of the pool waits for retire
}

// retire closes what was opened for a worker that has stopped. After that its number is
// free, unless the worker was halted.
func (s *slots) retire(r *slot) {
	if !r.opened {
		s.vacate(r, nil)
		return
	}
	go func() { // ends with the user's close; Dissolve waits for it
		err := engine.ErrGoexit // unless close returns: the number becomes free even then
		defer func() { s.vacate(r, err) }()
		err = s.close(r)
	}()
}

// vacate removes a slot that has been retired.
func (s *slots) vacate(r *slot, err error) {
	defer s.closing.Done()
	s.mu.Lock()
	if s.changed != nil {
		s.changed(WorkerStopped, r, err) // before its number can be used again, and while it can still be halted
	}
	s.seats[r.id].slot = nil
	if r.halting {
		s.seats[r.id].gone = true
	} else {
		s.offerLocked(r.id)
	}
	s.unlock()
}

// offerLocked lists a number as free to start.
func (s *slots) offerLocked(id int) {
	if !s.seats[id].listed {
		s.seats[id].listed = true
		pushInt(&s.vacant, id)
	}
}

// armLocked sets the timer for the worker that has been idle longest, if that worker
// may be stopped.
func (s *slots) armLocked() {
	if s.armed || s.coldest == nil || s.started <= s.keep || s.over {
		return
	}
	s.armed = true
	d := time.Duration(s.coldest.idleSince - s.clock.Now() + int64(s.idle))
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.sweep)
	} else {
		s.timer.Reset(d)
	}
}

// sweep stops workers that have been idle for too long.
func (s *slots) sweep() {
	now := s.clock.Now()
	for {
		s.mu.Lock()
		s.armed = false
		cold := s.coldest
		if cold == nil || s.over || s.started <= s.keep || now-cold.idleSince < int64(s.idle) {
			s.armLocked()
			started := s.started
			s.mu.Unlock()
			s.trim(max(started, s.keep))
			return
		}
		s.unlinkLocked(cold)
		s.partLocked(cold)
		s.unlock()
		s.retire(cold)
	}
}

// Pause stops handing out slots, and asks for those that are held.
func (s *slots) Pause() {
	s.mu.Lock()
	s.paused = true
	s.recallLocked()
	s.mu.Unlock()
}

// recallLocked asks for all slots.
func (s *slots) recallLocked() {
	for _, at := range s.seats {
		if at.slot != nil && at.slot.held {
			at.slot.leave.Store(true)
		}
	}
}

// Resume ends a pause.
func (s *slots) Resume() {
	s.mu.Lock()
	s.paused = false
	s.unlock()
}

// Halt stops a worker after its current call. With now, it returns that call and the
// jobs that run in a share of the slot, as far as they have started; a job that is just
// about to start notices the halt itself. With keepOne, it does not stop the last worker.
func (s *slots) Halt(id int, now, keepOne bool) (inHand []*callCtx, err error) {
	s.mu.Lock()
	switch {
	case s.over:
		s.mu.Unlock()
		return nil, ErrClosed
	case id < 0 || id >= s.ids || id < len(s.seats) && s.seats[id].gone:
		s.mu.Unlock()
		return nil, ErrNoWorker
	}
	for len(s.seats) <= id {
		s.seats = append(s.seats, seat{})
		s.offerLocked(len(s.seats) - 1)
	}
	r := s.seats[id].slot
	if r != nil && r.halting {
		if now {
			inHand = r.inHandLocked()
		}
		s.mu.Unlock()
		return inHand, nil
	}
	if keepOne && s.workers == 1 {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	s.workers--
	idle := s.haltLocked(id)
	if r != nil && r.held { // its call may be stuck: the other workers go on as before
		r.excused = true
		s.excused++
		s.held--
	}
	if r != nil && now {
		inHand = r.inHandLocked()
	}
	s.unlock()
	if idle {
		s.retire(r)
	}
	return inHand, nil
}

// inHandLocked returns the calls that are to end: the one that runs in the slot, and then
// the jobs in a share of it. It sets its mark before it looks: see slot.call.
func (r *slot) inHandLocked() []*callCtx {
	r.now.Store(true)
	c := r.call.Load()
	switch {
	case c == nil:
		c = r.direct
	case c.job != 0:
		c = r.runningLocked() // a job that has not started may yet be put back
	}
	if c == nil {
		return slices.Clone(r.nested)
	}
	return append([]*callCtx{c}, r.nested...)
}

// unnest records that a job which ran in the share of a call has ended.
func (s *slots) unnest(c *callCtx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := c.slot.Load()
	i := slices.Index(r.nested, c)
	r.nested = slices.Delete(r.nested, i, i+1)
}

// runningLocked returns the context of the job that runs in the slot, or nil if there is
// none. A job that the slot's call names may still be queued, or have been claimed by
// another goroutine, which the worker is about to notice.
func (r *slot) runningLocked() *callCtx {
	c := r.call.Load()
	if c == nil || c.job == 0 || c.status() != result.Running || c.nested {
		return nil
	}
	if at := c.slot.Load(); at != nil && at != r {
		return nil
	}
	return c
}

// haltLocked makes the worker of a seat stop. It reports whether the worker was idle:
// then the caller must call retire.
func (s *slots) haltLocked(id int) (idle bool) {
	r := s.seats[id].slot
	if r == nil {
		s.seats[id].gone = true
		return false
	}
	r.halting = true
	r.leave.Store(true)
	if s.changed != nil {
		s.changed(WorkerHalted, r, nil) // before WorkerStopped can be told
	}
	if r.held || r.closing {
		return false
	}
	s.unlinkLocked(r)
	s.partLocked(r)
	return true
}

// Resize sets how many workers there are. To remove workers, it first stops those that
// have not started or are idle, then others after their calls; in either group, the
// highest numbers first.
func (s *slots) Resize(n int) error {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return ErrClosed
	}
	for _, at := range s.seats { // from now on, all calls count again
		if at.slot != nil && at.slot.excused {
			at.slot.excused = false
			s.excused--
			s.held++
		}
	}
	if n >= s.workers {
		s.growLocked(n)
		s.stayLocked()
		s.unlock()
		return nil
	}
	more := min(s.workers-n, s.ids-len(s.seats))
	s.ids -= more
	s.workers -= more
	var idle []*slot
	for _, wanted := range []bool{false, true} {
		for id := len(s.seats) - 1; id >= 0 && s.workers > n; id-- {
			at := s.seats[id]
			isBusy := at.slot != nil && at.slot.held
			if at.gone || at.slot != nil && at.slot.halting || isBusy != wanted {
				continue
			}
			s.workers--
			if s.haltLocked(id) {
				idle = append(idle, at.slot)
			}
		}
	}
	s.stayLocked()
	s.unlock()
	for _, r := range idle {
		s.retire(r)
	}
	return nil
}

// stayLocked makes the remaining workers wait, after their calls, until fewer calls are
// under way than there are workers.
func (s *slots) stayLocked() {
	if s.held > s.workers {
		s.recallLocked()
	}
}

// growLocked adds workers: those that are about to stop stay, and then the lowest free
// numbers are used.
func (s *slots) growLocked(n int) {
	for id := range s.seats {
		if s.workers == n {
			return
		}
		if r := s.seats[id].slot; r != nil && r.halting {
			r.halting = false // the slot is still asked for, since its context may have been ended
			r.now.Store(false)
			s.workers++
		}
	}
	for id := range s.seats {
		if s.workers == n {
			return
		}
		if s.seats[id].gone {
			s.seats[id].gone = false
			s.offerLocked(id)
			s.workers++
		}
	}
	s.ids += n - s.workers
	s.workers = n
}

// Dissolve stops all workers once no slot is held any more, and waits until what was
// opened for them is closed.
func (s *slots) Dissolve() {
	s.Close()
	s.mu.Lock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
	for r := s.free; r != nil; r = s.free {
		s.unlinkLocked(r)
		s.partLocked(r)
		s.mu.Unlock()
		s.retire(r)
		s.mu.Lock()
	}
	s.mu.Unlock()
	s.closing.Wait()
}

// pushInt and popInt maintain a heap of numbers, the lowest first.
func pushInt(h *[]int, v int) {
	*h = append(*h, v)
	for i := len(*h) - 1; i > 0; {
		up := (i - 1) / 2
		if (*h)[up] <= (*h)[i] {
			return
		}
		(*h)[up], (*h)[i] = (*h)[i], (*h)[up]
		i = up
	}
}

func popInt(h *[]int) int {
	s := *h
	least, last := s[0], len(s)-1
	s[0] = s[last]
	s = s[:last]
	*h = s
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			return least
		}
		if down+1 < last && s[down+1] < s[down] {
			down++
		}
		if s[i] <= s[down] {
			return least
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
}

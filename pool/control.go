package pool

import "fmt"

// Resize sets how many workers the pool has. For more of them, first those stay that
// are about to stop, also if [Pool.Halt] has asked them to; then new ones start as there
// is work for them. Of those that are too many, first the idle ones stop, then others
// behind the call in hand, which it does not wait for. All calls under way count, those
// of halted workers as well: no new one starts before fewer are under way than n. A Map
// or Stream that has begun uses no more workers than there were at its beginning, at
// least one.
//
// With 0 nothing starts any more until the pool is resized again. n below 0 is an
// error; so is 0 once [Pool.Shutdown] has begun, and any other n after the end of the
// pool: both are [ErrClosed].
func (p *Pool[In, Out]) Resize(n int) error {
	if n < 0 {
		return fmt.Errorf("pool: Resize(%d): want at least 0", n)
	}
	p.control.Lock()
	defer p.control.Unlock()
	if p.finishing && n == 0 {
		return ErrClosed
	}
	if err := p.slots.Resize(n); err != nil {
		return err
	}
	p.apply()
	return nil
}

// Halt stops a worker behind the call in hand, with its retries, or at once if it makes
// none: the pool has one worker less. It does not wait, and the call, which may be
// stuck, keeps the other workers from nothing. To halt it again does nothing. A number
// that is no worker's is [ErrNoWorker]; to halt the last one once [Pool.Shutdown] has
// begun, and any after the end of the pool, is [ErrClosed]. [Pool.Resize] makes new
// workers: until the call has ended it takes this one back, afterwards the lowest
// numbers that are free are used again. A worker that has not started yet, for lack of
// work, goes without an [Event].
func (p *Pool[In, Out]) Halt(worker int) error {
	_, err := p.halt("Halt", worker, false)
	return err
}

// HaltNow is Halt, and ends the context of the call in hand with [ErrHalted] as the
// cause: the function decides what becomes of its input.
func (p *Pool[In, Out]) HaltNow(worker int) error {
	inHand, err := p.halt("HaltNow", worker, true)
	if inHand != nil {
		inHand.end(ErrHalted)
	}
	return err
}

// halt returns the call in hand, if there is one that has started.
func (p *Pool[In, Out]) halt(method string, worker int, now bool) (*callCtx, error) {
	p.control.Lock()
	defer p.control.Unlock()
	inHand, err := p.slots.Halt(worker, now, p.finishing)
	if err != nil {
		return nil, fmt.Errorf("pool: %s(%d): %w", method, worker, err)
	}
	p.apply()
	return inHand, nil
}

// Pause lets no more calls start, of jobs or others, until [Pool.Resume]; one Resume
// ends any number of pauses. Calls under way go on, with their retries, and what they
// ask of the pool within their share. It does not wait for them. Inputs are still accepted, as far as there is room. [Pool.Shutdown] ends a
// pause, and after it there is none.
func (p *Pool[In, Out]) Pause() {
	p.control.Lock()
	defer p.control.Unlock()
	if p.finishing {
		return
	}
	p.paused = true
	p.slots.Pause()
	p.apply()
}

// Resume ends a pause. Without one it does nothing.
func (p *Pool[In, Out]) Resume() {
	p.control.Lock()
	defer p.control.Unlock()
	p.resume()
}

func (p *Pool[In, Out]) resume() {
	if !p.paused {
		return
	}
	p.paused = false
	p.slots.Resume()
	p.apply()
}

// finish makes sure that what was accepted can end: nothing holds it back, and
// somebody is there to do it.
func (p *Pool[In, Out]) finish() {
	p.control.Lock()
	defer p.control.Unlock()
	p.finishing = true
	p.resume()
	if workers, _ := p.slots.Workers(); workers == 0 {
		if p.slots.Resize(1) == nil {
			p.apply()
		}
	}
}

// apply has the queue follow the slots: as many goroutines as workers, and nothing
// handed to them while none may start a call. Halted workers, which may be stuck, keep
// theirs.
func (p *Pool[In, Out]) apply() {
	workers, halted := p.slots.Workers()
	p.crew.Resize(max(workers+halted, 1))
	p.queue.Hold((p.paused || workers == 0) && p.life.Err() == nil)
}

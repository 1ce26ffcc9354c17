package pool

import "fmt"

// Resize sets how many workers the pool has. To add workers, it first keeps those that
// are about to stop, including those that [Pool.Halt] has asked to; then new ones start
// as there is work for them. To remove workers, it first stops idle ones, then others
// after their current call, which it does not wait for. All calls under way count,
// including those of halted workers: no new call starts until fewer than n are under way.
// A Map or Stream that has already begun uses no more workers than there were when it
// began, but at least one.
//
// With 0, no call starts until the pool is resized again. An n below 0 is an error; so is
// 0 once [Pool.Shutdown] has begun, and any other n after the end of the pool: both are
// [ErrClosed].
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

// Halt stops a worker after its current call, including retries, or at once if it has
// none; the pool then has one worker less. Halt does not wait, and the call, which may be
// stuck, does not hold up the other workers. Halting a worker again does nothing. The
// error is [ErrNoWorker] for a number that no worker has, and [ErrClosed] for the last
// worker once [Pool.Shutdown] has begun and for any worker after the end of the pool.
// [Pool.Resize] makes new workers: until the call has ended, it takes this one back;
// after that, the lowest free numbers are used again. A worker that has not started yet,
// for lack of work, is removed without an [Event].
func (p *Pool[In, Out]) Halt(worker int) error {
	_, err := p.halt("Halt", worker, false)
	return err
}

// HaltNow is like Halt, but also ends the context of the current call, with [ErrHalted]
// as the cause: the function decides what becomes of its input. The same holds for jobs
// that run within the share of that call because it waits for them with [Job.Wait], but
// not for jobs that other workers run.
func (p *Pool[In, Out]) HaltNow(worker int) error {
	inHand, err := p.halt("HaltNow", worker, true)
	for _, c := range inHand {
		c.end(ErrHalted)
	}
	return err
}

// halt returns, with now, the calls that run on the worker.
func (p *Pool[In, Out]) halt(method string, worker int, now bool) ([]*callCtx, error) {
	p.control.Lock()
	defer p.control.Unlock()
	inHand, err := p.slots.Halt(worker, now, p.finishing)
	if err != nil {
		return nil, fmt.Errorf("pool: %s(%d): %w", method, worker, err)
	}
	p.apply()
	return inHand, nil
}

// Pause keeps new calls, of jobs or others, from starting until [Pool.Resume]; one Resume
// ends any number of pauses. Calls under way go on, including their retries and what they
// ask of the pool within their share; Pause does not wait for them. Inputs are still
// accepted, as long as there is room. [Pool.Shutdown] ends a pause, and after it Pause
// does nothing.
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

// Resume ends a pause. If there is none, it does nothing.
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

// finish makes sure that accepted inputs can end: nothing holds them back, and there is a
// worker for them.
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

// apply makes the queue follow the slots: it has as many goroutines as there are workers,
// and hands nothing to them while none may start a call. Halted workers, which may be
// stuck, keep their goroutines.
func (p *Pool[In, Out]) apply() {
	workers, halted := p.slots.Workers()
	p.crew.Resize(max(workers+halted, 1))
	p.queue.Hold((p.paused || workers == 0) && p.life.Err() == nil)
}

package engine_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/result"
)

const second = int64(time.Second)

func TestMeterAddsUpTime(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		clock := engine.NewClock()
		m := engine.NewMeter(clock)
		assert.Equal(t, engine.Reading{}, m.Read(clock.Now()))
		m.Hire(2)
		p, q := m.NewProbe(), m.NewProbe()
		for _, mode := range []engine.Mode{engine.Busy, engine.Blocked, engine.Limited, engine.Idle} {
			p.Switch(mode, clock.Now())
			time.Sleep(time.Second)
		}
		q.Switch(engine.Busy, clock.Now())
		time.Sleep(2 * time.Second)
		r := m.Read(clock.Now())
		assert.Equal(t, engine.Counts{Busy: 3 * second, Blocked: second, Limited: second}, r.Counts)
		assert.Equal(t, 12*second, r.Capacity)
		assert.Equal(t, 2, r.Workers)

		q.Leave() // what it is at counts too
		q.Leave() // once
		time.Sleep(time.Second)
		assert.Equal(t, 3*second, m.Read(clock.Now()).Busy)

		m.Hire(-1)
		time.Sleep(time.Second)
		m.Hire(3)
		time.Sleep(time.Second)
		r = m.Read(clock.Now())
		assert.Equal(t, [2]int64{14*second + second + 4*second, 4}, [2]int64{r.Capacity, int64(r.Workers)})
		assert.Equal(t, 15*second, m.Read(clock.Now()-second-second/2).Capacity, "a reading from before the last change")
	})
}

func TestMeterCounts(t *testing.T) {
	clock := engine.NewClock()
	m := engine.NewMeter(clock)
	p, q := m.NewProbe(), m.NewProbe()
	all := engine.Counts{In: 1, Out: 2, Errors: 3, Retries: 4, Skipped: 5, Dead: 6, Busy: 7, Blocked: 8, Limited: 9}
	p.Note(all)
	q.Note(all)
	p.Came()
	q.Went()
	q.Leave()
	want := engine.Counts{In: 3, Out: 5, Errors: 6, Retries: 8, Skipped: 10, Dead: 12, Busy: 14, Blocked: 16, Limited: 18}
	assert.Equal(t, want, m.Read(1).Counts)
	m.Say("why")
	m.Watch(func() (int, int) { return 1, 10 })
	m.Watch(func() (int, int) { return 2, 20 })
	r := m.Read(1)
	assert.Equal(t, [2]int{3, 30}, [2]int{r.Waiting, r.Peak})
	assert.Equal(t, "why", r.Note)
}

// An input at hand is not done.
func TestMeterKnowsWhatIsDone(t *testing.T) {
	clock := engine.NewClock()
	m := engine.NewMeter(clock)
	p := m.NewProbe()
	done := func() int { return int(m.Read(clock.Now()).Done) }
	p.Switch(engine.Busy, 1)
	assert.Zero(t, done(), "nothing has come")
	p.Came()
	assert.Zero(t, done())
	p.Came()
	assert.Equal(t, 1, done())
	p.Switch(engine.Blocked, 2)
	assert.Equal(t, 1, done())
	p.Switch(engine.Idle, 3)
	assert.Equal(t, 2, done())
	p.Leave()
	assert.Equal(t, 2, done())
}

// Each call is measured once, whenever a reading is taken, also if it took no time.
func TestMeterMeasuresCalls(t *testing.T) {
	m := engine.NewMeter(engine.NewClock())
	p := m.NewProbe()
	for i := range int64(100) {
		p.Ended(10, 10, 10, []error{nil, assert.AnError}[i%2])
		if i%7 == 0 {
			m.Read(1)
		}
	}
	assert.Equal(t, result.Quantiles{}, m.Read(1).Run)
	for range 100 {
		p.Ended(10, 20, 50, assert.AnError)
	}
	r := m.Read(1)
	assert.Equal(t, result.Quantiles{P90: 30, P99: 30, Max: 30}, r.Run, "half of them took none")
	assert.Equal(t, result.Quantiles{P90: 10, P99: 10, Max: 10}, r.Wait)
	p.Ended(90, 60, 50, nil)
	p.Leave()
	assert.Equal(t, time.Duration(30), m.Read(1).Run.Max, "time does not go back")
}

func TestNoProbe(t *testing.T) {
	var p *engine.Probe
	p.Switch(engine.Busy, 1)
	p.Came()
	p.Went()
	p.Note(engine.Counts{In: 1})
	p.Ended(1, 2, 3, nil)
	p.Leave()
}

// Workers come and go while others look: nothing is lost, and nothing counted twice.
func TestMeterIsReadMeanwhile(t *testing.T) {
	clock := engine.NewClock()
	m := engine.NewMeter(clock)
	m.Hire(4)
	var workers, readers sync.WaitGroup
	over := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			last := m.Read(clock.Now())
			for {
				r := m.Read(clock.Now())
				// Busy may go back: a worker can be late in saying that it has been idle since a while ago.
				if r.In < last.In || r.Out > r.In || r.Capacity < last.Capacity {
					assert.Fail(t, "a reading makes no sense", "%+v behind %+v", r, last)
					return
				}
				last = r
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	for range 4 {
		workers.Go(func() {
			for range 50 {
				p := m.NewProbe()
				for range 50 {
					p.Switch(engine.Busy, clock.Now())
					p.Came()
					now := clock.Now()
					p.Ended(now, now, clock.Now(), nil)
					p.Went()
					p.Switch(engine.Idle, clock.Now())
				}
				p.Leave()
			}
		})
	}
	workers.Wait()
	close(over)
	readers.Wait()
	r := m.Read(clock.Now())
	assert.Equal(t, [3]uint64{10_000, 10_000, 10_000}, [3]uint64{r.In, r.Out, r.Done})
	assert.LessOrEqual(t, r.Busy, r.Capacity)
}

package pipeline

import (
	"time"

	"github.com/millstream-go/millstream/internal/engine"
)

// resizer is a crew, whatever its items are.
type resizer interface{ Resize(workers int) }

// tune sets the number of workers of a crew from what its meter shows, until over is
// closed.
func tune(at site, crew resizer, meter *engine.Meter, least, most int, over <-chan struct{}) {
	t := newTuner(least, most)
	now := least
	meter.Say(t.String())
	timer := time.NewTimer(tunerFirst)
	defer timer.Stop()
	last, since := meter.Read(at.Clock.Now()), at.Clock.Now()
	for {
		select {
		case <-over:
			return
		case <-timer.C:
		}
		reading := at.Clock.Now()
		r := meter.Read(reading)
		// The copies of a stage in the lanes of a partition share the meter. This copy's share
		// of its figures is taken to be its share of the workers.
		share := float64(now) / float64(max(r.Workers, 1))
		wait := t.next(measured{
			elapsed: time.Duration(reading - since), done: int(share * float64(r.Done-last.Done)),
			busy:    time.Duration(share * float64(r.Busy-last.Busy)),
			blocked: time.Duration(share * float64(r.Blocked-last.Blocked)),
			workers: now, waiting: int(share * float64(r.Waiting)),
		})
		last, since = r, reading
		if n := t.workers(); n != now {
			meter.Hire(n - now)
			crew.Resize(n)
			now = n
		}
		meter.Say(t.String())
		timer.Reset(wait)
	}
}

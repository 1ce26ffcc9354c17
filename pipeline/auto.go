package pipeline

import (
	"time"

	"github.com/millstream-go/millstream/internal/engine"
)

// resizer is a crew, of whatever items.
type resizer interface{ Resize(workers int) }

// tune sets the number of workers of a crew by what its meter shows, until over.
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
		wait := t.next(measured{
			elapsed: time.Duration(reading - since), done: int(r.Done - last.Done),
			busy: time.Duration(r.Busy - last.Busy), blocked: time.Duration(r.Blocked - last.Blocked),
			workers: now, waiting: r.Waiting,
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

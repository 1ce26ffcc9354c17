package result

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func TestTiming(t *testing.T) {
	for _, tt := range []struct {
		name     string
		timing   Timing
		started  time.Time
		finished time.Time
		total    time.Duration
	}{
		{
			"ran", Timing{Queued: noon, Wait: time.Second, Run: 2 * time.Second},
			noon.Add(time.Second), noon.Add(3 * time.Second), 3 * time.Second,
		},
		{
			"never started", Timing{Queued: noon, Wait: time.Second},
			noon.Add(time.Second), noon.Add(time.Second), time.Second,
		},
		{"zero", Timing{}, time.Time{}, time.Time{}, 0},
		{
			"queued unknown", Timing{Wait: time.Second, Run: time.Second},
			time.Time{}, time.Time{}, 2 * time.Second,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.started, tt.timing.Started())
			assert.Equal(t, tt.finished, tt.timing.Finished())
			assert.Equal(t, tt.total, tt.timing.Total())
		})
	}
}

func TestTimingFinishedDoesNotOverflow(t *testing.T) {
	timing := Timing{Queued: noon, Wait: math.MaxInt64, Run: math.MaxInt64}
	assert.True(t, timing.Finished().After(timing.Started()))
}

func TestTimingKeepsTheMonotonicClock(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		timing := Timing{Queued: time.Now(), Wait: time.Second, Run: time.Minute}
		time.Sleep(timing.Wait)
		assert.Equal(t, time.Now(), timing.Started(), "monotonic reading included")
		time.Sleep(timing.Run)
		assert.Equal(t, time.Now(), timing.Finished())
	})
}

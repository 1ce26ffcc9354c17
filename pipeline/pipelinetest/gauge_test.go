package pipelinetest_test

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

func TestGaugeCountsWhatIsUnderWay(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var g pipelinetest.Gauge
		slow := pipelinetest.Inject(same).Always(pipelinetest.Delay(time.Second)).Call
		call := pipelinetest.Gauged(&g, slow)
		other := pipelinetest.Gauged(&g, slow)
		start := func(n int) {
			for i := range n {
				go func() {
					_, err := call(t.Context(), i)
					assert.NoError(t, err)
				}()
			}
			synctest.Wait()
		}
		start(3)
		go func() { _, _ = other(t.Context(), 0) }()
		synctest.Wait()
		assert.Equal(t, [3]int{4, 4, 4}, [3]int{g.Running(), g.Peak(), g.Total()})
		time.Sleep(time.Minute)
		assert.Equal(t, [3]int{0, 4, 4}, [3]int{g.Running(), g.Peak(), g.Total()})
		start(2)
		assert.Equal(t, [3]int{2, 4, 6}, [3]int{g.Running(), g.Peak(), g.Total()})
		time.Sleep(time.Minute)
	})
}

// A call that ends by a panic or by Goexit has ended as well.
func TestGaugeSeesEveryEndOfACall(t *testing.T) {
	var g pipelinetest.Gauge
	call := pipelinetest.Gauged(&g, pipelinetest.Inject(same).
		On(is(1), pipelinetest.Panic("x")).
		On(is(2), pipelinetest.Goexit()).
		On(is(3), pipelinetest.Error(errBoom)).Call)
	assert.Panics(t, func() { _, _ = call(t.Context(), 1) })
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = call(t.Context(), 2) })
	wg.Wait()
	_, err := call(t.Context(), 3)
	assert.Equal(t, errBoom, err)
	assert.Zero(t, g.Running())
	assert.Equal(t, 3, g.Total())
}

// The peak is exact, however many come at once.
func TestGaugePeakOfMany(t *testing.T) {
	var g pipelinetest.Gauge
	const n = 64
	var here, gone sync.WaitGroup
	here.Add(n)
	meet := pipelinetest.Inject(same).Always(pipelinetest.Hook(func() {
		here.Done()
		here.Wait()
	}))
	call := pipelinetest.Gauged(&g, meet.Call)
	for i := range n {
		gone.Go(func() {
			runtime.Gosched()
			_, _ = call(t.Context(), i)
		})
	}
	gone.Wait()
	assert.Equal(t, n, g.Peak())
	assert.Zero(t, g.Running())
}

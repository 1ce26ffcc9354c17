package ratelimit_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// runs returns which of n calls, a second after each other, run the function.
func runs(s *ratelimit.Sometimes, n int) []int {
	var ran []int
	for i := range n {
		s.Do(func() { ran = append(ran, i) })
		time.Sleep(time.Second)
	}
	return ran
}

func TestSometimesRunsAnyThatIsAllowed(t *testing.T) {
	for name, test := range map[string]struct {
		s    *ratelimit.Sometimes
		want []int
	}{
		"zero value":     {&ratelimit.Sometimes{}, []int{0}},
		"First":          {&ratelimit.Sometimes{First: 3}, []int{0, 1, 2}},
		"Every":          {&ratelimit.Sometimes{Every: 4}, []int{0, 4, 8}},
		"Interval":       {&ratelimit.Sometimes{Interval: 2500 * time.Millisecond}, []int{0, 3, 6, 9}},
		"First or Every": {&ratelimit.Sometimes{First: 2, Every: 4}, []int{0, 1, 4, 8}},
		"all":            {&ratelimit.Sometimes{First: 2, Every: 7, Interval: 5 * time.Second}, []int{0, 1, 6, 7}},
		"below zero":     {&ratelimit.Sometimes{First: -1, Every: -1, Interval: -1}, []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) { assert.Equal(t, test.want, runs(test.s, 10)) })
		})
	}
}

// The interval begins when the function has ended.
func TestSometimesCountsTheIntervalFromTheEnd(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		s, n := ratelimit.Sometimes{Interval: 2 * time.Second}, 0
		slow := func() {
			n++
			time.Sleep(5 * time.Second)
		}
		s.Do(slow)
		s.Do(slow)
		assert.Equal(t, 1, n)
		time.Sleep(2 * time.Second)
		s.Do(slow)
		assert.Equal(t, 2, n)
	})
}

// "Calls of Do wait for each other. A call whose f panics counts as none."
func TestSometimesFromManyGoroutines(t *testing.T) {
	s, n := ratelimit.Sometimes{Every: 10}, 0
	assert.Panics(t, func() { s.Do(func() { panic("oh") }) })
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 100 {
				s.Do(func() { n++ })
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 100, n)
}

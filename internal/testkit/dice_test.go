package testkit_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
)

func TestDiceOfASeedThrowTheSameAgain(t *testing.T) {
	throw := func(d *testkit.Dice) (all []int) {
		for range 20 {
			all = append(all, d.Throw(100))
		}
		return all
	}
	first := throw(testkit.NewDice(7, 1))
	assert.Equal(t, first, throw(testkit.NewDice(7, 1)))
	assert.NotEqual(t, throw(testkit.NewDice(7, 1)), throw(testkit.NewDice(7, 2)))
	assert.False(t, testkit.NewDice(7, 1).Over())
}

func TestDiceOfBytesThrowThemAndThenZeros(t *testing.T) {
	d := testkit.DiceOf([]byte{3, 255, 9, 1, 2})
	assert.Equal(t, 3, d.Throw(10))
	assert.True(t, d.One(256))
	two := d.Deal(2)
	assert.Equal(t, 9, two[0].Throw(10))
	assert.Equal(t, 2, two[0].Throw(10))
	assert.Equal(t, 1, two[1].Throw(10))
	assert.True(t, two[0].Over())
	assert.Zero(t, two[0].Throw(10))
}

func TestScaleCountsWhatIsKept(t *testing.T) {
	var s testkit.Scale
	kept := &[100]int{}
	testkit.Weigh(&s, "kept", kept)
	for range 10 {
		testkit.Weigh(&s, "lost", new([100]int))
	}
	assert.True(t, testkit.Collected(func() bool { n, all := s.Of("lost"); return n == 0 && all == 10 }))
	n, all := s.Of("kept")
	assert.Equal(t, []int{1, 1}, []int{n, all})
	runtime.KeepAlive(kept)
	testkit.Weigh(nil, "on no scale", kept)
}

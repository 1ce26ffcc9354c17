package testkit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
)

func TestBubbleHasItsOwnTime(t *testing.T) {
	start := time.Now()
	testkit.Bubble(t, func(*testing.T) { time.Sleep(1000 * time.Hour) })
	assert.Less(t, time.Since(start), time.Hour)
}

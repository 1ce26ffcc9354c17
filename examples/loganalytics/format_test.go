package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPercentAndBrief(t *testing.T) {
	assert.Equal(t, "0.0%", percent(0, 0))
	assert.Equal(t, "<0.1%", percent(1, 10_000))
	assert.Equal(t, "33.3%", percent(1, 3))
	for d, want := range map[time.Duration]string{0: "0s", 10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s", day: "24h", 20 * time.Minute: "20m"} {
		assert.Equal(t, want, brief(d))
	}
}

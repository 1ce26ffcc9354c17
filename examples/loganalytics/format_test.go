package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestCommas(t *testing.T) {
	for n, want := range map[int]string{
		0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 999999: "999,999", 1234567: "1,234,567", -100: "-100", -1000: "-1,000",
	} {
		assert.Equal(t, want, commas(n))
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                               "0s",
		999:                             "999ns",
		1234:                            "1.23µs",
		999_999:                         "1ms",
		886_400 * time.Microsecond:      "886ms",
		1_264 * time.Millisecond:        "1.26s",
		83*time.Second + 456*1000*1000:  "1m23.5s",
		999*time.Second + 999*1000*1000: "16m40s",
	} {
		assert.Equal(t, want, short(d))
	}
}

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		`a b.go`:             `a b.go`,
		`größe "x" \ 世界.go`:  `größe "x" \ 世界.go`,
		"a\x1b[31m.go":       `a\x1b[31m.go`,
		"a\nb\"\\\xff\u200b": `a\nb"\\xff\u200b`,
	} {
		assert.Equal(t, want, printable(s))
	}
}

func TestSizePercentBrief(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 20: "5.0 MiB", 3 << 29: "1.5 GiB"} {
		assert.Equal(t, want, size(n))
	}
	assert.Equal(t, "0.0%", percent(0, 0))
	assert.Equal(t, "<0.1%", percent(1, 10_000))
	assert.Equal(t, "33.3%", percent(1, 3))
	for d, want := range map[time.Duration]string{0: "0s", 10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s", day: "24h", 20 * time.Minute: "20m"} {
		assert.Equal(t, want, brief(d))
	}
}

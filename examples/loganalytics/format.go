package main

import (
	"fmt"
	"strings"
	"time"
)

// percent writes the share that part has of all. What is little is not rounded to nothing.
func percent(part, all uint64) string {
	share := 100 * float64(part) / float64(max(all, 1))
	if share > 0 && share < 0.1 {
		return "<0.1%"
	}
	return fmt.Sprintf("%.1f%%", share)
}

// brief writes a round duration without its zeros: 1m and not 1m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

package testkit

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// Bubble is [synctest.Test]. Under the race detector of Go 1.26 it has the bubble
// use one processor at a time, since timers of a bubble that fire on several crash
// that detector ("ThreadSanitizer: CHECK failed", golang/go#78156); Go 1.27 has not
// been seen to. Tests in real time use all processors.
func Bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if oneProcessor {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	synctest.Test(t, f)
}

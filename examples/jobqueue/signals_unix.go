//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// haltSignals halt a worker.
var haltSignals = []os.Signal{syscall.SIGUSR1}

// ignoreBrokenPipe keeps the program alive when nobody reads any more what it says.
func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }

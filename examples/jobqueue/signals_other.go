//go:build !unix

package main

import "os"

// haltSignals halt a worker. There are none here.
var haltSignals []os.Signal

func ignoreBrokenPipe() {}

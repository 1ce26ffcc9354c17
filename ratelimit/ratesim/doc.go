// Package ratesim simulates what a limit does to traffic before anything depends on it. It shows
// which requests are admitted and when, as a table and as a picture.
//
//	limit, _ := ratesim.ParseLimit("100/s burst 20")
//	traffic, _ := ratesim.ParseTraffic("50 every 1s")
//	report := ratesim.Run(5*time.Second, traffic, limit)
//	fmt.Print(report)          // a table
//	report.WriteSVG(file)      // a timeline
//
// Time is virtual: limiters are asked with the time of each arrival, and a simulated year takes as
// long as its requests do. Any type with the method AllowN of ratelimit.Limiter can be simulated,
// including golang.org/x/time/rate, so that limits can be compared under the same traffic.
//
// The command examples/ratesim does the same on the command line.
package ratesim

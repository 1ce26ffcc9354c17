// Package ratesim shows what a limit does to traffic before anybody depends on it: which requests
// are admitted and when, as a table and as a picture.
//
//	limit, _ := ratesim.ParseLimit("100/s burst 20")
//	traffic, _ := ratesim.ParseTraffic("50 every 1s")
//	report := ratesim.Run(5*time.Second, traffic, limit)
//	fmt.Print(report)          // a table
//	report.WriteSVG(file)      // a timeline
//
// Time is virtual: limiters are asked with the time of each arrival, and a year takes as long as
// its requests do. Whatever has the method AllowN of ratelimit.Limiter can be simulated, golang.org/x/time/rate
// too, so that limits can be compared under the same traffic.
//
// The same program on the command line is examples/ratesim.
package ratesim

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// compare posts to two servers in turn, so that a machine that warms up or slows down treats both alike,
// and gives the medians.
func compare(o options, out io.Writer) error {
	var rates, p99s [2][]float64
	for range o.rounds {
		for i, to := range []string{o.url, o.against} {
			ctx, cancel := context.WithTimeout(context.Background(), o.atMost)
			l, err := send(ctx, o, to)
			cancel()
			if err == nil {
				err = l.check()
			}
			if err != nil {
				return err
			}
			if l.taken() != l.sent {
				return fmt.Errorf("%s has not taken all: %v", to, l)
			}
			rates[i] = append(rates[i], l.rate())
			p99s[i] = append(p99s[i], l.quantile(99).Seconds())
		}
	}
	for i, to := range []string{o.url, o.against} {
		_, _ = fmt.Fprintf(out, "%s: %.0f answers a second, p99 %v\n", to, median(rates[i]),
			time.Duration(median(p99s[i])*float64(time.Second)).Round(10*time.Microsecond))
	}
	ratios := make([]float64, o.rounds)
	for i := range ratios {
		ratios[i] = rates[0][i] / rates[1][i]
	}
	_, _ = fmt.Fprintf(out, "ratio of rates, round by round: median %.2f, %.2f to %.2f\n",
		median(ratios), slices.Min(ratios), slices.Max(ratios))
	return nil
}

// median sorts a copy.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

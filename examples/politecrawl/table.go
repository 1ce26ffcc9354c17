package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// writeTable writes what was kept to, host by host. In any second a host may get burst + rate.
func (c *crawler) writeTable(out io.Writer, elapsed time.Duration, manners map[string]string) error {
	c.hosts.mu.Lock()
	defer c.hosts.mu.Unlock()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // Flush has the error
	row("host\tpages\trequests\t429s\tpaused\tmost in 1s\tin flight\tlimit\tp50\tthe host\t\n")
	pages, requests, refused, most := 0, 0, 0, 0
	for _, name := range slices.Sorted(maps.Keys(c.hosts.known)) {
		h := c.hosts.known[name]
		busiest := h.busiest(time.Second)
		row("%s\t%d\t%d\t%d\t%v\t%d\t%d\t%d\t%v\t%s\t\n", name, h.pages, len(h.sent), h.refused,
			h.paused.Round(100*time.Millisecond), busiest, h.most, h.limit.Limit(), h.median().Round(100*time.Microsecond), manners[name])
		pages += h.pages
		requests += len(h.sent)
		refused += h.refused
		most = max(most, busiest)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d pages of %d hosts in %v, %d requests, of which %d (%.1f %%) were refused; %d pages lost\n"+
		"at most %d requests to a host within a second, of %v + %d that are allowed\n",
		pages, len(c.hosts.known), elapsed.Round(10*time.Millisecond), requests, refused, 100*float64(refused)/float64(max(requests, 1)),
		len(c.letters), most, c.rate, c.burst)
	return err
}

// Politecrawl crawls a site of many hosts, which it serves itself on the loopback interface. It
// keeps to a rate for each host, finds out how many requests each can bear at once, and waits when
// one says so with 429 and Retry-After.
//
//	go run ./examples/politecrawl
//	go run ./examples/politecrawl -hosts 40 -rate 50
//
// The pipeline is in crawl.go, the site in site.go. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The exit statuses, as the usage text gives them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // what a shell reports for a program ended by Ctrl-C
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on a second one has its usual effect and kills.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without what is global to a process. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseArgs(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	case err != nil:
		complain(stderr, err)
		complain(stderr, errors.New("for the flags, run politecrawl -h"))
		return exitUsage
	}
	site := newSite(opts.siteHosts, opts.sitePages)
	base, stop, err := serve(site)
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}
	defer stop()

	c := newCrawler(opts, base)
	start := time.Now()
	err = c.crawl(ctx, []*url.URL{{Scheme: "http", Host: site.names[0], Path: "/"}})
	if err == nil {
		err = c.writeTable(stdout, time.Since(start), site.manners)
	}
	for _, l := range c.letters[:min(len(c.letters), 5)] {
		complain(stderr, l.Err)
	}
	switch {
	case err != nil:
		complain(stderr, err)
		return exitFailed
	case ctx.Err() != nil:
		complain(stderr, errors.New("interrupted"))
		return exitInterrupted
	case len(c.letters) > 0:
		return exitFailed
	}
	return exitOK
}

// serve serves the site on the loopback interface, and returns what connects to it under any name.
func serve(site http.Handler) (base http.RoundTripper, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{Handler: site, ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // until Close
	}()
	var dialer net.Dialer
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, listener.Addr().String())
		},
		MaxIdleConnsPerHost: 16,
	}
	return transport, func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
	}, nil
}

func complain(stderr io.Writer, err error) { _, _ = fmt.Fprintln(stderr, "politecrawl:", err) }

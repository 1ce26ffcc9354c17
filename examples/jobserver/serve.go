package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/millstream-go/millstream/pool"
)

// What a client may take. Handlers that wait extend these for themselves, see stay.
const (
	readTimeout  = 5 * time.Second // header and body, of 32 KiB at most
	writeTimeout = 15 * time.Second
	idleTimeout  = time.Minute
	maxHeader    = 16 << 10
	// goodbye is what clients get to read their answers when all jobs have ended.
	goodbye = 5 * time.Second
)

func listen(ctx context.Context, opts options) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", opts.address())
}

// serve answers clients until ctx ends, drains, and reports. An error says that jobs were left, or
// that the listener failed.
func serve(ctx context.Context, s *server, listener net.Listener) (report, error) {
	web := &http.Server{
		Handler:        s,
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // clients that break off
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()

	var failed error
	select {
	case <-ctx.Done():
		s.log.Info("draining", "for", s.opts.drain, "queued", s.pool.Stats().Queued)
	case failed = <-served:
		served <- failed // for the wait below
		s.log.Error("serving failed", "error", failed)
	}
	// Clients can ask after their jobs meanwhile.
	rep, err := s.drain(context.WithoutCancel(ctx))

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if web.Shutdown(ctx) != nil {
		_ = web.Close()
	}
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		failed = end
	}
	return rep, errors.Join(failed, err)
}

// errDeadline is the cause of the end of jobs that the drain did not wait for.
var errDeadline = errors.New("the server had to stop")

// drain takes no more jobs and lets those that were taken finish, up to the deadline. Then it ends the
// streams of events. The error says that jobs were left.
func (s *server) drain(ctx context.Context) (report, error) {
	s.draining.Store(true)
	ctx, cancel := context.WithTimeoutCause(ctx, s.opts.drain, errDeadline)
	defer cancel()
	err := s.pool.Shutdown(ctx)
	s.events.close()
	if err != nil {
		_, stuck := errors.AsType[*pool.StuckError](err)
		s.log.Error("not drained", "error", err, "stuck", stuck)
	}
	rep := report{Stats: s.pool.Stats(), Left: s.book.left()}
	if err == nil && len(rep.Left) > 0 { // the pool says otherwise; do not exit as if all were well
		err = errDeadline
	}
	if len(rep.Left) > 0 {
		s.log.Warn("left", "jobs", len(rep.Left), "first", rep.Left[:min(20, len(rep.Left))])
	}
	return rep, err
}

// A report says what became of all jobs.
type report struct {
	Stats pool.Stats
	Left  []uint64
}

// String returns the report on one line.
func (r report) String() string {
	s := r.Stats
	return fmt.Sprintf("report accepted=%d succeeded=%d failed=%d panicked=%d canceled=%d unended=%d left=%d",
		s.Accepted, s.Succeeded, s.Failed, s.Panicked, s.Canceled, s.Queued+s.Running, len(r.Left))
}

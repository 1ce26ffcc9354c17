package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

func ExampleObserve() {
	p := pool.New(shout, pool.Workers(1), pool.Observe(func(e pool.Event) {
		if e.Kind == pool.JobFinished {
			fmt.Println(e.Job, e.Status, e.Err)
		}
	}))
	ctx := context.Background()
	_, _ = p.Submit(ctx, "hello")
	_, _ = p.Submit(ctx, "")

	// Shutdown waits up to 100 ms for the observer to see everything.
	_ = p.Shutdown(ctx)
	// Output:
	// 1 succeeded <nil>
	// 2 failed nothing to say
}

// plain is a handler without times.
func plain(level slog.Level) slog.Handler {
	return slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Value.Kind() == slog.KindDuration {
				return slog.Attr{}
			}
			return a
		},
	})
}

func ExampleLogTo() {
	log := slog.New(plain(slog.LevelInfo))
	p := pool.New(shout, pool.Name("shouts"), pool.Workers(1), pool.Observe(pool.LogTo(log)))
	ctx := context.Background()
	_, _ = p.Submit(ctx, "what goes well is for debugging")
	_, _ = p.Submit(ctx, "")
	_ = p.Shutdown(ctx)
	// Output:
	// level=WARN msg="job finished" pool=shouts job=2 worker=0 attempt=1 status=failed err="nothing to say"
}

func ExampleEvent_String() {
	e := pool.Event{
		Kind: pool.JobRetried, Job: 7, Worker: 2, Attempt: 1,
		Wait: 80 * time.Millisecond, Err: errors.New("connection refused"),
	}
	fmt.Println(e)
	// Output: job retried job=7 worker=2 attempt=1 wait=80ms err="connection refused"
}

func ExampleEvent_LogValue() {
	log := slog.New(plain(slog.LevelInfo))
	e := pool.Event{Kind: pool.JobDropped, Job: 7, Worker: -1, Status: result.Canceled, Err: pool.ErrDropped}
	log.Info("alarm", "event", e)
	// Output: level=INFO msg=alarm event.kind="job dropped" event.job=7 event.status=canceled event.err="pool: dropped from a full queue"
}

func ExampleEventKind_String() {
	fmt.Println(pool.JobQueued, "|", pool.WorkerHalted, "|", pool.QueueFull, "|", pool.EventKind(99))
	// Output: job queued | worker halted | queue full | event kind 99
}

func ExampleTrack() {
	p := pool.New(shout, pool.Workers(1), pool.Track(2))
	ctx := context.Background()
	for _, word := range []string{"one", "two", "three"} {
		_, _ = p.Submit(ctx, word)
	}
	_ = p.Shutdown(ctx)

	for id := range uint64(3) {
		_, known := p.Job(id + 1)
		fmt.Println(id+1, known)
	}
	// Output:
	// 1 false
	// 2 true
	// 3 true
}

func ExamplePool_Jobs() {
	started, gate := make(chan struct{}, 1), make(chan struct{})
	p := pool.New(func(context.Context, string) (int, error) {
		started <- struct{}{}
		<-gate
		return 0, nil
	}, pool.Workers(1), pool.Track(10))
	_, _ = p.TrySubmit("now")
	<-started
	_, _ = p.TrySubmit("later", pool.Priority(-1))

	for _, job := range p.Jobs() {
		fmt.Println(job.ID, job.Status, job.Priority)
	}
	close(gate)
	_ = p.Shutdown(context.Background())
	// Output:
	// 1 running 0
	// 2 queued -1
}

func ExamplePool_Job() {
	p := pool.New(shout, pool.Track(100))
	defer p.Close()
	ctx := context.Background()
	job, _ := p.Submit(ctx, "hello")
	id := job.ID() // to look it up later

	if job, ok := p.Job(id); ok {
		fmt.Println(job.Wait(ctx))
	}
	_, ok := p.Job(12345)
	fmt.Println(ok)
	// Output:
	// HELLO! <nil>
	// false
}

func ExamplePool_Stats() {
	p := pool.New(shout, pool.Workers(2))
	ctx := context.Background()
	for _, word := range []string{"one", "two", ""} {
		_, _ = p.Submit(ctx, word)
	}
	_ = p.Shutdown(ctx)

	s := p.Stats()
	fmt.Println(s.Accepted, "accepted,", s.Succeeded, "succeeded,", s.Failed, "failed,", s.Queued+s.Running, "left")
	// Output: 3 accepted, 2 succeeded, 1 failed, 0 left
}

func ExampleStats_String() {
	p := pool.New(shout, pool.Name("shouts"), pool.Workers(2))
	_, _ = p.Submit(context.Background(), "hello")
	_ = p.Shutdown(context.Background())

	// For /debug/vars: expvar.Publish("shouts", expvar.Func(func() any { return p.Stats() }))
	var vars struct {
		Name      string
		Succeeded int
	}
	err := json.Unmarshal([]byte(p.Stats().String()), &vars)
	fmt.Println(vars.Name, vars.Succeeded, err)
	// Output: shouts 1 <nil>
}

func ExampleStats_MarshalJSON() {
	p := pool.New(shout, pool.Workers(2), pool.Queue(10))
	_ = p.Close()

	var got map[string]any
	b, _ := json.Marshal(p.Stats())
	fmt.Println(json.Unmarshal(b, &got), got["workers"], got["capacity"], got["accepted"])
	// Output: <nil> 2 10 0
}

func ExampleJobInfo_MarshalJSON() {
	b, err := json.Marshal([]pool.JobInfo{ // or p.Jobs()
		{ID: 1, Status: result.Failed, Attempt: 1, Err: errors.New("no such page"), Timing: result.Timing{Run: time.Second / 2}},
		{ID: 2, Worker: -1, Key: "ada"},
	})
	fmt.Println(strings.ReplaceAll(string(b), "},", "},\n"), err)
	// Output:
	// [{"id":1,"status":"failed","attempt":1,"worker":0,"err":"no such page","wait_seconds":0,"run_seconds":0.5},
	// {"id":2,"status":"queued","attempt":0,"wait_seconds":0,"run_seconds":0,"key":"ada"}] <nil>
}

func ExampleWorkerInfo_MarshalJSON() {
	p := pool.New(shout, pool.Workers(2))
	defer p.Close()
	b, err := json.Marshal(p.Workers())
	fmt.Println(string(b), err)
	// Output: [{"id":0,"state":"idle","done":0},{"id":1,"state":"idle","done":0}] <nil>
}

func ExampleEvent_MarshalJSON() {
	b, err := json.Marshal(pool.Event{
		Kind: pool.JobRetried, Job: 7, Worker: 2, Attempt: 1,
		Wait: 80 * time.Millisecond, Err: errors.New("connection refused"),
	})
	fmt.Println(string(b), err)
	// Output: {"kind":"job retried","job":7,"worker":2,"attempt":1,"err":"connection refused","wait_seconds":0.08} <nil>
}

func ExampleName() {
	p := pool.New(shout, pool.Name("shouts"), pool.Workers(1), pool.Observe(func(e pool.Event) {
		if e.Kind == pool.JobStarted {
			fmt.Println(e.Pool, e.Kind)
		}
	}))
	_, _ = p.Submit(context.Background(), "hello")
	_ = p.Shutdown(context.Background())
	fmt.Println(p.Stats().Name)
	// Output:
	// shouts job started
	// shouts
}

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

func TestHaltAndResize(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		post(t, s, "name=long&delay=10s")
		synctest.Wait()
		w := call(t, s, http.MethodPost, "/workers/0/halt", "")
		require.Equal(t, http.StatusOK, w.Code)
		snap := decode[snapshotJSON](t, w)
		assert.Equal(t, "halting", snap.Workers[0].State)
		assert.Equal(t, "long", snap.Workers[0].Name)

		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, result.Succeeded, get(t, s, "/work/1").Status, "the job in hand is finished")
		assertProblem(t, call(t, s, http.MethodPost, "/workers/0/halt", ""), http.StatusNotFound)

		w = call(t, s, http.MethodPost, "/pool/resize?workers=3", "")
		assert.Equal(t, 3, decode[snapshotJSON](t, w).Stats.Workers)
	}, "-max_workers", "2")
}

// snapshotJSON is a snapshot as a client reads it.
type snapshotJSON struct {
	Stats struct {
		Workers, Queued, Running, Capacity int
		Paused                             bool
		Accepted                           uint64
	}
	Workers  []workerView
	Draining bool
	Started  time.Time
}

func TestHaltNowCancelsTheJobInHand(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		post(t, s, "name=long&delay=10s")
		synctest.Wait()
		require.Equal(t, http.StatusOK, call(t, s, http.MethodPost, "/workers/0/halt?now=1", "").Code)
		v := get(t, s, "/work/1?wait=1s")
		assert.Equal(t, result.Canceled, v.Status)
	}, "-max_workers", "1")
}

func TestPauseAndResume(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		assert.True(t, decode[snapshotJSON](t, call(t, s, http.MethodPost, "/pool/pause", "")).Stats.Paused)
		post(t, s, "name=a&delay=1s")
		time.Sleep(time.Hour)
		assert.Equal(t, result.Queued, get(t, s, "/work/1").Status)
		assert.False(t, decode[snapshotJSON](t, call(t, s, http.MethodPost, "/pool/resume", "")).Stats.Paused)
		v := get(t, s, "/work/1?wait=5s")
		assert.Equal(t, result.Succeeded, v.Status)
		assert.InDelta(t, 3600, v.Wait, 1e-6)
	})
}

// controls are all the routes that steer or look inside.
var controls = []struct{ method, path string }{
	{http.MethodDelete, "/work/1"},
	{http.MethodPost, "/workers/0/halt"},
	{http.MethodPost, "/pool/resize?workers=3"},
	{http.MethodPost, "/pool/pause"},
	{http.MethodPost, "/pool/resume"},
	{http.MethodGet, "/debug/vars"},
	{http.MethodGet, "/debug/pprof/"},
	{http.MethodGet, "/debug/pprof/goroutine"},
}

func TestWithoutATokenControlsAnswerOnLoopbackOnly(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		for _, c := range controls {
			for _, e := range []edit{
				from("192.0.2.7:50000"), from("[2001:db8::1]:50000"), from("@"),
				host("jobs.example"), // resolved to this address by whoever owns the name
				header("X-Forwarded-For", "127.0.0.1"), header("Forwarded", "for=127.0.0.1"), header("Via", "1.1 proxy"),
			} {
				assertProblem(t, call(t, s, c.method, c.path, "", e), http.StatusForbidden)
			}
		}
		assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/stats", "", from("192.0.2.7:50000")).Code)
		for _, addr := range []string{"127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"} {
			assert.Equal(t, http.StatusOK, call(t, s, http.MethodPost, "/pool/pause", "", from(addr)).Code)
		}
	}, "-addr", "192.0.2.1")
}

func TestWithATokenControlsWantIt(t *testing.T) {
	const token = "correct-horse-battery"
	bubble(t, func(t *testing.T, s *server) {
		for _, c := range controls {
			for _, e := range []edit{
				func(*http.Request) {},
				header("Authorization", "Bearer"), header("Authorization", "Bearer "), header("Authorization", token),
				header("Authorization", "Basic "+token), header("Authorization", "Bearer "+token[:len(token)-1]),
				header("Authorization", "Bearer "+token+"x"), header("Authorization", "Bearer "+strings.ToUpper(token)),
			} {
				w := call(t, s, c.method, c.path, "", e)
				assertProblem(t, w, http.StatusUnauthorized)
				assert.NotEmpty(t, w.Header().Get("WWW-Authenticate"))
			}
		}
		w := call(t, s, http.MethodPost, "/pool/pause", "", header("Authorization", "Bearer "+token), from("192.0.2.7:1"))
		assert.Equal(t, http.StatusOK, w.Code)
		w = call(t, s, http.MethodGet, "/debug/vars", "", header("Authorization", "bearer "+token))
		assert.Equal(t, http.StatusOK, w.Code)
		assert.NotContains(t, w.Body.String(), token)
		assert.NotContains(t, w.Body.String(), "cmdline")
	}, "-admin-token", token)
}

func TestTheTokenMayComeFromTheEnvironment(t *testing.T) {
	t.Setenv(tokenVariable, "correct-horse-battery")
	opts, err := parseArgs(nil)
	require.NoError(t, err)
	assert.Equal(t, "correct-horse-battery", opts.token)
	opts, err = parseArgs([]string{"-admin-token", "battery-horse-correct"})
	require.NoError(t, err)
	assert.Equal(t, "battery-horse-correct", opts.token)
}

func TestOtherSitesChangeNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		for _, e := range []edit{
			header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Site", "same-site"),
			header("Origin", "https://evil.example"), header("Origin", "null"),
		} {
			assertProblem(t, call(t, s, http.MethodPost, "/work", "name=a&delay=1s", e), http.StatusForbidden)
			assertProblem(t, call(t, s, http.MethodPost, "/pool/pause", "", e), http.StatusForbidden)
			assertProblem(t, call(t, s, http.MethodDelete, "/work/1", "", e), http.StatusForbidden)
		}
		assert.False(t, s.pool.Stats().Paused)
		assert.Zero(t, s.pool.Stats().Accepted)
		post(t, s, "name=a&delay=1s", header("Sec-Fetch-Site", "same-origin"))
		post(t, s, "name=a&delay=1s", header("Origin", "http://127.0.0.1:8080"))
	})
}

// A GET of a control route changes nothing, but takes time of the machine.
func TestOtherSitesReachNoControlRoute(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		for _, c := range controls {
			for _, e := range []edit{
				header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Site", "same-site"),
				header("Origin", "https://evil.example"), header("Origin", "null"), header("Origin", "http://127.0.0.1:8081"),
			} {
				assertProblem(t, call(t, s, c.method, c.path, "", e), http.StatusForbidden)
			}
		}
		for _, e := range []edit{
			header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Site", "none"), header("Origin", "http://127.0.0.1:8080"),
		} {
			assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/debug/pprof/goroutine", "", e).Code)
		}
	})
}

func TestOnLoopbackOtherNamesAreNotAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		for _, name := range []string{"jobs.example", "jobs.example:8080", "127.0.0.1.jobs.example", "", "128.0.0.1", "localhost."} {
			assertProblem(t, call(t, s, http.MethodGet, "/work", "", host(name)), http.StatusMisdirectedRequest)
		}
		for _, name := range []string{"localhost", "LOCALHOST:1", "127.0.0.1", "127.1.2.3:8080", "[::1]:8080", "[::1]", "queue.lan"} {
			assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/work", "", host(name)).Code, name)
		}
		for _, path := range []string{"/healthz", "/readyz"} { // of which a probe may ask by HTTP/1.0
			assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, path, "", host("")).Code)
		}
	}, "-hosts", "Queue.lan, other")
}

func TestAnAddressOnLoopbackIsKnownHoweverItIsWritten(t *testing.T) {
	for _, addr := range []string{"localhost", "LocalHost", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1"} {
		bubble(t, func(t *testing.T, s *server) {
			assertProblem(t, call(t, s, http.MethodGet, "/work", "", host("jobs.example")), http.StatusMisdirectedRequest)
		}, "-addr", addr)
	}
}

func TestElsewhereOtherNamesAreAnsweredUnlessItWasToldItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/work", "", host("jobs.example")).Code)
	}, "-addr", "0.0.0.0")
	bubble(t, func(t *testing.T, s *server) {
		assertProblem(t, call(t, s, http.MethodGet, "/work", "", host("jobs.example")), http.StatusMisdirectedRequest)
		for _, name := range []string{"queue.lan:8080", "0.0.0.0:8080", "localhost"} {
			assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/work", "", host(name)).Code, name)
		}
	}, "-addr", "0.0.0.0", "-hosts", "queue.lan")
}

func TestAHostMayHaveAPortOrBrackets(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		for _, name := range []string{"queue.lan", "queue.lan:8080", "[2001:db8::1]", "[2001:db8::1]:80", "[2001:db8::2]"} {
			assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/work", "", host(name)).Code, name)
		}
	}, "-hosts", "Queue.lan:8080,[2001:db8::1],2001:db8::2")
}

func TestAnAddressMayStandInBrackets(t *testing.T) {
	opts, err := parseArgs([]string{"-addr", "[::1]", "-port", "80"})
	require.NoError(t, err)
	assert.Equal(t, "[::1]:80", opts.address())
	assert.True(t, isLocalName(opts.addr))
}

func TestMetrics(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		call(t, s, http.MethodPost, "/work?wait=5s", "name=a&delay=1s")
		call(t, s, http.MethodPost, "/work?wait=5s", "name=a&delay=1s&kind=panic")
		call(t, s, http.MethodGet, "/nowhere/"+strings.Repeat("x", 100), "")
		synctest.Wait()
		page := call(t, s, http.MethodGet, "/metrics", "").Body.String()
		for _, line := range []string{
			`jobserver_jobs_accepted_total 2`,
			`jobserver_jobs_ended_total{outcome="succeeded"} 1`,
			`jobserver_jobs_ended_total{outcome="panicked"} 1`,
			`jobserver_workers{state="idle"} 5`,
			`jobserver_queue_capacity 100`,
			`jobserver_job_run_seconds_count{outcome="succeeded"} 1`,
			`jobserver_http_requests_total{route="POST /work",status="200"} 2`,
			`jobserver_http_requests_total{route="none",status="404"} 1`,
		} {
			assert.Contains(t, page, line+"\n")
		}

		var vars map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(call(t, s, http.MethodGet, "/debug/vars", "").Body.Bytes(), &vars))
		for _, name := range []string{"pool", "workers", "records", "streams", "goroutines", "memstats"} {
			assert.Contains(t, vars, name)
		}
	})
}

func TestMetricsOfWhatIsRare(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		call(t, s, http.MethodPost, "/work?wait=5s", "name=a&delay=1s&kind=fail")
		require.Equal(t, http.StatusOK, call(t, s, http.MethodPost, "/pool/pause", "").Code)
		canceled := post(t, s, "name=b&delay=1s")
		require.Equal(t, http.StatusOK, call(t, s, http.MethodDelete, "/work/"+strconv.FormatUint(canceled.ID, 10), "").Code)
		synctest.Wait()
		s.metrics.observe(pool.Event{Lost: 3})
		page := call(t, s, http.MethodGet, "/metrics", "").Body.String()
		for _, line := range []string{
			`jobserver_calls_retried_total 1`,
			`jobserver_paused 1`,
			`jobserver_events_lost_total 3`,
			`jobserver_job_run_seconds_count{outcome="canceled"} 1`,
			`jobserver_job_wait_seconds_count 1`, // the canceled one was not started, so nobody knows its wait
		} {
			assert.Contains(t, page, line+"\n")
		}
	})
}

func TestAFullQueueIsLoggedOnceASecond(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		logged := 0
		s.logEvent = func(pool.Event) { logged++ }
		for range 2 {
			for range 10 {
				s.observe(pool.Event{Kind: pool.QueueFull, Worker: -1})
			}
			time.Sleep(time.Second)
		}
		assert.Equal(t, 2, logged)
		for range 10 {
			s.observe(pool.Event{Kind: pool.WorkerHalted})
		}
		assert.Equal(t, 12, logged, "and what is not about that each time")
	})
}

func TestProfiles(t *testing.T) {
	s := newTestServer(t)
	assert.Contains(t, call(t, s, http.MethodGet, "/debug/pprof/goroutine?debug=1", "").Body.String(), "goroutine profile")
	for _, path := range []string{"/debug/pprof", "/debug/pprof/"} {
		assert.Contains(t, call(t, s, http.MethodGet, path, "").Body.String(), `"goroutine"`)
	}
	for _, path := range []string{"cmdline", "symbol", "nothing"} {
		assertProblem(t, call(t, s, http.MethodGet, "/debug/pprof/"+path, ""), http.StatusNotFound)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // or it might take as long as it says
	w := call(t, s, http.MethodGet, "/debug/pprof/profile?seconds="+strconv.Itoa(maxProfile+1), "", inContext(ctx))
	assertProblem(t, w, http.StatusBadRequest)
	w = call(t, s, http.MethodGet, "/debug/pprof/profile?seconds=3600", "", inContext(ctx))
	assertProblem(t, w, http.StatusBadRequest)
}

func TestOneClientMayNotAskTooOften(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		statuses := make(map[int]int)
		for range 10 {
			statuses[call(t, s, http.MethodGet, "/stats", "").Code]++
		}
		assert.Equal(t, map[int]int{http.StatusOK: 4, http.StatusTooManyRequests: 6}, statuses)
		w := call(t, s, http.MethodPost, "/work", "name=a&delay=1s")
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
		assert.Equal(t, "1", w.Header().Get("Retry-After"))

		assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/stats", "", from("127.0.0.2:1")).Code, "others may")
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, path, "").Code)
		}
		time.Sleep(500 * time.Millisecond)
		assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/stats", "").Code)
	}, "-rate", "2")
}

func TestThePageIsKeptByBrowsers(t *testing.T) {
	s := newTestServer(t)
	for _, path := range []string{"/", "/style.css", "/app.js"} {
		w := call(t, s, http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, pagePolicy, w.Header().Get("Content-Security-Policy"))
		length := w.Body.Len()
		assert.Greater(t, length, 1000)
		w = call(t, s, http.MethodGet, path, "", header("If-None-Match", w.Header().Get("Etag")))
		assert.Equal(t, http.StatusNotModified, w.Code)
	}
}

func TestThePageHasNoInlineScriptAndMakesNoMarkup(t *testing.T) {
	for _, rule := range []string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'",
		"base-uri 'none'", "form-action 'self'", "require-trusted-types-for 'script'",
	} {
		assert.Contains(t, strings.Split(pagePolicy, "; "), rule)
	}
	for _, bad := range []string{"<style", " style=", "onclick", "onload", "javascript:"} {
		assert.NotContains(t, string(indexHTML), bad)
	}
	assert.Equal(t, 1, strings.Count(string(indexHTML), "<script"))
	assert.Contains(t, string(indexHTML), `<script src="app.js" defer></script>`)
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"} {
		assert.NotContains(t, string(appJS), bad)
	}
}

func TestWrongUsage(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it ends in any case
	for _, args := range [][]string{
		{"-max_workers", "0"}, {"-max_queue_size", "-1"}, {"-port", "70000"}, {"-rate", "NaN"}, {"-rate", "-1"},
		{"-drain", "-1s"}, {"-min-delay", "5s", "-max-delay", "1s"}, {"-admin-token", "short"}, {"-log", "loud"}, {"extra"},
	} {
		var out, errs strings.Builder
		assert.Equal(t, exitUsage, run(ctx, args, &out, &errs), args)
		assert.Contains(t, errs.String(), "jobserver: ")
	}
	var out, errs strings.Builder
	assert.Equal(t, exitOK, run(t.Context(), []string{"-h"}, &out, &errs))
	assert.Equal(t, usage, out.String())
	assert.Equal(t, exitFailed, run(t.Context(), []string{"-addr", "203.0.113.1", "-port", strconv.Itoa(1)}, &out, &errs))
}

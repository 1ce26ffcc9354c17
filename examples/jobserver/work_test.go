package main

import (
	"context"
	"net/http"
	"net/http/httptest"
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

func TestAJobIsTakenAndCanBeAskedAfter(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		w := call(t, s, http.MethodPost, "/work", "name=report&delay=2s")
		require.Equal(t, http.StatusAccepted, w.Code)
		assert.Equal(t, "/work/1", w.Header().Get("Location"))
		synctest.Wait()

		v := get(t, s, "/work/1")
		assert.Equal(t, result.Running, v.Status)
		assert.Equal(t, "report", v.Name)
		assert.Equal(t, kindSleep, v.Kind)
		assert.InDelta(t, 2, v.Delay, 0)
		assert.Equal(t, 1, v.Attempts)
		require.NotNil(t, v.Worker)

		time.Sleep(1500 * time.Millisecond)
		v = get(t, s, "/work/1")
		assert.InDelta(t, 1.5, v.Run, 1e-9)
		assert.Nil(t, v.Finished)

		time.Sleep(time.Second)
		v = get(t, s, "/work/1")
		assert.Equal(t, result.Succeeded, v.Status)
		assert.InDelta(t, 2, v.Run, 1e-9)
		assert.Equal(t, "slept 2s", v.Result)
		assert.Equal(t, 2*time.Second, v.Finished.Sub(*v.Started))
	})
}

func TestJSONAndFormAreTheSame(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		form := post(t, s, "name=a&delay=1.5s&kind=hash")
		text := post(t, s, `{"name":"a","delay":"1.5s","kind":"hash"}`, header("Content-Type", jsonType))
		number := post(t, s, `{"name":"a","delay":1.5,"kind":"hash"}`, header("Content-Type", "application/json; charset=UTF-8"))
		exponent := post(t, s, `{"name":"a","delay":1.5e0,"kind":"hash"}`, header("Content-Type", jsonType))
		seconds := post(t, s, "name=a&delay=1.5&kind=hash", header("Content-Encoding", "Identity"))
		for _, v := range []jobView{form, text, number, exponent, seconds} {
			assert.Equal(t, "a", v.Name)
			assert.Equal(t, kindHash, v.Kind)
			assert.InDelta(t, 1.5, v.Delay, 0)
			call(t, s, http.MethodDelete, "/work/"+strconv.FormatUint(v.ID, 10), "") // a hash stops the bubble's clock
		}
	}, "-max_workers", "1")
}

func TestAClientMayWaitForTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		start := time.Now()
		w := call(t, s, http.MethodPost, "/work?wait=5s", "name=a&delay=2s")
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, 2*time.Second, time.Since(start))
		assert.Equal(t, "slept 2s", decode[jobView](t, w).Result)
		assert.Equal(t, "/work/1", w.Header().Get("Location"))

		w = call(t, s, http.MethodPost, "/work?wait=1s", "name=b&delay=4s")
		assert.Equal(t, http.StatusAccepted, w.Code, "it runs still")
		assert.Equal(t, 3*time.Second, time.Since(start))

		v := get(t, s, "/work/2?wait=10s")
		assert.Equal(t, result.Succeeded, v.Status)
		assert.Equal(t, 6*time.Second, time.Since(start))
	})
}

func TestHowJobsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		failed := decode[jobView](t, call(t, s, http.MethodPost, "/work?wait=30s", "name=f&delay=1s&kind=fail"))
		assert.Equal(t, result.Failed, failed.Status)
		assert.Equal(t, 2, failed.Attempts)
		assert.Equal(t, errAskedFor.Error(), failed.Error)
		assert.Equal(t, failed.Queued, *failed.Started, "of the first attempt")

		panicked := decode[jobView](t, call(t, s, http.MethodPost, "/work?wait=30s", "name=p&delay=1s&kind=panic"))
		assert.Equal(t, result.Panicked, panicked.Status)
		assert.Equal(t, 1, panicked.Attempts)
		assert.Equal(t, "panic: as it was asked to", panicked.Error, "and no stack")
	})
}

func TestHashComputes(t *testing.T) {
	s := newTestServer(t, "-min-delay", "0s")
	v := decode[jobView](t, call(t, s, http.MethodPost, "/work?wait=30s", "name=h&delay=20ms&kind=hash"))
	assert.Equal(t, result.Succeeded, v.Status)
	assert.Contains(t, v.Result, "rounds")
}

func TestAFullQueueTurnsClientsAway(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		for range 2 {
			post(t, s, "name=a&delay=10s")
			synctest.Wait() // the worker has taken the first
		}
		w := call(t, s, http.MethodPost, "/work", "name=b&delay=1s")
		assertProblem(t, w, http.StatusTooManyRequests)
		seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
		require.NoError(t, err)
		assert.Positive(t, seconds)
		assert.Equal(t, uint64(2), s.pool.Stats().Accepted)

		time.Sleep(10 * time.Second)
		synctest.Wait()
		post(t, s, "name=b&delay=1s")
	}, "-max_workers", "1", "-max_queue_size", "1")
}

func TestRetryAfterOfAPausedPool(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		s.pool.Pause()
		post(t, s, "name=a&delay=1s")
		w := call(t, s, http.MethodPost, "/work", "name=b&delay=1s")
		assert.Equal(t, strconv.Itoa(maxRetryAfter), w.Header().Get("Retry-After"))
	}, "-max_queue_size", "1")
}

func TestAJobThatIsTriedAgainKeepsItsStart(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		post(t, s, "name=a&delay=2s&kind=fail")
		time.Sleep(3 * time.Second) // the pause before the second call is below a second
		v := get(t, s, "/work/1")
		assert.Equal(t, result.Running, v.Status)
		assert.Equal(t, 2, v.Attempts)
		assert.InDelta(t, 3, v.Run, 1e-9)
		require.NotNil(t, v.Started)
		assert.Equal(t, v.Queued, *v.Started)

		v = get(t, s, "/work/1?wait=30s")
		assert.Equal(t, result.Failed, v.Status)
		assert.Equal(t, v.Queued, *v.Started)
		assert.Contains(t, v.Error, errAskedFor.Error())
	})
}

func TestRetryAfterGoesWithThePace(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		full := func() string {
			w := call(t, s, http.MethodPost, "/work", "name=b&delay=1s")
			assertProblem(t, w, http.StatusTooManyRequests)
			return w.Header().Get("Retry-After")
		}
		s.pool.Pause()
		post(t, s, "name=a&delay=10s")
		require.Equal(t, strconv.Itoa(maxRetryAfter), full())
		s.pool.Resume()
		synctest.Wait()
		post(t, s, "name=a&delay=10s")
		assert.Equal(t, strconv.Itoa(maxRetryAfter), full(), "it is worked out once a second")
		time.Sleep(1001 * time.Millisecond)
		assert.Equal(t, "1", full())
	}, "-max_workers", "1", "-max_queue_size", "1")
}

// patient is a connection that remembers its deadlines.
type patient struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (w *patient) SetReadDeadline(d time.Time) error  { w.read = d; return nil }
func (w *patient) SetWriteDeadline(d time.Time) error { w.write = d; return nil }

func TestAWaitOutlastsTheTimeoutsOfTheServer(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		r := httptest.NewRequest(http.MethodPost, "/work?wait=30s", strings.NewReader("name=a&delay=10s")).WithContext(t.Context())
		r.Host = "localhost"
		r.Header.Set("Content-Type", formType)
		w := &patient{ResponseRecorder: httptest.NewRecorder(), read: time.Now()}
		begin := time.Now()
		s.ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, 10*time.Second, time.Since(begin))
		assert.Equal(t, begin.Add(30*time.Second+readTimeout), w.read)
		assert.Equal(t, begin.Add(30*time.Second+writeTimeout), w.write)
	})
}

func TestCancel(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		post(t, s, "name=runs&delay=10s")
		synctest.Wait()
		post(t, s, "name=waits&delay=10s")

		w := call(t, s, http.MethodDelete, "/work/2", "")
		assert.Equal(t, http.StatusOK, w.Code)
		v := decode[jobView](t, w)
		assert.Equal(t, result.Canceled, v.Status)
		assert.Zero(t, v.Attempts)
		assert.Nil(t, v.Worker)
		assert.Nil(t, v.Started)
		assert.Contains(t, v.Error, errCanceledByClient.Error())

		begin := time.Now()
		w = call(t, s, http.MethodDelete, "/work/1", "")
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, result.Canceled, decode[jobView](t, w).Status)
		assert.Zero(t, time.Since(begin), "it heeds its context at once")
		assertProblem(t, call(t, s, http.MethodDelete, "/work/1", ""), http.StatusConflict)
		assertProblem(t, call(t, s, http.MethodDelete, "/work/3", ""), http.StatusNotFound)
	}, "-max_workers", "1")
}

func TestCancelDoesNotWaitForAJobThatDoesNotHeedIt(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		release := make(chan struct{})
		deaf := pool.New(func(context.Context, int) (string, error) {
			<-release
			return "", nil
		})
		defer deaf.Close()
		defer close(release)
		job, err := deaf.TrySubmit(0)
		require.NoError(t, err)
		synctest.Wait()
		s.book.records[1] = &record{task: task{Name: "deaf", Kind: kindSleep}, queued: time.Now(), job: job}

		begin := time.Now()
		assert.Equal(t, http.StatusAccepted, call(t, s, http.MethodDelete, "/work/1", "").Code)
		assert.Equal(t, cancelWait, time.Since(begin))
	})
}

func TestAListIsNewestFirstByPages(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		for i := range 7 {
			post(t, s, "name=job"+strconv.Itoa(i+1)+"&delay=1s")
		}
		synctest.Wait()
		ids := func(path string) (ids []uint64, next string) {
			l := decode[jobList](t, call(t, s, http.MethodGet, path, ""))
			for _, j := range l.Jobs {
				ids = append(ids, j.ID)
				assert.Equal(t, "job"+strconv.FormatUint(j.ID, 10), j.Name)
			}
			return ids, l.Next
		}
		page, next := ids("/work?limit=4")
		assert.Equal(t, []uint64{7, 6, 5, 4}, page)
		page, next = ids(next)
		assert.Equal(t, []uint64{3, 2, 1}, page)
		assert.Empty(t, next)

		running, next := ids("/work?status=running&limit=1")
		assert.Equal(t, []uint64{2}, running)
		assert.Equal(t, "/work?limit=1&before=2&status=running", next)
		running, _ = ids(next)
		assert.Equal(t, []uint64{1}, running)
		page, _ = ids("/work?status=panicked")
		assert.Empty(t, page)
	}, "-max_workers", "2")
}

func TestOnlyTheLastJobsAreRemembered(t *testing.T) {
	s := newTestServer(t, "-min-delay", "0s", "-keep", "3")
	for range 3 * minSweep {
		call(t, s, http.MethodPost, "/work?wait=10s", "name=a&delay=0s")
	}
	assert.LessOrEqual(t, s.book.size(), minSweep)
	assertProblem(t, call(t, s, http.MethodGet, "/work/1", ""), http.StatusNotFound)
	assert.Len(t, decode[jobList](t, call(t, s, http.MethodGet, "/work", "")).Jobs, 3)
}

func TestIdempotencyKey(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		const body = "name=a&delay=1s"
		post(t, s, body)
		assert.Empty(t, s.book.keys.byKey, "there was none")
		first := post(t, s, body, header("Idempotency-Key", `"k-1"`))

		again := call(t, s, http.MethodPost, "/work?wait=5s", body, header("Idempotency-Key", "k-1"))
		assert.Equal(t, http.StatusOK, again.Code)
		assert.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
		assert.Equal(t, first.ID, decode[jobView](t, again).ID)

		w := call(t, s, http.MethodPost, "/work", "name=b&delay=1s", header("Idempotency-Key", "k-1"))
		assert.Equal(t, "Idempotency-Key", assertProblem(t, w, http.StatusUnprocessableEntity).Field)
		assert.NotEqual(t, first.ID, post(t, s, body, header("Idempotency-Key", "k-2")).ID)
		assert.Equal(t, uint64(3), s.pool.Stats().Accepted)

		time.Sleep(keyLife)
		assert.NotEqual(t, first.ID, post(t, s, body, header("Idempotency-Key", "k-1")).ID, "it was forgotten")
	})
}

func TestAReplayOfAJobThatHasEndedHasItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		const body = "name=a&delay=1s"
		key := header("Idempotency-Key", "k")
		post(t, s, body, key)
		w := call(t, s, http.MethodPost, "/work", body, key)
		assert.Equal(t, http.StatusAccepted, w.Code, "it runs still")
		time.Sleep(2 * time.Second)
		w = call(t, s, http.MethodPost, "/work", body, key)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
		assert.Equal(t, "slept 1s", decode[jobView](t, w).Result)
	})
}

func TestAReplayOfAJobThatIsForgottenIsANewJob(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		key := header("Idempotency-Key", "k")
		call(t, s, http.MethodPost, "/work?wait=5s", "name=a&delay=1s", key)
		synctest.Wait()
		s.book.sweepLocked()
		assertProblem(t, call(t, s, http.MethodGet, "/work/1", ""), http.StatusNotFound)

		w := call(t, s, http.MethodPost, "/work", "name=b&delay=1s", key)
		assert.Equal(t, http.StatusAccepted, w.Code)
		assert.Equal(t, "/work/2", w.Header().Get("Location"))
		assert.Empty(t, w.Header().Get("Idempotency-Replayed"))
		w = call(t, s, http.MethodPost, "/work", "name=b&delay=1s", key)
		assert.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
		assert.Equal(t, "/work/2", w.Header().Get("Location"))
	}, "-keep", "0")
}

func TestARefusedRequestUsesUpNoKey(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		post(t, s, "name=a&delay=1s")
		synctest.Wait()
		post(t, s, "name=a&delay=1s")
		again := header("Idempotency-Key", "k")
		require.Equal(t, http.StatusTooManyRequests, call(t, s, http.MethodPost, "/work", "name=b&delay=1s", again).Code)
		time.Sleep(time.Second)
		synctest.Wait()
		w := call(t, s, http.MethodPost, "/work", "name=b&delay=1s", again)
		assert.Equal(t, http.StatusAccepted, w.Code)
		assert.Empty(t, w.Header().Get("Idempotency-Replayed"))
	}, "-max_workers", "1", "-max_queue_size", "1")
}

func TestKeyringIsBounded(t *testing.T) {
	k := newKeyring(10)
	now := time.Now()
	records := make([]*record, 1000)
	for i := range records {
		records[i] = &record{}
		k.add(strconv.Itoa(i), records[i], now.Add(time.Duration(i)*time.Second))
		require.LessOrEqual(t, len(k.byKey), 10)
		require.LessOrEqual(t, len(k.order), 32)
	}
	now = now.Add(1000 * time.Second)
	assert.Same(t, records[999], k.find("999", now))
	assert.Same(t, records[990], k.find("990", now))
	assert.Nil(t, k.find("989", now), "the oldest goes first")
	now = now.Add(keyLife)
	assert.Nil(t, k.find("999", now))
	k.add("new", records[0], now)
	assert.Len(t, k.byKey, 1, "those whose time is over are gone")

	// A key that is removed and comes again has its new time.
	for i := range 100 {
		k.remove("new")
		assert.Nil(t, k.find("new", now))
		now = now.Add(time.Second)
		k.add("new", records[i], now)
		require.LessOrEqual(t, len(k.order), 32)
	}
	now = now.Add(keyLife - time.Second)
	k.expire(now)
	assert.Same(t, records[99], k.find("new", now))
}

func TestAnswersAreNotCachedAndLoadNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		w := call(t, s, http.MethodGet, "/stats", "")
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		assert.True(t, strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'"))
		w = call(t, s, http.MethodPost, "/work", "name=a&delay=1s")
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), "and nobody keeps the answer to a POST")
	})
}

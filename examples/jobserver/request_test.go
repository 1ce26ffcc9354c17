package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A form is read as package net/url reads it: what one of them takes the other takes, and they agree on what
// it says.
func FuzzForm(f *testing.F) {
	for _, h := range hostile {
		if len(h.body) < 200 {
			f.Add(h.body)
		}
	}
	for _, form := range []string{"name=a&delay=1s", "&&name=a&", "name", "=", "=a", "name=a=b", "n%61me=a%20b+c", "name=%", "a;b", "%3b=%3B"} {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, form string) {
		var got fields
		err := got.readForm(form)
		want, wantErr := url.ParseQuery(form)
		if err == nil {
			require.NoError(t, wantErr)
			for name, f := range map[string]field{"name": got.name, "delay": got.delay, "kind": got.kind} {
				assert.Equal(t, want.Has(name), f.given)
				assert.Equal(t, want.Get(name), f.text)
				delete(want, name)
			}
			assert.Empty(t, want, "fields that nobody asked for")
			return
		}
		fault := wantErr != nil
		for name, values := range want {
			fault = fault || len(values) > 1 || name != "name" && name != "delay" && name != "kind"
		}
		assert.True(t, fault, "%v, and net/url says %v", err, want)
	})
}

func TestDelays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1.5s": 1500 * time.Millisecond, "2": 2 * time.Second, "1.5e0": 1500 * time.Millisecond, "2E+0": 2 * time.Second,
		"1.000000001": 1000000001, "0": 0, "-1": -time.Second, "1m2s": 62 * time.Second,
	} {
		d, err := parseDelay(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, d, text)
	}
	for _, text := range []string{"", "s", "NaN", "Inf", "-Inf", "infinity", "1e999", "1e300", "0x1p1", "0X1P1", "1_0", "1 ", "two"} {
		_, err := parseDelay(text)
		assert.Error(t, err, "%q", text)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{
		"a", "e\u0301", "Vie\u0323\u0302t Nam", "\u0e17\u0e35\u0e48", "\U0001f469\u200d\U0001f680", "1\ufe0f\u20e3", "\u2764\ufe0f\u200d\U0001f525",
		"a" + strings.Repeat("\u0300", maxMarks) + "b" + strings.Repeat("\u0300", maxMarks),
	} {
		assert.NoError(t, checkName(name), "%+q", name)
	}
	for _, name := range []string{"", " ", "\u200d", "\u0301", " \u200d\ufe0f", "a" + strings.Repeat("\u0300", maxMarks+1)} {
		assert.Error(t, checkName(name), "%+q", name)
	}
}

// The answer of a job that was just taken is written by hand: it is what package encoding/json makes of the
// view.
func TestTheAnswerByHandIsTheViewOfTheJob(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		s.pool.Pause()
		for _, name := range []string{"a", "a b", `"quoted" \`, "<b>&amp;</b>", "größer", "日本", "a\u2028b"[:1] + "c", "👩\u200d🚀", "~", strings.Repeat("x", maxName)} {
			for _, delay := range []string{"1s", "1.5s", "10s", "1.000000001s", "1234567ns", "0s"} {
				body := url.Values{"name": {name}, "delay": {delay}, "kind": {"hash"}}.Encode()
				w := call(t, s, http.MethodPost, "/work", body)
				require.Equal(t, http.StatusAccepted, w.Code, "%s", w.Body)
				assert.Equal(t, []string{jsonType}, w.Header()["Content-Type"])
				v := decode[jobView](t, w)
				rec := s.book.find(v.ID)
				want, err := json.Marshal(rec.view()) // no time has gone by
				require.NoError(t, err)
				// Of the numbers only the value counts.
				assert.JSONEq(t, string(want), w.Body.String())
				assert.Equal(t, name, v.Name)
				assert.Contains(t, w.Body.String(), strings.Split(string(want), `,"kind"`)[0], "escaped alike")
			}
		}
		synctest.Wait()
		for _, j := range s.pool.Jobs() {
			if job, ok := s.pool.Job(j.ID); ok {
				job.Cancel(nil)
			}
		}
		time.Sleep(time.Second)
	}, "-min-delay", "0s")
}

package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAQuoteIsShortAndPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"a b":                                  `"a b"`,
		"gr\u00f6\u00dfer":                     `"gr\u00f6\u00dfer"`, // which a log or a terminal may read otherwise
		"a\nb\x1b":                             `"a\nb\x1b"`,
		"\xff":                                 `"\xff"`,
		strings.Repeat("x", maxQuote):          `"` + strings.Repeat("x", maxQuote) + `"`,
		strings.Repeat("x", maxQuote+1):        `"` + strings.Repeat("x", maxQuote) + `\u2026"`,
		strings.Repeat("x", 1000*maxQuote)[1:]: `"` + strings.Repeat("x", maxQuote) + `\u2026"`,
	} {
		assert.Equal(t, want, quote(s))
	}
}

func TestAnErrorOfTheServersOwnTellsClientsNothing(t *testing.T) {
	s := newTestServer(t)
	w := httptest.NewRecorder()
	w.Header()["X-Content-Type-Options"] = noSniff // of the guard
	s.answer(func(http.ResponseWriter, *http.Request) error {
		return errors.New("open /var/lib/jobs: permission denied")
	}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	assert.Empty(t, assertProblem(t, w, http.StatusInternalServerError).Detail)
	assert.NotContains(t, w.Body.String(), "jobs")
}

package main

import (
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

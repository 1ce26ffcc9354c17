package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func call(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestRunCrawlsOverTheLoopbackInterface(t *testing.T) {
	status, out, errs := call(t.Context(), "-hosts", "4", "-pages", "15", "-rate", "200", "-burst", "20")
	assert.Equal(t, exitOK, status)
	assert.Empty(t, errs)
	assert.Contains(t, out, "60 pages of 4 hosts in ")
	assert.Contains(t, out, "; 0 pages lost\n")
	assert.Equal(t, 4, strings.Count(out, ".example"))
}

func TestRunThatIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	status, _, errs := call(ctx)
	assert.Equal(t, exitInterrupted, status)
	assert.Contains(t, errs, "interrupted")
}

func TestWrongArguments(t *testing.T) {
	for want, args := range map[string][]string{
		"it takes flags alone":            {"here"},
		"flag provided but not defined":   {"-nonsense"},
		"-hosts 0: want 1 to 1000":        {"-hosts", "0"},
		"-lanes 1001: want 1 to 1000":     {"-lanes", "1001"},
		"-rate 0: want above 0, to 1e6":   {"-rate", "0"},
		"-rate NaN: want above 0, to 1e6": {"-rate", "NaN"},
		"-patience: want more than 0":     {"-patience", "0s"},
	} {
		status, out, errs := call(t.Context(), args...)
		assert.Equal(t, exitUsage, status)
		assert.Empty(t, out)
		assert.Contains(t, errs, want)
	}
	status, out, _ := call(t.Context(), "-h")
	assert.Equal(t, exitOK, status)
	assert.True(t, strings.HasPrefix(out, "usage: politecrawl"))
}

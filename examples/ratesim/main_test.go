package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// call runs the program.
func call(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestTablesAndPicture(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "limits.svg")
	status, out, errs := call("-traffic", "50 every 1s", "-for", "3s", "-svg", picture, "100/s burst 20", "100/s burst 20 wait 2s")
	assert.Equal(t, exitOK, status)
	assert.Empty(t, errs)
	assert.Contains(t, out, "100/s burst 20: 60 of 150 admitted (40.0 %), 90 denied\n")
	assert.Contains(t, out, "100/s burst 20 wait 2s: 150 of 150 admitted (100.0 %), 0 denied, longest wait 300ms\n")
	text, err := os.ReadFile(picture)
	require.NoError(t, err)
	assert.True(t, bytes.HasPrefix(text, []byte("<svg ")))
}

func TestWrongArguments(t *testing.T) {
	for want, args := range map[string][]string{
		"want a limit":              {},
		"flag provided but not":     {"-nonsense"},
		"-for 0s: want more than 0": {"-for", "0s", "1/s"},
		`limit "fast"`:              {"fast"},
		`traffic "much"`:            {"-traffic", "much", "1/s"},
	} {
		status, out, errs := call(args...)
		assert.Equal(t, exitUsage, status)
		assert.Empty(t, out)
		assert.Contains(t, errs, want)
	}
	status, _, errs := call("-svg", filepath.Join(t.TempDir(), "no", "such.svg"), "1/s")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, errs, "ratesim: ")
}

func TestHelp(t *testing.T) {
	status, out, _ := call("-h")
	assert.Equal(t, exitOK, status)
	assert.True(t, strings.HasPrefix(out, "usage: ratesim"))
}

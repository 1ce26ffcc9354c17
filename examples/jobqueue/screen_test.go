package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shown returns what a terminal without limits would show of text.
func shown(t *testing.T, text string) string {
	t.Helper()
	lines := [][]rune{nil}
	var row, col, savedRow, savedCol int
	for len(text) > 0 {
		var up int
		switch {
		case strings.HasPrefix(text, "\x1b"):
			seq := text[:2]
			if seq == "\x1b[" {
				seq = text[:2+strings.IndexFunc(text[2:], func(r rune) bool { return strings.ContainsRune("AJKhl", r) })+1]
			}
			text = text[len(seq):]
			switch seq {
			case saveCursor:
				savedRow, savedCol = row, col
			case restoreCursor:
				row, col = savedRow, savedCol
			case clearLine:
				lines[row] = lines[row][:min(col, len(lines[row]))]
			case clearBelow:
				lines[row] = lines[row][:min(col, len(lines[row]))]
				lines = lines[:row+1]
			case "\x1b[A":
				row--
			case wrapOn, wrapOff:
			default:
				_, err := fmt.Sscanf(seq, "\x1b[%dA", &up)
				require.NoError(t, err, "%q", seq)
				row -= up
			}
			require.GreaterOrEqual(t, row, 0)
			continue
		case text[0] == '\r':
			col = 0
		case text[0] == '\n':
			if row, col = row+1, 0; row == len(lines) {
				lines = append(lines, nil)
			}
		default:
			r, size := utf8.DecodeRuneInString(text)
			for len(lines[row]) <= col {
				lines[row] = append(lines[row], ' ')
			}
			lines[row][col] = r
			col++
			text = text[size:]
			continue
		}
		text = text[1:]
	}
	var out []string
	for _, l := range lines {
		out = append(out, string(l))
	}
	return strings.Join(out, "\n")
}

// types sends a line as a terminal does that echoes it.
func (r *running) types(line string) {
	_, _ = r.stderr.Write([]byte(line + "\n"))
	r.lines(line)
}

func TestStatusLines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, console{live: true, typed: true}, "-workers", "2")
		assert.Equal(t, "worker 0: idle\nworker 1: idle\n0s  queued 0 of 1024, running 0, succeeded 0\n> ", shown(t, r.stderr.String()))
		r.types("sleep 2s")
		r.types("sleep 4s")
		r.types("nonsense")
		time.Sleep(time.Second)
		_, _ = r.stderr.Write([]byte("sle")) // is being typed
		time.Sleep(time.Second + redraws)
		synctest.Wait()
		assert.Equal(t, `jobqueue: line 3: no such task: "nonsense"; want sleep, hash or count
worker 0: idle
worker 1: busy, since 2.2s on job 2: sleep 4s
2.2s  queued 0 of 1024, running 1, succeeded 1
> sle`, shown(t, r.stderr.String()))

		r.types("p")
		r.types(":resize 30")
		r.types(":cancel 2")
		time.Sleep(redraws)
		synctest.Wait()
		screen := shown(t, r.stderr.String())
		assert.Contains(t, screen, "\njobqueue: paused\njobqueue: 30 workers\njobqueue: job 2: sleep 4s: canceled after 2.25s: canceled: by command\nworker 0: idle\n")
		assert.Contains(t, screen, "\nworker 11: idle\n... 18 more workers\n2.5s  queued 0 of 1024, running 0, succeeded 1, canceled 1, PAUSED\n> ")

		got := r.close()
		assert.Equal(t, exitFailed, got.status)
		assert.NotContains(t, got.stdout, "\x1b")
		screen = shown(t, got.stderr)
		assert.NotContains(t, screen, "idle", "the status lines are gone at the end")
		assert.NotContains(t, screen, ">")
		assert.True(t, strings.HasSuffix(screen, "\njobqueue: no more commands can come: resumed\n"), screen)
	})
}

// In a pipe there are only lines.
func TestEventLines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		got := command(t, "sleep 2s\nsleep 1s\n:resize 0\n:resize 1", "-workers", "1")
		assert.NotContains(t, got.stderr, "\x1b")
		assert.NotContains(t, got.stderr, "\r")
		lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "worker") && !strings.Contains(l, "job") })
		for i := range lines {
			lines[i] = strings.TrimPrefix(lines[i], "jobqueue: ")
		}
		assert.Subset(t, lines, []string{
			"job 1: sleep 2s: started on worker 0", "job 1: sleep 2s: succeeded in 2s",
			"job 2: sleep 1s: started on worker 0", "job 2: sleep 1s: succeeded in 1s",
		})
	})
}

// Whoever sits at the terminal with jobs from the command line can steer them, and
// need not end the input.
func TestJobsAndTerminal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, console{live: true, typed: true}, "-jobs", ":pause; sleep 2s; sleep 3s", "-workers", "2", "-queue", "1")
		time.Sleep(time.Minute)
		assert.False(t, r.ended(), "it is paused, and may be resumed")
		r.types(":resume")
		time.Sleep(time.Second)
		r.types("sleep 4s")
		got := r.outcome()
		assert.Equal(t, exitOK, got.status)
		assert.Contains(t, got.stdout, "3 jobs in 1m6s: succeeded 3\n")
	})
	bubble(t, func(t *testing.T) { // as Ctrl-D
		r := begin(t, console{typed: true}, "-jobs", ":pause; sleep 2s")
		got := r.close()
		assert.Equal(t, exitOK, got.status)
		assert.Contains(t, got.stdout, "1 job in 2s: succeeded 1\n")
	})
}

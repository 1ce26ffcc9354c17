package main

import (
	"io"
	"time"

	"github.com/millstream-go/millstream/examples/internal/show"
)

// age writes how long something has been going on, for those who look on.
func age(since time.Time) string {
	return time.Since(since).Truncate(100 * time.Millisecond).String()
}

// plural counts things: "1 line", "2 lines".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return show.Commas(n) + " " + thing + "s"
}

// complain prints a message as one line.
func complain(w io.Writer, message string) {
	show.Complain(w, "jobqueue", message)
}

package result

import (
	"fmt"
	"strconv"
)

// A Status says where an input is on its way: first [Queued], then [Running],
// then exactly one of the four outcomes, where it stays. An input can be
// Canceled without ever having been Running.
//
// The zero value is Queued. The numbers are stable, but text is what belongs in
// files and on wires: a Status marshals as its name, in JSON both as a value and
// as a key of a map.
type Status uint8

const (
	Queued    Status = iota // accepted, not started
	Running                 // a worker has it, between retries too
	Succeeded               // returned a nil error
	Failed                  // returned an error, or ran past its deadline
	Panicked                // panicked; the error is a *PanicError
	Canceled                // never started, or stopped because nobody wants the answer
)

var statusNames = [...]string{
	Queued:    "queued",
	Running:   "running",
	Succeeded: "succeeded",
	Failed:    "failed",
	Panicked:  "panicked",
	Canceled:  "canceled",
}

// Terminal reports whether s is an outcome: Succeeded, Failed, Panicked or
// Canceled. What is terminal does not change any more.
func (s Status) Terminal() bool {
	return Succeeded <= s && s <= Canceled
}

// String returns the name in lower case, such as "running", and for a number
// that is no status something like "status(9)".
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "status(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText returns the name of s. A number that is no status is an error:
// UnmarshalText could not read it back.
func (s Status) MarshalText() ([]byte, error) {
	if int(s) >= len(statusNames) {
		return nil, fmt.Errorf("result: cannot marshal unknown %v", s)
	}
	return []byte(statusNames[s]), nil
}

// UnmarshalText sets s to the status with the given name, spelled exactly as
// String spells it. Any other text is an error and leaves s as it was.
func (s *Status) UnmarshalText(text []byte) error {
	for i, name := range statusNames {
		if name == string(text) {
			*s = Status(i)
			return nil
		}
	}
	return fmt.Errorf("result: unknown status %q", text)
}

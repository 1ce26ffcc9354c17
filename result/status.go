package result

import (
	"fmt"
	"strconv"
)

// A Status is the state of an input: first [Queued], then [Running], then one of
// the four outcomes, where it stays. An input can be Canceled without ever
// having been Running.
//
// The zero value is Queued. A Status is a plain value. The numbers are stable,
// but files and protocols should use the text: a Status marshals as its name, in
// JSON both as a value and as a key of a map.
type Status uint8

const (
	Queued    Status = iota // accepted, not started
	Running                 // a worker has it, including between retries
	Succeeded               // returned a nil error
	Failed                  // returned an error, or ran past its deadline
	Panicked                // panicked; the error is a *PanicError
	Canceled                // never started, or stopped because the answer is no longer wanted
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
// Canceled. An outcome does not change any more.
func (s Status) Terminal() bool {
	return Succeeded <= s && s <= Canceled
}

// String returns the name in lower case, such as "running", and something like
// "status(9)" for a number that is not a status.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "status(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText returns the name of s. It returns an error for a number that is
// not a status, since UnmarshalText could not read it back.
func (s Status) MarshalText() ([]byte, error) {
	if int(s) >= len(statusNames) {
		return nil, fmt.Errorf("result: cannot marshal unknown %v", s)
	}
	return []byte(statusNames[s]), nil
}

// UnmarshalText sets s to the status with the given name, spelled exactly as
// String spells it. Any other text is an error and leaves s unchanged.
func (s *Status) UnmarshalText(text []byte) error {
	for i, name := range statusNames {
		if name == string(text) {
			*s = Status(i)
			return nil
		}
	}
	return fmt.Errorf("result: unknown status %q", text)
}

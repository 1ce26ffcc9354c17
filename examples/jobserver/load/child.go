package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// started is a server that was started here.
type started struct {
	command *exec.Cmd
	url     string
	ledger  string      // the file of its ledger, in a folder of its own
	report  chan string // its last line
	once    sync.Once
}

func start(path string) (*started, error) {
	dir, err := os.MkdirTemp("", "load")
	if err != nil {
		return nil, err
	}
	s := &started{ledger: filepath.Join(dir, "ledger"), report: make(chan string, 1)}
	//nolint:gosec,noctx // the path is the user's; it ends by SIGTERM, and that is what is to be seen
	s.command = exec.Command(path, "-port", "0", "-rate", "0", "-min-delay", "0s", "-max_queue_size", "1000", "-log", "warn",
		"-keep", "10000000", "-ledger", s.ledger)
	s.command.Stderr = os.Stderr
	out, err := s.command.StdoutPipe()
	if err == nil {
		err = s.command.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return nil, errors.Join(errors.New("the server does not listen"), s.command.Wait(), os.RemoveAll(dir))
	}
	s.url = strings.TrimPrefix(lines.Text(), "listening on ")
	go func() {
		last := ""
		for lines.Scan() {
			last = lines.Text()
		}
		s.report <- last
	}()
	return s, nil
}

// term sends SIGTERM, the first time.
func (s *started) term() { s.once.Do(func() { _ = s.command.Process.Signal(syscall.SIGTERM) }) }

// check waits for the end of the server, and holds its report and its ledger against ours.
func (s *started) check(out io.Writer, l *ledger) error {
	line := <-s.report
	_, _ = fmt.Fprintln(out, "server:", line)
	err := s.command.Wait()
	defer os.RemoveAll(filepath.Dir(s.ledger)) //nolint:errcheck // it is in the folder for such
	r, bad := readReport(line)
	if bad != nil {
		return errors.Join(bad, err)
	}
	ends, bad := readEndsOf(s.ledger)
	if bad != nil {
		return errors.Join(bad, err)
	}
	return errors.Join(err, r.check(l), checkEnds(ends, l, r))
}

// A report is the server's own account.
type report struct{ accepted, succeeded, failed, panicked, canceled, unended, left int }

func readReport(line string) (r report, err error) {
	_, err = fmt.Sscanf(line, "report accepted=%d succeeded=%d failed=%d panicked=%d canceled=%d unended=%d left=%d",
		&r.accepted, &r.succeeded, &r.failed, &r.panicked, &r.canceled, &r.unended, &r.left)
	return r, err
}

// check returns an error if the report does not add up with the ledger.
func (r report) check(l *ledger) error {
	ended := r.succeeded + r.failed + r.panicked + r.canceled
	switch {
	case ended != r.accepted || r.unended != 0:
		return fmt.Errorf("of %d jobs %d have ended", r.accepted, ended)
	case l.taken() > r.accepted, l.taken()+l.broken < r.accepted:
		// A request that was broken off may have been taken.
		return fmt.Errorf("%d were told that their job was taken, and %d were", l.taken(), r.accepted)
	}
	return nil
}

func readEndsOf(path string) (map[string]string, error) {
	file, err := os.Open(path) //nolint:gosec // the server was told to write it
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readEnds(file)
}

// readEnds reads the server's ledger: how each job has ended, by its address.
func readEnds(in io.Reader) (map[string]string, error) {
	ends := make(map[string]string)
	for lines := json.NewDecoder(in); lines.More(); {
		var job struct {
			ID     uint64
			Status string
		}
		if err := lines.Decode(&job); err != nil {
			return ends, err
		}
		at := fmt.Sprintf("/work/%d", job.ID)
		if _, twice := ends[at]; twice {
			return ends, fmt.Errorf("%s has ended twice", at)
		}
		ends[at] = job.Status
	}
	return ends, nil
}

// checkEnds returns an error unless each job that a client was told of has one end, and the ends are those
// that the report counts.
func checkEnds(ends map[string]string, l *ledger, r report) error {
	count := make(map[string]int)
	for _, status := range ends {
		count[status]++
	}
	for _, at := range l.locations {
		switch status := ends[at]; status {
		case "succeeded", "failed", "panicked", "canceled":
		case "":
			return fmt.Errorf("%s was taken and is not in the server's ledger", at)
		default:
			return fmt.Errorf("%s was taken and is %s at the end", at, status)
		}
	}
	if len(l.locations) != l.taken() {
		return fmt.Errorf("%d were taken, and %d told where", l.taken(), len(l.locations))
	}
	of := report{len(ends), count["succeeded"], count["failed"], count["panicked"], count["canceled"], r.unended, r.left}
	if of != r {
		return fmt.Errorf("the server's ledger has %+v and its report %+v", of, r)
	}
	return nil
}

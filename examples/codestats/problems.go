package main

import (
	"errors"
	"fmt"
	"go/scanner"
	"io"
	"path/filepath"
	"sync"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/result"
)

// maxMessages is how many problems are named; the others are only counted. Who
// points the program at the wrong tree should not have to scroll.
const maxMessages = 20

// leftOut counts what could not be measured.
type leftOut struct {
	Folders    int `json:"unreadable_folders"`
	Unreadable int `json:"unreadable_files"`
	TooLarge   int `json:"too_large_files"`
	Broken     int `json:"broken_files"`  // do not parse
	Crashed    int `json:"crashed_files"` // made a stage panic
}

func (l leftOut) none() bool { return l == leftOut{} }

// problems says on out what could not be measured, and counts it. The workers of
// several stages add to it; the rest is for whoever has waited for them.
type problems struct {
	root   string
	out    io.Writer
	mu     sync.Mutex // held in add, so that messages do not mix
	counts leftOut
	said   int
	unsaid int
}

// add reports that the file, or folder, name could not be measured, since the stage
// has failed; "" if there are no stages.
func (p *problems) add(name, stage string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := errors.AsType[*pipeline.StageError](err); ok {
		err = e.Err // we say it in our own words
	}
	where, why := filepath.Join(p.root, filepath.FromSlash(name)), err.Error()

	if _, ok := errors.AsType[*result.PanicError](err); ok {
		p.counts.Crashed++
		if stage != "" {
			why = stage + ": " + why
		}
	} else if _, ok := errors.AsType[*folderError](err); ok {
		p.counts.Folders++
		why = show.Reason(err).Error()
	} else if broken, ok := errors.AsType[scanner.ErrorList](err); ok && len(broken) > 0 {
		p.counts.Broken++
		where = fmt.Sprintf("%s:%d:%d", where, broken[0].Pos.Line, broken[0].Pos.Column)
		why = broken[0].Msg
		if more := len(broken) - 1; more > 0 {
			why += fmt.Sprintf(" (and %d more)", more)
		}
	} else if errors.Is(err, errTooLarge) {
		p.counts.TooLarge++
	} else {
		p.counts.Unreadable++
		why = show.Reason(err).Error()
	}

	if p.said == maxMessages {
		p.unsaid++
		return
	}
	p.said++
	complain(p.out, where+": "+why)
}

// close says how many problems were not named.
func (p *problems) close() {
	if p.unsaid > 0 {
		complain(p.out, fmt.Sprintf("and %s more that could not be measured", show.Commas(p.unsaid)))
	}
}

// complain prints a message as one line.
func complain(w io.Writer, message string) {
	show.Complain(w, "codestats", message)
}

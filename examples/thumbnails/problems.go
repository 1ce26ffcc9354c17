package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/result"
)

// maxMessages is how many problems are named on standard error; the others are only
// counted there. Who points the program at the wrong tree should not have to scroll.
const maxMessages = 20

// A kind is what can be wrong with a picture. Its text stands in the JSON document.
type kind string

const (
	broken       kind = "broken"            // does not decode
	tooLarge     kind = "too_large"         // not decoded
	unreadable   kind = "unreadable"        // the file
	unwritten    kind = "unwritten"         // the thumbnail
	crashed      kind = "crashed"           // made a stage panic
	lockedFolder kind = "unreadable_folder" // and so no picture
)

// kinds are all of them, in the order in which they are told.
var kinds = []struct {
	kind  kind
	label string // on a tile
	many  string // in a sentence
}{
	{broken, "broken", "broken pictures"},
	{tooLarge, "too large", "pictures that are too large"},
	{unreadable, "unreadable", "unreadable files"},
	{unwritten, "not written", "thumbnails that could not be written"},
	{crashed, "crashed", "pictures that made a stage panic"},
	{lockedFolder, "unreadable", "unreadable folders"},
}

func (k kind) label() string {
	for _, row := range kinds {
		if row.kind == k {
			return row.label
		}
	}
	return string(k)
}

// kindOf tells what is wrong, and in which words.
func kindOf(err error) (k kind, why string) {
	stage := "source"
	if e, ok := errors.AsType[*pipeline.StageError](err); ok {
		stage, err = e.Stage, e.Err
	}
	if _, ok := errors.AsType[*result.PanicError](err); ok {
		return crashed, stage + ": " + err.Error()
	}
	if _, ok := errors.AsType[*folderError](err); ok {
		return lockedFolder, show.Reason(err).Error()
	}
	if _, ok := errors.AsType[*writeError](err); ok {
		return unwritten, "cannot write the thumbnail: " + show.Reason(err).Error()
	}
	if _, ok := errors.AsType[*brokenError](err); ok {
		return broken, err.Error()
	}
	if errors.Is(err, errTooLarge) {
		return tooLarge, err.Error()
	}
	return unreadable, show.Reason(err).Error()
}

// A problem is a picture, or a folder, that was left out.
type problem struct {
	Path  string `json:"path"` // below the root, with slashes
	Kind  kind   `json:"kind"`
	Error string `json:"error"`
}

// problems says on out what was left out, and keeps it for the report.
type problems struct {
	root string
	out  io.Writer
	list []problem
}

// add takes in that the picture, or folder, name failed.
func (p *problems) add(name string, err error) kind {
	k, why := kindOf(err)
	p.list = append(p.list, problem{name, k, why})
	if len(p.list) <= maxMessages {
		complain(p.out, filepath.Join(p.root, filepath.FromSlash(name))+": "+why)
	}
	return k
}

// close says how many problems were not named.
func (p *problems) close() {
	if more := len(p.list) - maxMessages; more > 0 {
		complain(p.out, fmt.Sprintf("and %s more that were left out", show.Commas(more)))
	}
}

// leftOut counts problems by kind. In JSON all kinds are there, also those with 0.
type leftOut map[kind]int

func (p *problems) count() leftOut {
	l := leftOut{}
	for _, row := range kinds {
		l[row.kind] = 0
	}
	for _, one := range p.list {
		l[one.Kind]++
	}
	return l
}

// complain prints a message as one line.
func complain(w io.Writer, message string) {
	show.Complain(w, "thumbnails", message)
}

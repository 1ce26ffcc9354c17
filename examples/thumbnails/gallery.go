package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
)

// manifest is the file in which a gallery lists what it has made, so that the next
// run knows which files are its own.
const manifest = ".thumbnails.json"

// thumbs is the folder of the thumbnails in a gallery; the contact sheets stand above it.
const thumbs = "thumbs"

// A gallery is a folder that is written to. Whatever names it is given, nothing is
// written outside: os.Root sees to that, links included. No file is ever opened that
// is there already, so none that has a second name elsewhere, as an input might,
// can be harmed. Goroutines may share it.
type gallery struct {
	root   *os.Root
	around *os.Root // of a scratch gallery
	force  bool     // what is in the way is replaced

	mu   sync.Mutex
	made map[string][]string // names by what they are where a and A are the same
}

// openGallery opens the folder, which it makes if there is none.
func openGallery(folder string) (*gallery, error) {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return &gallery{root: root, made: map[string][]string{}}, nil
}

// A foreignError says that a gallery holds a file that it has not made.
type foreignError struct{ name string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("has files that are not from an earlier run, such as %s", e.name)
}

// claim makes room: it removes what an earlier run has left, after it has made sure
// that there is nothing else, which is a *foreignError. With force there may be.
func (g *gallery) claim(force bool) error {
	g.force = force
	var earlier []string
	if text, err := g.root.ReadFile(manifest); err == nil {
		if json.Unmarshal(text, &earlier) != nil {
			earlier = nil // whatever that is, it proves nothing
		}
	}
	own := map[string]bool{}
	for _, name := range earlier {
		own[name] = true
	}
	if !force {
		if err := g.onlyHolds(own); err != nil {
			return err
		}
	}
	for _, name := range earlier {
		if err := g.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// onlyHolds finds a file that is not in own.
func (g *gallery) onlyHolds(own map[string]bool) error {
	return fs.WalkDir(g.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() || own[name]:
			return nil
		}
		return &foreignError{name}
	})
}

// write is the last stage: it puts a thumbnail where its name says.
func (g *gallery) write(_ context.Context, t thumbnail) (thumbnail, error) {
	if err := g.put(thumbName(t.path), t.png); err != nil {
		return t, &writeError{err}
	}
	return t, nil
}

// A writeError is the error of a thumbnail that could not be written.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// thumbName returns where the thumbnail of a picture goes: the same place as in the
// tree of pictures, with .png behind the whole name, so that a.jpg and a.gif do not
// meet. Nor do the thumbnail of a.jpg and a folder a.jpg.png: a folder's name that
// ends so gets an underscore, and one that ends in .png and underscores another one.
func thumbName(name string) string {
	folders := strings.Split(path.Dir(name), "/")
	for i, f := range folders {
		if strings.HasSuffix(strings.ToLower(strings.TrimRight(f, "_")), ".png") {
			folders[i] = f + "_"
		}
	}
	return path.Join(thumbs, path.Join(folders...), path.Base(name)+".png")
}

// put writes a file, all of it or none. If there is one of that name it fails, unless
// force allows to replace it; but one that this gallery has made stays in any case.
func (g *gallery) put(name string, data []byte) error {
	if err := g.root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return err
	}
	f, err := g.create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = g.root.Remove(name)
	}
	return err
}

func (g *gallery) create(name string) (*os.File, error) {
	folded := strings.ToLower(name)
	g.mu.Lock()
	g.made[folded] = append(g.made[folded], name)
	alone := len(g.made[folded]) == 1
	g.mu.Unlock()

	const fresh = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := g.root.OpenFile(name, fresh, 0o666)
	if errors.Is(err, fs.ErrExist) && g.force && alone {
		if err = g.root.Remove(name); err == nil {
			f, err = g.root.OpenFile(name, fresh, 0o666)
		}
	}
	if err != nil {
		g.forget(folded, name)
	}
	return f, err
}

func (g *gallery) forget(folded, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.made[folded] = slices.DeleteFunc(g.made[folded], func(n string) bool { return n == name })
}

// names returns what was made, sorted.
func (g *gallery) names() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []string
	for _, names := range g.made {
		all = append(all, names...)
	}
	slices.Sort(all)
	return all
}

// seal notes what was made for the next run.
func (g *gallery) seal() error {
	names := append(g.names(), manifest)
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(names) // strings, into a buffer
	return g.put(manifest, text.Bytes())
}

// scratchName is the folder, inside a gallery, of the passes that only measure.
const scratchName = ".compare"

// scratch makes a gallery inside g for what is not to stay. It fails if there is
// something of that name.
func (g *gallery) scratch() (*gallery, error) {
	if err := g.root.Mkdir(scratchName, 0o777); err != nil {
		return nil, err
	}
	root, err := g.root.OpenRoot(scratchName)
	if err != nil {
		return nil, err
	}
	return &gallery{root: root, around: g.root, made: map[string][]string{}}, nil
}

// wipe removes what a scratch gallery has made, and itself.
func (g *gallery) wipe() {
	folders := map[string]bool{}
	for _, name := range g.names() {
		_ = g.root.Remove(name)
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	for _, dir := range slices.Backward(slices.Sorted(maps.Keys(folders))) { // the inner ones first
		_ = g.root.Remove(dir) // fails if there is something in it, and should
	}
	g.close()
	_ = g.around.Remove(scratchName)
}

func (g *gallery) close() { _ = g.root.Close() }

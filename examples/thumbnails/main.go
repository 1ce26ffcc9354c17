// Thumbnails makes small versions of all pictures of a folder, and contact sheets
// of them, with a pipeline: it walks the folders, reads, decodes and scales each
// picture, and writes the result. Given no folder, it draws pictures first.
//
//	go run ./examples/thumbnails                       # drawn pictures, into a temporary folder
//	go run ./examples/thumbnails -out small ~/Pictures # a folder
//
// The pipeline is in pipeline.go; everything around it is what a program for
// people needs: flags, messages, a progress bar, care for their files. See README.md.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pipeline"
)

// The exit statuses, as the usage text gives them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // what a shell reports for a program ended by Ctrl-C
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on a second one has its usual effect and kills: a
	// read that hangs in the kernel cannot be cancelled from here.
	context.AfterFunc(ctx, stop)

	terminal := isatty.IsTerminal(os.Stderr.Fd()) && os.Getenv("TERM") != "dumb"
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, terminal))
}

// run is the program without what is global to a process, so that a test can
// call it. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, terminal bool) int {
	opts, err := parseArgs(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	case err != nil:
		complain(stderr, err.Error())
		complain(stderr, "for the flags, run thumbnails -h")
		return exitUsage
	}

	drawn, err := preparePictures(ctx, &opts)
	defer drawn.remove()
	if err == nil {
		var g *gallery
		if g, err = prepareGallery(&opts); err == nil {
			defer g.close()
			return opts.execute(ctx, os.DirFS(opts.root), g, stdout, stderr, terminal)
		}
	}
	if ctx.Err() != nil {
		complain(stderr, "interrupted before any thumbnail was made")
		return exitInterrupted
	}
	complain(stderr, err.Error())
	return exitFailed
}

// A temporary is a folder to be removed at the end; "" is none.
type temporary string

func (t temporary) remove() {
	if t != "" {
		_ = os.RemoveAll(string(t))
	}
}

// preparePictures makes sure that there is a root, if need be by drawing pictures.
// Only these, if nobody asked to keep them, are temporary.
func preparePictures(ctx context.Context, o *options) (temporary, error) {
	if o.root != "" {
		if err := checkFolder(o.root); err != nil {
			return "", err
		}
		return "", o.checkApart(o.root)
	}
	if o.keep != "" {
		o.root = o.keep
		if err := o.checkApart(o.keep); err != nil {
			return "", err
		}
		return "", drawInto(ctx, o.keep, *o)
	}
	folder, err := os.MkdirTemp("", "thumbnails-drawn-")
	if err != nil {
		return "", err
	}
	o.root = folder
	if err := o.checkApart(folder); err != nil {
		return temporary(folder), err
	}
	return temporary(folder), drawInto(ctx, folder, *o)
}

// checkApart makes sure that the output does not lie among the pictures, where the
// next run would take it for more of them, nor they in it.
func (o options) checkApart(root string) error {
	out := o.out
	if out == "" {
		return nil // a new folder, which cannot hold anything; where it lies is seen to when it is made
	}
	switch ok, err := apart(root, out); {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("-out %s and the pictures in %s must lie apart", out, root)
	}
	return nil
}

// prepareGallery opens the folder for the output and makes room in it.
func prepareGallery(o *options) (*gallery, error) {
	fresh := o.out == ""
	if fresh {
		folder, err := os.MkdirTemp("", "thumbnails-")
		if err != nil {
			return nil, err
		}
		o.out = folder
		if err := o.checkApart(o.root); err != nil {
			temporary(folder).remove()
			return nil, fmt.Errorf("%w: give -out another folder", err)
		}
	}
	g, err := openGallery(o.out)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.out, show.Reason(err))
	}
	if err := g.claim(o.force); err != nil {
		g.close()
		if _, ok := errors.AsType[*foreignError](err); ok {
			return nil, fmt.Errorf("-out %s %w; name another folder, or use -force", o.out, err)
		}
		return nil, fmt.Errorf("%s: %w", o.out, err)
	}
	return g, nil
}

// newPass returns a pass over the pictures of fsys that writes to g.
func (o options) newPass(fsys fs.FS, g *gallery, notes io.Writer) *pass {
	return newPass(
		tree{fsys},
		shrinker{o.size, int64(o.megapixels) * 1_000_000},
		newAlbum(g, o.size, o.columns, o.sheet),
		problems{root: o.shown, out: notes},
	)
}

// execute does the work on the pictures of fsys and prints what came of it.
func (o options) execute(ctx context.Context, fsys fs.FS, g *gallery, stdout, stderr io.Writer, terminal bool) int {
	// While the bar is drawn, messages wait: the two would overwrite each other.
	var held bytes.Buffer
	var bar *progress
	notes := stderr
	if terminal && !o.json {
		bar = startProgress(ctx, stderr, tree{fsys})
		notes = &held
	}
	p := o.newPass(fsys, g, notes)
	p.tick = bar.tick

	start := time.Now()
	var stages pipeline.Report
	p.pipeline(ctx, o.workers, pipeline.ReportTo(&stages))
	rep := newReport(o, p, time.Since(start))
	rep.Stages = stages.Snapshot()
	rep.Partial = ctx.Err() != nil
	p.problems.close()

	failed := errors.Join(p.album.err, g.seal())
	if o.compare && !rep.Partial && rep.Totals.Count > 0 && failed == nil {
		rep.Compare, failed = contest{o, fsys, p, bar}.compare(ctx)
	}
	bar.end()
	_, _ = held.WriteTo(stderr)
	return o.publish(rep, failed, ctx.Err() != nil, stdout, stderr)
}

// publish writes the report, and picks the exit status that goes with it.
func (o options) publish(rep report, failed error, interrupted bool, stdout, stderr io.Writer) int {
	var text bytes.Buffer
	switch {
	case o.json:
		rep.writeJSON(&text)
	case rep.Totals.Count > 0:
		rep.writeTables(&text)
	}
	if _, err := text.WriteTo(stdout); err != nil && !show.ClosedPipe(err) {
		complain(stderr, "write: "+err.Error())
		return exitFailed
	}

	switch {
	case failed != nil:
		complain(stderr, failed.Error())
		return exitFailed
	case rep.Partial:
		complain(stderr, fmt.Sprintf("interrupted; %s thumbnails were made until then", show.Commas(rep.Totals.Count)))
		return exitInterrupted
	case interrupted:
		complain(stderr, "interrupted; all thumbnails were made, but not compared to the end")
		return exitInterrupted
	case len(rep.Problems) == 0 && rep.Totals.Count == 0:
		complain(stderr, o.shown+": no pictures")
		return exitFailed
	case rep.Totals.Count == 0:
		complain(stderr, o.title+": no thumbnail could be made: "+rep.LeftOut.String())
		return exitFailed
	case rep.Compare != nil && !rep.Compare.Same:
		complain(stderr, "the plain loop and the pipeline made different pictures; did the files change meanwhile?")
		return exitFailed
	}
	return exitOK
}

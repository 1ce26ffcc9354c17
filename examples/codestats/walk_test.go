package main

import (
	"context"
	"fmt"
	"go/scanner"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
)

func paths(ctx context.Context, t tree) (found []string) {
	for e := range t.walk(ctx) {
		found = append(found, e.path)
	}
	return found
}

func TestWalkKeepsToWhatTheGoCommandTakes(t *testing.T) {
	assert.Equal(t, []string{"a/deep/main.go", "a/first.go", "a/second_test.go"},
		paths(t.Context(), tree{fsys: sampleTree()}))
}

func TestWalkAll(t *testing.T) {
	assert.Equal(t, []string{
		".git/skipped.go", "_old/skipped.go", "a/.skipped.go", "a/_skipped.go", "a/deep/main.go",
		"a/first.go", "a/second_test.go", "a/testdata/skipped.go", "vendor/v/skipped.go",
	}, paths(t.Context(), tree{fsys: sampleTree(), all: true}))
}

// The folder that was asked for is entered whatever its name.
func TestWalkRootMayBeTestdata(t *testing.T) {
	sub, err := fs.Sub(sampleTree(), "a/testdata")
	require.NoError(t, err)
	assert.Equal(t, []string{"skipped.go"}, paths(t.Context(), tree{fsys: sub}))
}

func TestWalkFollowsNoLinks(t *testing.T) {
	root := write(t, fstest.MapFS{"real/a.go": file("package a\n")})
	for link, target := range map[string]string{"real/loop": "..", "linked": "real", "b.go": "real/a.go"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	assert.Equal(t, []string{"real/a.go"}, paths(t.Context(), tree{fsys: os.DirFS(root)}))

	// But the folder that was asked for may be a link.
	assert.Equal(t, []string{"a.go"}, paths(t.Context(), tree{fsys: os.DirFS(filepath.Join(root, "linked"))}))
}

func TestWalkTellsOfUnreadableFoldersAndGoesOn(t *testing.T) {
	var found, failed []string
	for e := range (tree{fsys: failing(sampleTree(), "a/deep")}).walk(t.Context()) {
		if e.err != nil {
			require.ErrorIs(t, e.err, errDisk)
			failed = append(failed, e.path)
		} else {
			found = append(found, e.path)
		}
	}
	assert.Equal(t, []string{"a/deep"}, failed)
	assert.Equal(t, []string{"a/first.go", "a/second_test.go"}, found)
}

func TestWalkEndsWhenLeftAndWhenCancelled(t *testing.T) {
	for range (tree{fsys: sampleTree()}).walk(t.Context()) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for range (tree{fsys: sampleTree()}).walk(ctx) {
		n++
		cancel()
	}
	assert.Equal(t, 1, n)
}

func TestReadRefusesWhatIsTooLarge(t *testing.T) {
	exactly := strings.Repeat(" ", maxFile)
	fsys := fstest.MapFS{"ok.go": file(exactly), "huge.go": file(exactly + " ")}

	src, err := tree{fsys: fsys}.read(t.Context(), entry{path: "ok.go"})
	require.NoError(t, err)
	assert.Len(t, src.text, maxFile)

	_, err = tree{fsys: fsys}.read(t.Context(), entry{path: "huge.go"})
	require.ErrorIs(t, err, errTooLarge)

	_, err = tree{fsys: shrunk{fsys}}.read(t.Context(), entry{path: "huge.go"})
	require.ErrorIs(t, err, errTooLarge, "a file that grows after it was looked at")
	assert.Contains(t, usage, fmt.Sprintf("beyond %d MiB", maxFile>>20))
}

// A file that nothing is written to must not hang the program, nor a pipe.
func TestReadRefusesWhatIsNoFileAnyMore(t *testing.T) {
	fsys := fstest.MapFS{"a.go": {Mode: fs.ModeDir | 0o755}}
	_, err := tree{fsys: fsys}.read(t.Context(), entry{path: "a.go"})
	require.ErrorContains(t, err, "not a regular file")
}

// shrunk says that every file is empty.
type shrunk struct{ fs.FS }

type shrunkFile struct{ fs.File }

type emptyInfo struct{ fs.FileInfo }

func (s shrunk) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	return shrunkFile{f}, err
}

func (f shrunkFile) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	return emptyInfo{info}, err
}

func (emptyInfo) Size() int64 { return 0 }

// A reference count of a part of the standard library, made another way.
func TestStandardLibraryAgainstPlainCount(t *testing.T) {
	root, _, err := standardLibrary(t.Context())
	if err != nil {
		t.Skipf("no standard library: %v", err)
	}
	for _, part := range []string{"encoding", "go"} {
		fsys := os.DirFS(filepath.Join(root, part))
		want := plainCount(t, filepath.Join(root, part))

		s := newSurvey(tree{fsys: fsys}, "", io.Discard)
		var ran pipeline.Report
		s.pipeline(t.Context(), 3, pipeline.ReportTo(&ran))
		got := s.packages.total()
		assert.Equal(t, want, [3]int{got.Files, got.Lines, got.Functions}, part)
		assert.True(t, s.problems.counts.none(), part)
		assert.Greater(t, got.Files, 50, part)

		plain := newSurvey(tree{fsys: fsys}, "", io.Discard)
		plain.plainLoop(t.Context())
		assert.Equal(t, untimed(plain.packages), untimed(s.packages), part)

		// Every file is in every stage, once, and time was taken.
		stages := ran.Snapshot().Stages
		assert.Len(t, stages, 5)
		for i, stage := range stages {
			if i > 0 {
				assert.EqualValues(t, got.Files, stage.In, stage.Name)
				assert.Positive(t, stage.Run.Max, stage.Name)
			}
			assert.Positive(t, stage.Busy, stage.Name)
			assert.Zero(t, stage.Errors, stage.Name)
		}
	}
}

// plainCount returns the number of files, lines and functions below root, with a
// scanner instead of a parser: a func outside of all brackets at the start of a
// declaration.
func plainCount(t *testing.T, root string) (n [3]int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		base := filepath.Base(name)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (base == "testdata" || base == "vendor" || strings.HasPrefix(base, "_")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(base, ".go") || strings.HasPrefix(base, "_"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		n[0]++
		n[1] += len(strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"))
		n[2] += functionsByScanner(text)
		return nil
	}))
	return n
}

func functionsByScanner(text []byte) (n int) {
	var sc scanner.Scanner
	sc.Init(token.NewFileSet().AddFile("", -1, len(text)), text, nil, 0)
	depth, start := 0, true
	for {
		_, tok, _ := sc.Scan()
		switch tok {
		default:
		case token.EOF:
			return n
		case token.LPAREN, token.LBRACE, token.LBRACK:
			depth++
		case token.RPAREN, token.RBRACE, token.RBRACK:
			depth--
		case token.FUNC:
			if depth == 0 && start {
				n++
			}
		}
		start = tok == token.SEMICOLON
	}
}

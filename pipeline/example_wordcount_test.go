package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"testing/fstest"

	"github.com/millstream-go/millstream/pipeline"
)

// textFiles is a sequence of the text files of a tree, which are found while others are read.
func textFiles(tree fs.FS) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		// Without an error: the function below never returns one but SkipAll.
		_ = fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !yield(path) {
				return fs.SkipAll
			}
			return nil
		})
	}
}

// Count the words of the files of a tree. A file that cannot be read is reported, and the
// others are still counted.
func Example_countTheWordsOfFiles() {
	tree := fstest.MapFS{
		"a.txt":     {Data: []byte("the mill")},
		"b/c.txt":   {Data: []byte("the stream and the mill")},
		"b/bad.txt": {},
		"d.txt":     {Data: []byte("still")},
	}
	read := func(_ context.Context, path string) ([]byte, error) {
		if path == "b/bad.txt" {
			return nil, &fs.PathError{Op: "read", Path: path, Err: fs.ErrPermission}
		}
		return fs.ReadFile(tree, path)
	}
	count := func(_ context.Context, text []byte) (int, error) { return len(bytes.Fields(text)), nil }

	files := pipeline.Map(pipeline.From(textFiles(tree)), read,
		pipeline.Workers(8), pipeline.Ordered(), pipeline.Named("read"))
	counts := pipeline.Map(files, count, pipeline.Workers(2), pipeline.Ordered())

	total := 0
	for r := range counts.Results(context.Background()) {
		if r.Err != nil {
			fmt.Println(r.Err)
			continue
		}
		total += r.Value
	}
	fmt.Println(total, "words")
	// Output:
	// pipeline: stage read: input 1: read b/bad.txt: permission denied
	// 8 words
}

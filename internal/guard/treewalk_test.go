package guard

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoadTreeFindsThePackages(t *testing.T) {
	file := func(src string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(src)} }
	pkgs, err := loadTree(fstest.MapFS{
		"a/a.go":               file("package a"),
		"a/a_test.go":          file("package a_test"),
		"a/internal/b/b.go":    file("package b"),
		"a/testdata/c.go":      file("package c"),
		"internal/d/d.go":      file("package d"),
		"onlytests/e_test.go":  file("package e"),
		"examples/f/f.go":      file("package main"),
		".hidden/g.go":         file("package g"),
		"docs/h.go":            file("package h"),
		"nested/examples/i.go": file("package i"),
	})
	require.NoError(t, err)
	var dirs, public []string
	for _, p := range pkgs {
		dirs = append(dirs, p.dir)
		if !p.internal() {
			public = append(public, p.dir)
		}
	}
	assert.Equal(t, []string{"a", "a/internal/b", "internal/d", "nested/examples"}, dirs)
	assert.Equal(t, []string{"a", "nested/examples"}, public)
	require.Len(t, pkgs[0].tests, 1)
	assert.Equal(t, "a/a_test.go", pkgs[0].tests[0].name)
}

func TestLoadFileKeepsPreviewFilesApart(t *testing.T) {
	const method = "//go:build go1.27\n\npackage p\n\ntype T struct{}\n\nfunc (T) Map[U any](u U) {}\n"
	f, err := loadFile("p_go127.go", method)
	require.NoError(t, err, "a method with type parameters is no reason for an older toolchain to fail")
	assert.True(t, f.preview)
	assert.Equal(t, previewRuns(), f.syntax != nil)

	f, err = loadFile("p.go", "//go:build go1.26 && !race\n\npackage p\n")
	require.NoError(t, err)
	assert.False(t, f.preview)
	assert.NotNil(t, f.syntax)

	_, err = loadFile("p.go", "package p\n\nfunc {\n")
	assert.Error(t, err, "a file that does not parse must not pass for an empty one")
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
)

// A syntax is a file that was parsed.
type syntax struct {
	source
	fset *token.FileSet
	file *ast.File
}

// parse parses src. The file set is its own: one for all files would grow with
// the tree, and every worker would wait for its lock.
func parse(_ context.Context, src source) (syntax, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, src.path, src.text, parser.SkipObjectResolution)
	if err != nil {
		return syntax{}, err
	}
	return syntax{src, fset, file}, nil
}

// A measured is what is kept of a file. It does not hold on to text or tree, so
// their memory is free as soon as the file is through.
type measured struct {
	path      string
	lines     int
	functions int
	longest   function
}

// A function is where a function stands and how long it is.
type function struct {
	Name  string `json:"name"`
	Lines int    `json:"lines"`
	File  string `json:"file"` // below the root, with slashes
	Line  int    `json:"line"`
}

// measure counts the lines and the functions of a file. Only declarations have to
// be looked at, which takes microseconds: no work to hand to another goroutine.
func measure(_ context.Context, s syntax) (measured, error) {
	m := measured{path: s.path, lines: countLines(s.text)}
	for _, decl := range s.file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		m.functions++
		// Unadjusted: a //line comment would send the reader to a file that need not exist.
		first := s.fset.PositionFor(fn.Pos(), false).Line
		last := s.fset.PositionFor(fn.End(), false).Line
		m.longest = longer(m.longest, function{funcName(fn), last - first + 1, s.path, first})
	}
	return m, nil
}

// countLines counts as an editor does: a last line without a newline is a line.
func countLines(text []byte) int {
	n := bytes.Count(text, []byte{'\n'})
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return n
}

// longer returns the function with more lines. Files arrive in no particular
// order, so place decides among equals: every run gives the same answer.
func longer(a, b function) function {
	if cmp.Or(
		cmp.Compare(b.Lines, a.Lines),
		cmp.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line),
	) <= 0 {
		return a
	}
	return b
}

// funcName returns the name as a reader of Go writes it: F, T.M or (*T).M.
func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	return receiver(fn.Recv.List[0].Type) + "." + fn.Name.Name
}

// receiver returns the type of a receiver, without its type parameters.
func receiver(expr ast.Expr) string {
	switch t := expr.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.ParenExpr:
		return receiver(t.X)
	case *ast.StarExpr:
		return "(*" + receiver(t.X) + ")"
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	}
	return "?"
}

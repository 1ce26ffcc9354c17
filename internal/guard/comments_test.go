package guard

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, p := range loadPublic(t) {
		t.Run(p.dir, func(t *testing.T) {
			for _, complaint := range undocumented(parsed(p.sources)) {
				t.Error(complaint)
			}
		})
	}
}

func TestPackagesHaveADocFile(t *testing.T) {
	for _, p := range loadModule(t) {
		t.Run(p.dir, func(t *testing.T) {
			for _, complaint := range packageComment(p) {
				t.Error(complaint)
			}
		})
	}
}

// undocumented returns a complaint for each exported name without a comment, and for each function, method and type
// whose comment does not start with its name.
func undocumented(files []goFile) []string {
	var complaints []string
	for _, f := range files {
		check := func(pos token.Pos, what, name string, docs ...*ast.CommentGroup) {
			text := commentText(docs...)
			switch {
			case text == "":
				complaints = append(complaints, fmt.Sprintf("%s: %s has no comment", f.fset.Position(pos), what))
			case name != "" && !startsWith(text, name):
				complaints = append(complaints, fmt.Sprintf("%s: the comment of %s does not start with %q",
					f.fset.Position(pos), what, name))
			}
		}
		for _, decl := range f.syntax.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if exportedFunc(d) {
					check(d.Pos(), funcTitle(d), d.Name.Name, d.Doc)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						if s.Name.IsExported() {
							check(s.Pos(), "type "+s.Name.Name, s.Name.Name, s.Doc, aloneDoc(d))
						}
					case *ast.ValueSpec:
						if name := firstExported(s.Names); name != "" {
							// The comment of a group speaks for its members, in whatever words.
							check(s.Pos(), d.Tok.String()+" "+name, "", s.Doc, s.Comment, d.Doc)
						}
					}
				}
			}
		}
	}
	return complaints
}

// commentText returns the text of the first of the comments that has any, directives such as //go:build left out.
func commentText(docs ...*ast.CommentGroup) string {
	for _, doc := range docs {
		if text := strings.TrimSpace(doc.Text()); text != "" {
			return text
		}
	}
	return ""
}

// aloneDoc returns the comment above the keyword if it can only mean the one type declared there.
func aloneDoc(decl *ast.GenDecl) *ast.CommentGroup {
	if len(decl.Specs) == 1 {
		return decl.Doc
	}
	return nil
}

// startsWith reports whether the first word of the text, articles aside, is the name.
func startsWith(text, name string) bool {
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	rest, found := strings.CutPrefix(text, name)
	next, _ := utf8.DecodeRuneInString(rest)
	return found && !unicode.IsLetter(next) && !unicode.IsDigit(next) && next != '_'
}

func firstExported(names []*ast.Ident) string {
	for _, name := range names {
		if name.IsExported() {
			return name.Name
		}
	}
	return ""
}

func funcTitle(fn *ast.FuncDecl) string {
	if typ := receiver(fn); typ != "" {
		return "method " + typ + "." + fn.Name.Name
	}
	return "func " + fn.Name.Name
}

// packageComment complains unless the comment of the package stands in doc.go, and there alone.
func packageComment(p goPackage) []string {
	var complaints []string
	found := false
	for _, f := range parsed(p.sources) {
		text := commentText(f.syntax.Doc)
		if path.Base(f.name) != "doc.go" {
			if text != "" {
				complaints = append(complaints, f.name+": a second package comment; doc.go is its place")
			}
			continue
		}
		found = true
		if want := "Package " + f.syntax.Name.Name; !startsWith(text, want) {
			complaints = append(complaints, fmt.Sprintf("%s: the comment does not start with %q", f.name, want))
		}
	}
	if !found {
		complaints = append(complaints, p.dir+": no doc.go")
	}
	return complaints
}

func TestUndocumented(t *testing.T) {
	p := sample(t, map[string]string{"a.go": `package a

const Bare = 1

// Colors.
const (
	Red = iota
	Green
)

const (
	Line = 1 // explained on the line
	Naked = 2
)

var Loose, tight int

// Makes one.
func New() {}

// Open opens, and Opener is another word.
func Opener() {}

//go:noinline
func Directive() {}

type Plain struct{}

// A Good one.
type Good struct{}

// Do does.
func (g *Good) Do() {}

func (g Good) Undone() {}

func (h hidden) Fine() {}

// Group of types.
type (
	// First is first.
	First int
	Second int
)

type hidden struct{}

func private() {}
`})
	assert.Equal(t, []string{
		`a.go:3:7: const Bare has no comment`,
		`a.go:13:2: const Naked has no comment`,
		`a.go:16:5: var Loose has no comment`,
		`a.go:19:1: the comment of func New does not start with "New"`,
		`a.go:22:1: the comment of func Opener does not start with "Opener"`,
		`a.go:25:1: func Directive has no comment`,
		`a.go:27:6: type Plain has no comment`,
		`a.go:35:1: method Good.Undone has no comment`,
		`a.go:43:2: type Second has no comment`,
	}, undocumented(p.sources))
}

func TestPackageComment(t *testing.T) {
	for _, test := range []struct {
		name       string
		sources    map[string]string
		complaints []string
	}{
		{"good", map[string]string{"doc.go": "// Package a is good.\npackage a\n", "a.go": "package a\n"}, nil},
		{"none", map[string]string{"a.go": "package a\n"}, []string{"sample: no doc.go"}},
		{"elsewhere", map[string]string{"a.go": "// Package a is lost.\npackage a\n"}, []string{
			"a.go: a second package comment; doc.go is its place", "sample: no doc.go",
		}},
		{"empty", map[string]string{"doc.go": "package a\n"}, []string{
			`doc.go: the comment does not start with "Package a"`,
		}},
		{"another name", map[string]string{"doc.go": "// Package ab is another.\npackage a\n"}, []string{
			`doc.go: the comment does not start with "Package a"`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.complaints, packageComment(sample(t, test.sources)))
		})
	}
}

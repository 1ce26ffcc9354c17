package guard

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// entry is one declaration of an API page. Entries are sorted by kind, name and method, so that a page does not
// change when code moves from one file to another.
type entry struct {
	kind   int
	name   string
	method string
	text   string
}

const (
	kindConst = iota
	kindVar
	kindFunc
	kindType // with its methods behind it
)

// renderAPI prints what the files export, without comments, bodies, and unexported fields.
func renderAPI(files []goFile) string {
	var entries []entry
	for _, f := range files {
		for _, decl := range f.syntax.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if exportedFunc(d) {
					entries = append(entries, renderFunc(d))
				}
			case *ast.GenDecl:
				entries = append(entries, renderGen(d)...)
			}
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if a.kind != b.kind {
			return a.kind - b.kind
		}
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.method, b.method)
	})
	var page strings.Builder
	for _, e := range entries {
		page.WriteString(e.text)
		page.WriteByte('\n')
	}
	return page.String()
}

func renderFunc(fn *ast.FuncDecl) entry {
	if fn.Recv == nil {
		return entry{kind: kindFunc, name: fn.Name.Name, text: source(&ast.FuncDecl{Name: fn.Name, Type: fn.Type})}
	}
	// The name of the receiver is no part of the API.
	recv := &ast.FieldList{List: []*ast.Field{{Type: fn.Recv.List[0].Type}}}
	text := source(&ast.FuncDecl{Recv: recv, Name: fn.Name, Type: fn.Type})
	return entry{kind: kindType, name: receiver(fn), method: fn.Name.Name, text: text}
}

func renderGen(decl *ast.GenDecl) []entry {
	var entries []entry
	var last *ast.ValueSpec // the constant whose type and value are repeated where a spec has none
	for i, spec := range decl.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() {
				entries = append(entries, entry{kind: kindType, name: s.Name.Name, text: renderType(s)})
			}
		case *ast.ValueSpec:
			if decl.Tok == token.VAR {
				entries = append(entries, renderVars(s)...)
				continue
			}
			if len(s.Values) > 0 {
				last = s
			}
			entries = append(entries, renderConsts(s, last, i)...)
		}
	}
	return entries
}

// renderConsts prints each constant with its value, because the value is part of the API: code compiled into users'
// programs and data they stored depend on it. The iota is resolved, so that a constant which moves is seen to change.
func renderConsts(spec, from *ast.ValueSpec, iota int) []entry {
	var entries []entry
	for i, name := range spec.Names {
		if !name.IsExported() {
			continue
		}
		text := "const " + name.Name
		if from.Type != nil {
			text += " " + source(from.Type)
		}
		text += " = " + strings.ReplaceAll(source(withIota(from.Values[i], iota)), "\n", " ")
		entries = append(entries, entry{kind: kindConst, name: name.Name, text: text})
	}
	return entries
}

func withIota(expr ast.Expr, iota int) ast.Expr {
	switch x := expr.(type) {
	case *ast.Ident:
		if x.Name == "iota" {
			return &ast.BasicLit{Kind: token.INT, Value: strconv.Itoa(iota)}
		}
	case *ast.ParenExpr:
		return &ast.ParenExpr{X: withIota(x.X, iota)}
	case *ast.UnaryExpr:
		return &ast.UnaryExpr{Op: x.Op, X: withIota(x.X, iota)}
	case *ast.BinaryExpr:
		return &ast.BinaryExpr{X: withIota(x.X, iota), Op: x.Op, Y: withIota(x.Y, iota)}
	case *ast.CallExpr:
		call := &ast.CallExpr{Fun: x.Fun}
		for _, arg := range x.Args {
			call.Args = append(call.Args, withIota(arg, iota))
		}
		return call
	}
	return expr
}

// renderVars prints a variable with its type, or else with the value that it takes its type from.
func renderVars(spec *ast.ValueSpec) []entry {
	var entries []entry
	for i, name := range spec.Names {
		if !name.IsExported() {
			continue
		}
		text := "var " + name.Name
		switch {
		case spec.Type != nil:
			text += " " + source(spec.Type)
		case i < len(spec.Values):
			text += " = " + source(spec.Values[i])
		case len(spec.Values) > 0:
			text += " = " + source(spec.Values[0])
		}
		entries = append(entries, entry{kind: kindVar, name: name.Name, text: text})
	}
	return entries
}

func renderType(spec *ast.TypeSpec) string {
	head := source(&ast.GenDecl{Tok: token.TYPE, Specs: []ast.Spec{&ast.TypeSpec{
		Name: spec.Name, TypeParams: spec.TypeParams, Assign: spec.Assign, Type: ast.NewIdent("_"),
	}}})
	head = strings.TrimSuffix(head, "_")
	switch x := spec.Type.(type) {
	case *ast.StructType:
		return head + "struct {" + renderFields(x.Fields) + "}"
	case *ast.InterfaceType:
		return head + "interface {" + renderFields(x.Methods) + "}"
	default:
		return head + source(x)
	}
}

// renderFields prints the exported fields or methods, one a line and unaligned, so that a new one changes one line.
// It says when there are others, because they decide what users can do: write the struct without keys, or implement
// the interface.
func renderFields(fields *ast.FieldList) string {
	var lines strings.Builder
	hidden := false
	for _, field := range fields.List {
		if len(field.Names) == 0 { // embedded, or a union in an interface
			if name := typeName(field.Type); name == "" || ast.IsExported(name) || predeclared[name] {
				fmt.Fprintf(&lines, "\n\t%s", source(field.Type))
			} else {
				hidden = true
			}
			continue
		}
		for _, name := range field.Names {
			if !name.IsExported() {
				hidden = true
				continue
			}
			if fn, ok := field.Type.(*ast.FuncType); ok && isMethod(field) {
				fmt.Fprintf(&lines, "\n\t%s%s", name.Name, strings.TrimPrefix(source(fn), "func"))
				continue
			}
			fmt.Fprintf(&lines, "\n\t%s %s", name.Name, source(field.Type))
			if field.Tag != nil {
				lines.WriteString(" " + field.Tag.Value)
			}
		}
	}
	if hidden {
		lines.WriteString("\n\t// and unexported ones")
	}
	if lines.Len() > 0 {
		lines.WriteByte('\n')
	}
	return lines.String()
}

// predeclared names what an interface embeds without importing it.
var predeclared = map[string]bool{"any": true, "comparable": true, "error": true}

// isMethod tells the method M() of an interface from the field M func() of a struct: only the latter writes "func".
func isMethod(field *ast.Field) bool {
	fn, ok := field.Type.(*ast.FuncType)
	return ok && !fn.Func.IsValid()
}

// source prints a node in one line where its syntax allows. The file set is empty on purpose: without positions the
// printer keeps neither the line breaks of the source nor its comments.
func source(node any) string {
	if n, ok := node.(ast.Node); ok {
		ast.Inspect(n, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.Field:
				x.Doc, x.Comment = nil, nil
			case *ast.FuncLit:
				x.Body = &ast.BlockStmt{}
			}
			return true
		})
	}
	var text strings.Builder
	if err := format.Node(&text, token.NewFileSet(), node); err != nil {
		return fmt.Sprintf("cannot print: %v", err)
	}
	return text.String()
}

func TestRenderAPI(t *testing.T) {
	p := sample(t, map[string]string{"a.go": `// Package a is a sample.
package a

import "context"

// Red and others.
const (
	Red Color = iota + 1
	Green // the second
	hidden
	Blue
)

const Big, small = 1 << 10, 2

var (
	ErrA       = errors.New("a: failed")
	Default    Color
	errPrivate = errors.New("private")
	Hook       = func() int { return 1 }
)

type Pool[In, Out any] struct {
	// Name is a name.
	Name, Title string ` + "`json:\"name\"`" + ` // of it
	OnDone func(context.Context) error
	mu sync.Mutex
	Base
	*base
}

type Waiter interface {
	// Wait waits.
	Wait(ctx context.Context) (n int, err error)
	error
	close()
}

type Number interface{ ~int | ~float64 }

type Alias = Pool[int, string]

type Func[T any] func(context.Context, T) error

type unexported struct{ Field int }

// New makes one.
func New[In, Out any](
	fn func(context.Context, In) (Out, error), // what to do
	opts ...Option,
) *Pool[In, Out] {
	return nil
}

func (p *Pool[In, Out]) Do(ctx context.Context, in In) (Out, error) { return fn() }
func (p *Pool[In, Out]) do() {}
func (u unexported) Do() {}
func internal() {}
`})
	want := `const Big = 1 << 10
const Blue Color = 3 + 1
const Green Color = 1 + 1
const Red Color = 0 + 1
var Default Color
var ErrA = errors.New("a: failed")
var Hook = func() int {
}
func New[In, Out any](fn func(context.Context, In) (Out, error), opts ...Option) *Pool[In, Out]
type Alias = Pool[int, string]
type Func[T any] func(context.Context, T) error
type Number interface {
	~int | ~float64
}
type Pool[In, Out any] struct {
	Name string ` + "`json:\"name\"`" + `
	Title string ` + "`json:\"name\"`" + `
	OnDone func(context.Context) error
	Base
	// and unexported ones
}
func (*Pool[In, Out]) Do(ctx context.Context, in In) (Out, error)
type Waiter interface {
	Wait(ctx context.Context) (n int, err error)
	error
	// and unexported ones
}
`
	assert.Equal(t, want, renderAPI(p.sources))
}

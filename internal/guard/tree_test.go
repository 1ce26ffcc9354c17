package guard

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/version"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	modulePath = "github.com/millstream-go/millstream"

	// root is where the repository starts, seen from the directory that go test runs these tests in.
	root = "../.."

	// preview is the Go release whose syntax some files need: they carry it as a build constraint, and no older
	// toolchain can parse them.
	preview = "go1.27"
)

// outside names the directories of the root that hold no packages of the root module.
var outside = map[string]bool{"benchmarks": true, "docs": true, "examples": true}

// goPackage is a directory with Go files, of which at least one is no test.
type goPackage struct {
	dir     string   // slash-separated, from the root of the repository
	sources []goFile // by name
	tests   []goFile // by name
}

// goFile is a source file that this toolchain can parse, or one of which only the header was read.
type goFile struct {
	name    string // from the root of the repository
	preview bool   // needs the preview release
	syntax  *ast.File
	fset    *token.FileSet
}

// internal reports whether the package is closed to users of the module.
func (p goPackage) internal() bool {
	return p.dir == "internal" || strings.HasPrefix(p.dir, "internal/") || strings.Contains(p.dir, "/internal/") ||
		strings.HasSuffix(p.dir, "/internal")
}

func (p goPackage) importPath() string { return path.Join(modulePath, p.dir) }

// previewRuns reports whether the running toolchain parses the files of the preview release.
func previewRuns() bool { return version.Compare(runtime.Version(), preview) >= 0 }

// parsed returns the files that this toolchain can parse.
func parsed(files []goFile) []goFile {
	var fit []goFile
	for _, f := range files {
		if f.syntax != nil {
			fit = append(fit, f)
		}
	}
	return fit
}

// loadModule parses every package of the root module.
func loadModule(t *testing.T) []goPackage {
	t.Helper()
	pkgs, err := loadTree(os.DirFS(root))
	require.NoError(t, err)
	require.NotEmpty(t, pkgs, "the tree holds no packages: is %s still the root of the repository?", root)
	return pkgs
}

// loadPublic parses the packages of the root module that users can import.
func loadPublic(t *testing.T) []goPackage {
	t.Helper()
	var public []goPackage
	for _, p := range loadModule(t) {
		if !p.internal() {
			public = append(public, p)
		}
	}
	return public
}

func loadTree(tree fs.FS) ([]goPackage, error) {
	var pkgs []goPackage
	err := fs.WalkDir(tree, ".", func(dir string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			return nil
		}
		if dir != "." && (outside[dir] || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") ||
			strings.HasPrefix(d.Name(), "_")) {
			return fs.SkipDir
		}
		p, err := loadPackage(tree, dir)
		if len(p.sources) > 0 {
			pkgs = append(pkgs, p)
		}
		return err
	})
	return pkgs, err
}

func loadPackage(tree fs.FS, dir string) (goPackage, error) {
	p := goPackage{dir: dir}
	names, err := fs.Glob(tree, path.Join(dir, "*.go"))
	if err != nil {
		return p, err
	}
	for _, name := range names {
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			return p, err
		}
		f, err := loadFile(name, string(src))
		if err != nil {
			return p, err
		}
		if strings.HasSuffix(name, "_test.go") {
			p.tests = append(p.tests, f)
		} else {
			p.sources = append(p.sources, f)
		}
	}
	return p, nil
}

func loadFile(name, src string) (goFile, error) {
	f := goFile{name: filepath.ToSlash(name), fset: token.NewFileSet()}
	header, err := parser.ParseFile(f.fset, name, src, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil {
		return f, err
	}
	f.preview = version.Compare(header.GoVersion, preview) >= 0
	if f.preview && !previewRuns() {
		return f, nil
	}
	f.syntax, err = parser.ParseFile(f.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	return f, err
}

// sample parses sources given in a test as one package in the directory "sample". Names that end in _test.go are
// its tests.
func sample(t *testing.T, sources map[string]string) goPackage {
	t.Helper()
	p := goPackage{dir: "sample"}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		f, err := loadFile(name, sources[name])
		require.NoError(t, err)
		if strings.HasSuffix(name, "_test.go") {
			p.tests = append(p.tests, f)
		} else {
			p.sources = append(p.sources, f)
		}
	}
	return p
}

// receiver returns the name of the type that fn is a method of, or "" if it is a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	return typeName(fn.Recv.List[0].Type)
}

// typeName returns the name under *T, T[A], p.T and the like, or "" for a type without a name.
func typeName(expr ast.Expr) string {
	switch x := expr.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.StarExpr:
		return typeName(x.X)
	case *ast.ParenExpr:
		return typeName(x.X)
	case *ast.IndexExpr:
		return typeName(x.X)
	case *ast.IndexListExpr:
		return typeName(x.X)
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return ""
}

// exportedFunc reports whether users can name fn: an exported function, or an exported method of an exported type.
func exportedFunc(fn *ast.FuncDecl) bool {
	return fn.Name.IsExported() && (fn.Recv == nil || ast.IsExported(receiver(fn)))
}

package guard

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// layers says which of our packages a package may import, each with all below it; a package may always import those
// below itself. What is not in the table imports nothing of ours, and a package without a row is a complaint.
var layers = map[string][]string{
	"result":    nil, // the vocabulary that the others share
	"ratelimit": nil, // of use to those who use nothing else of ours
	"internal":  {"result"},
	"pool":      {"result", "ratelimit", "internal"},
	"pipeline":  {"pool", "result", "internal"},
}

// standalone names the layers that import the standard library alone, so that using one costs no dependency.
var standalone = map[string]bool{"result": true, "ratelimit": true}

// dependencies names the modules that go.mod may require, and whether product code may import them.
var dependencies = map[string]bool{
	"golang.org/x/sync":           true,
	"github.com/sourcegraph/conc": true,
	"github.com/stretchr/testify": false, // tests only
}

// unwanted names packages that product code must not link into a user's program, and the packages that have a reason to,
// each with all below it.
var unwanted = map[string][]string{
	"testing":                     nil, // registers flags
	"github.com/stretchr/testify": nil,
	"net/http":                    {"ratelimit/ratehttp"}, // what it is about
}

func TestImportsFollowTheLayers(t *testing.T) {
	for _, p := range loadModule(t) {
		t.Run(p.dir, func(t *testing.T) {
			for _, complaint := range strayImports(p) {
				t.Error(complaint)
			}
		})
	}
}

func TestRequirementsOfGoMod(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	for _, module := range directRequirements(string(src)) {
		assert.Contains(t, dependencies, module, "go.mod requires a module that was not decided on")
	}
}

// strayImports returns a complaint for each import of product code that the tables above do not allow.
func strayImports(p goPackage) []string {
	layer, _, _ := strings.Cut(p.dir, "/")
	allowed, known := layers[layer]
	if !known {
		return []string{p.dir + ": has no row in the table of layers"}
	}
	var complaints []string
	for _, f := range parsed(p.sources) {
		for _, spec := range f.syntax.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				imported = spec.Path.Value
			}
			if reason := stray(p.dir, layer, allowed, imported); reason != "" {
				complaints = append(complaints, fmt.Sprintf("%s: imports %s: %s", f.name, imported, reason))
			}
		}
	}
	return complaints
}

func stray(dir, layer string, allowed []string, imported string) string {
	for name, exempt := range unwanted {
		if under(imported, name) {
			allows := func(other string) bool { return under(dir, other) }
			if slices.ContainsFunc(exempt, allows) || testKit(dir) || publicTestKit(dir) && name == "testing" {
				return ""
			}
			return "not for product code"
		}
	}
	if imported == modulePath || under(imported, modulePath) {
		ours := strings.TrimPrefix(strings.TrimPrefix(imported, modulePath), "/")
		if !under(ours, layer) && !slices.ContainsFunc(allowed, func(a string) bool { return under(ours, a) }) {
			return "the table of layers does not allow it"
		}
		return ""
	}
	if standard(imported) {
		return ""
	}
	if standalone[layer] {
		return "this layer imports only the standard library"
	}
	for module, product := range dependencies {
		if under(imported, module) && product {
			return ""
		}
	}
	return "not one of our dependencies"
}

// testKit reports whether the package exists for tests to import, as iotest and httptest do. It has to be internal.
func testKit(dir string) bool {
	return strings.HasPrefix(dir, "internal/") && (strings.HasSuffix(dir, "test") || path.Base(dir) == "testkit")
}

// publicTestKit reports whether the package is the kit with which users test what they have made of the package that
// it lies in and is named after, as net/http/httptest is. It may take a testing.TB, and has no other liberty.
func publicTestKit(dir string) bool {
	parent := path.Dir(dir)
	return parent != "." && path.Base(dir) == path.Base(parent)+"test"
}

// under reports whether the path is the parent or lies below it.
func under(p, parent string) bool { return p == parent || strings.HasPrefix(p, parent+"/") }

// standard reports whether the import is of the standard library, whose paths have no dot in their first element.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// directRequirements returns the modules that the text of a go.mod requires without an "// indirect" mark.
func directRequirements(src string) []string {
	var modules []string
	block := false
	for line := range strings.Lines(src) {
		code, comment, _ := strings.Cut(line, "//")
		fields := strings.Fields(code)
		switch {
		case len(fields) == 0:
			continue
		case fields[0] == ")":
			block = false
			continue
		case fields[0] == "require" && len(fields) == 2 && fields[1] == "(":
			block = true
			continue
		case fields[0] == "require":
			fields = fields[1:]
		case !block:
			continue
		}
		if strings.TrimSpace(comment) != "indirect" {
			modules = append(modules, fields[0])
		}
	}
	return modules
}

func TestStrayImports(t *testing.T) {
	const ours = modulePath + "/"
	for _, test := range []struct {
		dir, imported string
		reason        string
	}{
		{"result", "iter", ""},
		{"result", "golang.org/x/sync/errgroup", "this layer imports only the standard library"},
		{"result", ours + "pool", "the table of layers does not allow it"},
		{"ratelimit", "net/http", "not for product code"},
		{"ratelimit/ratehttp", "net/http", ""},
		{"ratelimit/ratehttp", ours + "ratelimit", ""},
		{"ratelimit/ratehttpx", "net/http", "not for product code"},
		{"ratelimit/ratesim", ours + "result", "the table of layers does not allow it"},
		{"ratelimit/adaptive", ours + "ratelimit", ""},
		{"ratelimit", ours + "result", "the table of layers does not allow it"},
		{"internal/engine", ours + "result", ""},
		{"internal/engine", ours + "internal/park", ""},
		{"internal/engine", ours + "pool", "the table of layers does not allow it"},
		{"internal/enginetest", "testing", ""},
		{"internal/testkit", "github.com/stretchr/testify/require", ""},
		{"pooltest", "testing", ""},
		{"pipeline/pipelinetest", "testing", ""},
		{"pipeline/pipelinetest", "github.com/stretchr/testify/assert", "not for product code"},
		{"pipeline/pooltest", "testing", "not for product code"},
		{"pool", "testing", "not for product code"},
		{"pool", "testing/synctest", "not for product code"},
		{"pool", "github.com/stretchr/testify/assert", "not for product code"},
		{"pool", "net/http", "not for product code"},
		{"pool", "net/http/httptest", "not for product code"},
		{"pool", "golang.org/x/sync/semaphore", ""},
		{"pool", "golang.org/x/time/rate", "not one of our dependencies"},
		{"pool", ours + "pipeline", "the table of layers does not allow it"},
		{"pipeline", "github.com/sourcegraph/conc/panics", ""},
		{"pipeline", ours + "pool", ""},
		{"pipeline", ours + "poolside", "the table of layers does not allow it"},
		{"pipeline", modulePath, "the table of layers does not allow it"},
	} {
		t.Run(test.dir+" "+test.imported, func(t *testing.T) {
			p := sample(t, map[string]string{"a.go": fmt.Sprintf("package a\n\nimport _ %q\n", test.imported)})
			p.dir = test.dir
			var want []string
			switch {
			case test.dir == "pooltest":
				want = []string{"pooltest: has no row in the table of layers"}
			case test.reason != "":
				want = []string{"a.go: imports " + test.imported + ": " + test.reason}
			}
			assert.Equal(t, want, strayImports(p))
		})
	}
}

func TestDirectRequirements(t *testing.T) {
	assert.Equal(t, []string{"a.test/one", "a.test/two", "a.test/four"}, directRequirements(`module m

go 1.26

require a.test/one v1.0.0 // a word on it

require (
	a.test/two v1.0.0
	a.test/three v1.0.0 // indirect
	// a.test/comment v1.0.0
	a.test/four v1.0.0
)

require a.test/five v1.0.0 // indirect

exclude (
	a.test/six v1.0.0
)

replace a.test/two => ../two
`))
}

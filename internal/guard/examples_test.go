package guard

import (
	"go/ast"
	"go/doc"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

// wellKnown lists the methods that need no example, and why: nobody calls them by name. They exist to satisfy an
// interface of the standard library, and whoever meets them there knows what they do.
var wellKnown = map[string]string{
	"Error":         "error, called by whatever prints it",
	"Unwrap":        "errors, called by Is and As",
	"Is":            "errors, called by Is",
	"As":            "errors, called by As",
	"String":        "fmt.Stringer, called by fmt",
	"Format":        "fmt.Formatter, called by fmt",
	"MarshalText":   "encoding.TextMarshaler, called by encoders",
	"UnmarshalText": "encoding.TextUnmarshaler, called by decoders",
}

func TestExportedFunctionsHaveExamples(t *testing.T) {
	for _, p := range loadPublic(t) {
		t.Run(p.dir, func(t *testing.T) {
			for _, name := range withoutExample(p) {
				t.Errorf("%s.%s has no runnable example: add func Example%s, with an // Output: comment",
					p.dir, name, strings.ReplaceAll(name, ".", "_"))
			}
		})
	}
}

// withoutExample returns the exported functions and methods that no example shows. An example without an output
// comment is compiled and never run, so it does not count.
func withoutExample(p goPackage) []string {
	shown := map[string]bool{}
	for _, f := range parsed(p.tests) {
		for _, example := range doc.Examples(f.syntax) {
			if example.Output != "" || example.EmptyOutput {
				shown[subject(example.Name)] = true
			}
		}
	}
	var missing []string
	for _, f := range parsed(p.sources) {
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || !exportedFunc(fn) {
				continue
			}
			name := fn.Name.Name
			if typ := receiver(fn); typ != "" {
				if wellKnown[name] != "" {
					continue
				}
				name = typ + "." + name
			}
			if !shown[name] {
				missing = append(missing, name)
			}
		}
	}
	return missing
}

// subject returns what an example is about by the rules of package testing: F, T or T.M, a suffix in lower case
// left out.
func subject(name string) string {
	parts := strings.Split(name, "_")
	if len(parts) == 1 || !upper(parts[1]) {
		return parts[0]
	}
	return parts[0] + "." + parts[1]
}

func upper(word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	return unicode.IsUpper(first)
}

func TestWithoutExample(t *testing.T) {
	p := sample(t, map[string]string{
		"a.go": `package a

func Shown() {}
func Suffixed() {}
func Silent() {}
func Missing() {}
func Error() {}

func (t *Tree[K, V]) Grow() {}
func (t *Tree[K, V]) Cut() {}
func (t *Tree[K, V]) Fell() {}
func (t *Tree[K, V]) String() string { return "" }
func (t *Tree[K, V]) secret() {}
func (l leaf) Fall() {}
`,
		"example_test.go": `package a_test

func ExampleShown() {
	fmt.Println(1)
	// Output: 1
}

func ExampleSuffixed_twice() {
	// Output:
}

func ExampleSilent() {}

func ExampleTree() {
	// Output:
}

func ExampleTree_Grow() {
	fmt.Println(1)
	// Unordered output: 1
}

func ExampleTree_Cut_oak() {
	// Output:
}
`,
	})
	assert.Equal(t, []string{"Silent", "Missing", "Error", "Tree.Fell"}, withoutExample(p))
}

func TestSubject(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "F": "F", "F_suffix": "F", "T_M": "T.M", "T_M_suffix": "T.M", "_suffix": "",
	} {
		assert.Equal(t, want, subject(name), "Example%s", name)
	}
}

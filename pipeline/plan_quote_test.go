package pipeline_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
)

// hostile are names that mean something to one of the languages.
var hostile = []string{
	"", " ", "  two  spaces ", "end", "subgraph", "graph", "default", "style: #quot;", "click s0 call x()",
	`say "hi"`, `back\slash`, `\N \G \l`, `trailing\`, "a\nb", "a\r\n%% c", "tab\there", "\x00\x7f\xff",
	"#quot;", "#35;", "&amp;", "&quot;&lt;", "<b>bold</b>", "<br/>", "<script>alert(1)</script>",
	"a]b", "a)b", "a}b", "a|b", "a-->b", `"]; s9["x`, `"] s9 [label="x`, "`code`", "`\"markdown`", "1. list", "- list",
	"# head", "**bold** _it_", "http://example.org", "www.example.org", "a@example.org", "$$x^2$$", "fa:fa-car",
	"%%{init: {}}%%", "---", "größer", "日本語", "עברית", "\u202eevil", "🦦", "e\u0301", "ﬂ°°35¶ß", "a;b",
}

func hostilePlan() pipeline.Plan {
	var p pipeline.Plan
	for i, name := range hostile {
		s := planned{Name: name, Kind: "map", Group: i / 2, Buffer: i, Policies: []string{name}}
		if i > 0 {
			s.From = []int{i - 1}
		}
		p.Stages = append(p.Stages, s)
	}
	return p
}

func TestHostileNames(t *testing.T) {
	for _, name := range hostile {
		checkQuoting(t, name)
	}
	p := hostilePlan()
	assert.Len(t, strings.Split(p.String(), "\n"), 3*len(hostile)/2+1, "a name does not make lines")
	for line := range strings.Lines(p.Mermaid()) {
		assert.Regexp(t, mermaidLine, line)
	}
	for line := range strings.Lines(p.DOT()) {
		assert.Regexp(t, dotLine, line)
	}
}

// What Mermaid looks for after it has decoded the entity codes is torn apart by a word
// joiner, which nobody sees.
func TestMermaidFindsNothingInNames(t *testing.T) {
	for name, want := range map[string]string{
		`a\n b`:  `#34;a#92;#8288;#92;#8288;n b#34;`,
		"a\nb":   `#34;a#92;#8288;nb#34;`,
		"$$x$$":  `#36;#8288;#36;#8288;x#36;#8288;#36;#8288;`,
		"fa:fa":  `fa#58;#8288;fa`,
		"ﬂ°35¶ß": `ﬂ#8288;#176;35#182;#8288;ß`,
	} {
		p := pipeline.Plan{Stages: []planned{{Name: name, Kind: name}}}
		assert.Contains(t, p.Mermaid(), `(["`+want+`"])`)
	}
}

func FuzzPlanQuoting(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) { checkQuoting(t, name) })
}

var (
	mermaidLine = regexp.MustCompile(`^(flowchart LR| {4}%% [a-z0-9 ]+| {4}subgraph fused\d+\["fused"\]| {4}end|` +
		` +s\d+(\(\[|\[\[|\()"[^"\x60&]*"(\]\)|\]\]|\))| {4}s\d+ -->(\|"buffer \d+"\|)? s\d+)\n$`)
	dotLine = regexp.MustCompile(`^(digraph plan \{| +\}|\}| +[a-z]+="?[^"]*"?| +(node|edge) \[.*\]| {4}subgraph cluster_\d+ \{|` +
		` +s\d+ \[label="([^"\\]|\\.)*"(, [a-z]+=[a-z0-9]+)?\]| {4}s\d+ -> s\d+( \[label="buffer \d+"\])?)\n$`)

	mermaidNode = regexp.MustCompile(`(?m)^ +s0\(\["([^"]*)"\]\)$`)
	dotNode     = regexp.MustCompile(`(?m)^ +s0 \[label="((?:[^"\\]|\\.)*)", shape=ellipse\]$`)
	entity      = regexp.MustCompile(`#(\d+);`)
)

// checkQuoting reads a name back out of each picture.
func checkQuoting(t *testing.T, name string) {
	t.Helper()
	p := pipeline.Plan{Stages: []planned{{Name: name, Kind: name, Policies: []string{"limit"}}}}

	line, _, _ := strings.Cut(strings.TrimPrefix(p.String(), "○ "), "\n")
	shown, found := strings.CutSuffix(line, "  limit")
	require.True(t, found, "%q", line)
	if shown != name {
		require.Equal(t, strconv.Quote(name), shown)
	}
	for _, r := range shown {
		require.True(t, strconv.IsPrint(r), "%q", shown)
	}

	node := mermaidNode.FindStringSubmatch(p.Mermaid())
	require.NotNil(t, node, p.Mermaid())
	assert.Equal(t, shown+"<br/>limit", entity.ReplaceAllStringFunc(node[1], func(code string) string {
		n, err := strconv.Atoi(entity.FindStringSubmatch(code)[1])
		require.NoError(t, err)
		return strings.Trim(string(rune(n)), "\u2060") // invisible, keeps Mermaid from reading more into it
	}))
	for _, r := range entity.ReplaceAllString(strings.TrimSuffix(node[1], "<br/>limit"), "") {
		require.True(t, unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" ,()", r), "%q", node[1])
	}

	node = dotNode.FindStringSubmatch(p.DOT())
	require.NotNil(t, node, p.DOT())
	assert.Equal(t, shown+"\nlimit", strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n", "&amp;", "&").Replace(node[1]))
	assert.NotRegexp(t, `&([^a]|$)`, node[1])
}

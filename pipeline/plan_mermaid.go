package pipeline

import (
	"fmt"
	"strings"
	"unicode"
)

// Mermaid returns the plan as a flowchart in the language of Mermaid. GitHub and GitLab
// draw it where it stands in a code block with the language mermaid. A source has round
// ends, a stage with workers has double sides, and any other stage has round corners; fused
// stages share a frame. A buffer is written at the connection, or in the stage itself if
// several connections share it. The result of [Plan.InFlight] is a comment. Names may
// contain anything. The text ends with a newline, and the same plan always has the same
// text.
func (p Plan) Mermaid() string {
	g := newPlanGraph(p)
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	fmt.Fprintf(&b, "    %%%% %s\n", p.inFlight())
	for n, group := range g.groups {
		indent := "    "
		if len(group) > 1 {
			fmt.Fprintf(&b, "    subgraph fused%d[\"fused\"]\n", n)
			indent += indent
		}
		for _, i := range group {
			opening, closing := g.mermaidShape(i)
			fmt.Fprintf(&b, "%ss%d%s\"%s\"%s\n", indent, i, opening, mermaidLines(g.diagramLines(i)), closing)
		}
		if len(group) > 1 {
			b.WriteString("    end\n")
		}
	}
	for to := range p.Stages {
		arrow := "-->"
		if label := g.edgeLabel(to); label != "" {
			arrow += `|"` + label + `"|`
		}
		for _, from := range g.from[to] {
			fmt.Fprintf(&b, "    s%d %s s%d\n", from, arrow, to)
		}
	}
	return b.String()
}

func (g *planGraph) mermaidShape(i int) (opening, closing string) {
	switch {
	case len(g.from[i]) == 0:
		return "([", "])"
	case g.Stages[i].hasWorkers():
		return "[[", "]]"
	default:
		return "(", ")"
	}
}

func mermaidLines(lines []string) string {
	for i, line := range lines {
		lines[i] = mermaidEscape(line)
	}
	return strings.Join(lines, "<br/>")
}

// mermaidEscape escapes a text so that it can stand between double quotes. Mermaid reads
// labels as Markdown and as HTML, with exceptions that differ between versions. So only
// characters without a meaning in any of them stay as they are. All others become entity
// codes, which have a number sign where HTML has an ampersand and a number sign.
//
// That is not enough for what Mermaid looks for after it has decoded the entity codes: a
// backslash with an n, formulas between pairs of dollar signs, icons such as fa:fa-car, and
// its own form of entity codes, with a degree sign and a pilcrow. An invisible character
// keeps Mermaid from finding these.
func mermaidEscape(text string) string {
	const wordJoiner = '\u2060'
	var b strings.Builder
	code := func(r rune) { fmt.Fprintf(&b, "#%d;", r) }
	for _, r := range text {
		switch {
		case r == ' ', r == ',', r == '(', r == ')', unicode.IsLetter(r), unicode.IsDigit(r):
			b.WriteRune(r)
		case r == '\\', r == '$', r == ':', r == '¶':
			code(r)
			code(wordJoiner)
		case r == '°':
			code(wordJoiner)
			code(r)
		default:
			code(r)
		}
	}
	return b.String()
}

package pipeline

import (
	"fmt"
	"strings"
)

// DOT returns the plan as a graph in the language of Graphviz, for
//
//	dot -Tsvg plan.dot > plan.svg
//
// A source is an ellipse, a stage with workers is a box with double sides, and any other
// stage is a box with round corners; fused stages share a frame. A buffer is written at the
// connection, or in the stage itself if several connections share it. The result of
// [Plan.InFlight] stands below. Names may contain anything. The text ends with a newline,
// and the same plan always has the same text.
func (p Plan) DOT() string {
	g := newPlanGraph(p)
	var b strings.Builder
	b.WriteString("digraph plan {\n")
	b.WriteString("    rankdir=LR\n")
	fmt.Fprintf(&b, "    label=%s\n", dotQuote(p.inFlight()))
	b.WriteString("    fontname=\"sans-serif\"\n")
	b.WriteString("    node [shape=box, fontname=\"sans-serif\"]\n")
	b.WriteString("    edge [fontname=\"sans-serif\", fontsize=10]\n")
	for n, group := range g.groups {
		indent := "    "
		if len(group) > 1 {
			fmt.Fprintf(&b, "    subgraph cluster_%d {\n", n)
			indent += indent
			fmt.Fprintf(&b, "%slabel=\"fused\"\n%sstyle=\"rounded,dashed\"\n", indent, indent)
		}
		for _, i := range group {
			fmt.Fprintf(&b, "%ss%d [label=%s%s]\n", indent, i, dotQuote(g.diagramLines(i)...), g.dotShape(i))
		}
		if len(group) > 1 {
			b.WriteString("    }\n")
		}
	}
	for to := range p.Stages {
		attributes := ""
		if label := g.edgeLabel(to); label != "" {
			attributes = " [label=" + dotQuote(label) + "]"
		}
		for _, from := range g.from[to] {
			fmt.Fprintf(&b, "    s%d -> s%d%s\n", from, to, attributes)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func (g *planGraph) dotShape(i int) string {
	switch {
	case len(g.from[i]) == 0:
		return ", shape=ellipse"
	case g.Stages[i].hasWorkers():
		return ", peripheries=2"
	default:
		return ", style=rounded"
	}
}

// dotQuote returns lines as one quoted string. Within it, Graphviz reads a backslash as the
// start of an escape, and some escapes insert other names; it reads an ampersand as the
// start of an HTML entity.
func dotQuote(lines ...string) string {
	text := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `&`, `&amp;`, "\n", `\n`).Replace(strings.Join(lines, "\n"))
	return `"` + text + `"`
}

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/millstream-go/millstream/benchmarks/host"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "scale:", err)
		}
		os.Exit(1)
	}
}

const results = "benchmarks/results"

// part is what was measured over one axis.
type part struct {
	Name    string   `json:"name"`
	Measure string   `json:"measured"` // where, when and how
	Points  []*point `json:"points"`
}

// point is one place of one line.
type point struct {
	Line       string    `json:"line"`
	X          int       `json:"x"`
	Items      int       `json:"items"`
	NS         float64   `json:"ns"`           // an item, the median of the rounds
	Processor  float64   `json:"processor_ns"` // an item, of all cores; 0: not known here
	Samples    []float64 `json:"samples"`
	Goroutines int       `json:"goroutines"` // at most, in a run that is not timed
	Memory     uint64    `json:"memory"`     // heap objects and stacks then, beyond what was there before
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("part", "", "measure only this `part`: "+strings.Join(names(), ", "))
	short := flags.Bool("short", false, "few small points, to the terminal unless -out is given")
	out := flags.String("out", "", "`directory` for the table, the charts and the data; the default is "+results)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *only != "" && !slices.Contains(names(), *only) {
		return fmt.Errorf("no part %q", *only)
	}
	dir := *out
	if dir == "" && !*short {
		if _, err := os.Stat("go.work"); err != nil {
			return errors.New("run it in the root of the repository, or say -out")
		}
		dir = results
	}
	file := filepath.Join(dir, "scale.json")
	var parts []*part
	if dir != "" {
		var err error
		if parts, err = load(file); err != nil {
			return err
		}
	}
	for _, a := range axes {
		if *only != "" && a.name != *only {
			continue
		}
		p := a.measure(*short, stderr)
		command := "go run ./benchmarks/scale -part " + a.name
		if *short {
			command += " -short"
		}
		p.Measure = fmt.Sprintf("%#q on %s: %s, %d cores, %s/%s, %s, commit %s", command, time.Now().UTC().Format(time.DateOnly),
			host.CPU(), runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH, runtime.Version(), host.Commit(results))
		parts = slices.DeleteFunc(parts, func(old *part) bool { return old.Name == p.Name })
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b *part) int { return slices.Index(names(), a.Name) - slices.Index(names(), b.Name) })
	if dir == "" {
		_, err := io.WriteString(stdout, table(parts, false))
		return err
	}
	return write(parts, dir, file)
}

func load(file string) ([]*part, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var parts []*part
	err = json.Unmarshal(text, &parts)
	return parts, err
}

func write(parts []*part, dir, file string) error {
	text, err := json.MarshalIndent(parts, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "scale.md"), []byte(table(parts, true)), 0o644); err != nil {
		return err
	}
	for _, p := range parts {
		if err := picture(p, filepath.Join(dir, "scale-"+p.Name+".svg")); err != nil {
			return err
		}
	}
	return nil
}

// table is all of it as Markdown.
func table(parts []*part, charts bool) string {
	var b strings.Builder
	b.WriteString("# Scale\n\nWhat an item costs as a pool or a flow grows; what bends, and why, is in [benchmarks](../README.md#scale).\n")
	for _, p := range parts {
		a := axisOf(p.Name)
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\nMeasured with %s.\n", a.title, a.about, p.Measure)
		if charts {
			fmt.Fprintf(&b, "\n![%s](scale-%s.svg)\n", a.title, p.Name)
		}
		fmt.Fprintf(&b, "\n| | %s | items | ns an item | spread | processor, ns an item | goroutines | memory |\n|---|--:|--:|--:|--:|--:|--:|--:|\n", a.unit)
		for _, pt := range p.Points {
			processor := "–"
			if pt.Processor > 0 {
				processor = number(pt.Processor)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", pt.Line, commas(pt.X), commas(pt.Items),
				number(pt.NS), pt.spread(), processor, commas(pt.Goroutines), size(pt.Memory))
		}
	}
	return b.String()
}

// spread is how far the rounds lie apart, at most, from their median.
func (p *point) spread() string {
	if len(p.Samples) < 2 {
		return "one round"
	}
	far := max(slices.Max(p.Samples)-p.NS, p.NS-slices.Min(p.Samples))
	return fmt.Sprintf("±%.0f %%", 100*far/p.NS)
}

func number(x float64) string {
	if x < 100 {
		return fmt.Sprintf("%.3g", x)
	}
	return commas(int(x + 0.5))
}

func commas(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(bytes uint64) string {
	if bytes >= 10<<20 {
		return commas(int(bytes>>20)) + " MiB"
	}
	return commas(int(bytes>>10)) + " KiB"
}

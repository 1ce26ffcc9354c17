package main

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"time"
)

// counts are what is added up, for a package or for all. They can be compared
// with ==: two ways of doing the work must come to the same counts.
type counts struct {
	Files     int      `json:"files"`
	Lines     int      `json:"lines"`
	Functions int      `json:"functions"`
	Longest   function `json:"longest_function"`
}

func (c counts) plus(o counts) counts {
	return counts{c.Files + o.Files, c.Lines + o.Lines, c.Functions + o.Functions, longer(c.Longest, o.Longest)}
}

// A packageRow is one package: the files of one folder.
type packageRow struct {
	Path string `json:"path"` // below the root, with slashes; "." is the root
	counts
	Run time.Duration `json:"run_ns"` // time inside the stages, over all its files
}

// packages adds up files by package.
type packages map[string]packageRow

// add adds a file that took so long.
func (p packages) add(m measured, run time.Duration) {
	row := p[path.Dir(m.path)]
	row.Path = path.Dir(m.path)
	row.counts = row.plus(counts{1, m.lines, m.functions, m.longest})
	row.Run += run
	p[row.Path] = row
}

// byLines returns the packages, those with the most lines first.
func (p packages) byLines() []packageRow {
	return slices.SortedFunc(maps.Values(p), func(a, b packageRow) int {
		return cmp.Or(cmp.Compare(b.Lines, a.Lines), cmp.Compare(a.Path, b.Path))
	})
}

// total adds up the packages.
func (p packages) total() (sum packageRow) {
	for _, row := range p {
		sum.counts = sum.plus(row.counts)
		sum.Run += row.Run
	}
	return sum
}

// same tells whether both hold the same packages with the same counts. Times may differ.
func (p packages) same(o packages) bool {
	return maps.EqualFunc(p, o, func(a, b packageRow) bool { return a.counts == b.counts })
}

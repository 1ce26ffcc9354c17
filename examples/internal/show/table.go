package show

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is text in columns. [NewTable] makes one.
type Table struct {
	right []bool
	rows  [][]string
}

// NewTable returns a table with that header. A > in front of a cell aligns its column to the
// right.
func NewTable(header ...string) *Table {
	t := &Table{}
	for i, h := range header {
		name, right := strings.CutPrefix(h, ">")
		header[i] = name
		t.right = append(t.right, right)
	}
	t.Add(header...)
	return t
}

// Add adds a row. One with fewer cells than the header is text across the columns.
func (t *Table) Add(cells ...string) {
	for i, c := range cells {
		cells[i] = Printable(c)
	}
	t.rows = append(t.rows, cells)
}

// Fprint writes the table to w, which is a buffer: an error is nobody's.
func (t *Table) Fprint(w io.Writer) {
	widths := make([]int, len(t.right))
	for _, row := range t.rows {
		if len(row) < len(widths) {
			continue
		}
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(c)))
			if t.right[i] {
				line.WriteString(pad + c + "  ")
			} else {
				line.WriteString(c + pad + "  ")
			}
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A table is text in columns.
type table struct {
	right []bool
	rows  [][]string
}

// newTable returns a table with that header. A > aligns a column to the right.
func newTable(header ...string) *table {
	t := &table{}
	for i, h := range header {
		name, right := strings.CutPrefix(h, ">")
		header[i] = name
		t.right = append(t.right, right)
	}
	t.add(header...)
	return t
}

// add adds a row. One with fewer cells than the header is text across the columns.
func (t *table) add(cells ...string) {
	for i, c := range cells {
		cells[i] = printable(c)
	}
	t.rows = append(t.rows, cells)
}

func (t *table) writeTo(w *bytes.Buffer) {
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
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

package pipeline

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// inPercent writes a share of time. A small share is not rounded to 0%, nor a large one to
// 100%.
func inPercent(share float64) string {
	switch percent := 100 * min(share, 1); {
	case percent > 0 && percent < 0.5:
		return "<1%"
	case percent < 100-1e-6 && percent >= 99.5:
		return ">99%"
	default:
		return fmt.Sprintf("%.0f%%", percent)
	}
}

// inWords is inPercent within a sentence.
func inWords(share float64) string {
	text := inPercent(share)
	switch text[0] {
	case '<':
		return "under " + text[1:]
	case '>':
		return "over " + text[1:]
	default:
		return text
	}
}

// grouped writes n with thousands separators.
func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// count writes how many things there are: "1 worker", "2 workers".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return grouped(uint64(max(n, 0))) + " " + thing + "s"
}

// ordinal writes 1st, 2nd, 3rd and so on.
func ordinal(n int) string {
	end := "th"
	if n%100/10 != 1 {
		switch n % 10 {
		case 1:
			end = "st"
		case 2:
			end = "nd"
		case 3:
			end = "rd"
		}
	}
	return strconv.Itoa(n) + end
}

// threeDigits writes d with three digits, of which the third is uncertain already; a longer
// d is written to the second, and from 100 hours on to the hour.
func threeDigits(d time.Duration) string {
	if d >= 100*time.Hour {
		return grouped(uint64(d/time.Hour)) + "h"
	}
	unit := time.Nanosecond
	for unit < time.Second && d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// perSecond writes how many of n there were in each second of d.
func perSecond(n uint64, d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	rate := float64(n) / d.Seconds()
	if rate < 100 {
		return strconv.FormatFloat(rate, 'g', 3, 64) + "/s"
	}
	// A Snapshot made by hand may have a rate that no run can reach.
	return grouped(uint64(min(rate+0.5, 1<<62))) + "/s"
}

// oneLine escapes characters that a terminal would act on instead of showing them.
func oneLine(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteString(s[:size])
		} else {
			quoted := strconv.Quote(s[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// clipped cuts s to at most widest cells of a terminal.
func clipped(s string, widest int) string {
	if cellsOf(s) <= widest {
		return s
	}
	end, wide := 0, 0
	for i, r := range s {
		if wide += cells(r); wide > widest-1 { // one cell is for the dots
			break
		}
		end = i + utf8.RuneLen(r)
	}
	return strings.TrimRight(s[:end], " ") + "…"
}

// cellsOf returns how wide s is in a terminal.
func cellsOf(s string) int {
	n := 0
	for _, r := range s {
		n += cells(r)
	}
	return n
}

// cells returns how wide a printable rune is in a terminal, for the characters that names
// are made of: marks stand on the rune before them, and East Asian letters and most emoji
// take two cells.
func cells(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.Is(wideRunes, r):
		return 2
	default:
		return 1
	}
}

var wideRunes = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0xa4cf, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff00, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1},
		{Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

// wrapped breaks text between words, into lines of at most widest cells.
func wrapped(text string, widest int) string {
	var b strings.Builder
	line := 0
	for word := range strings.FieldsSeq(text) {
		n := cellsOf(word)
		switch {
		case line == 0:
		case line+1+n > widest:
			b.WriteByte('\n')
			line = 0
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += n
	}
	return b.String()
}

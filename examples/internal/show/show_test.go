package show_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/examples/internal/show"
)

func TestCommas(t *testing.T) {
	for n, want := range map[int]string{
		0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 999999: "999,999", 1234567: "1,234,567", -100: "-100", -1000: "-1,000",
	} {
		assert.Equal(t, want, show.Commas(n))
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                               "0s",
		999:                             "999ns",
		1234:                            "1.23µs",
		999_999:                         "1ms",
		886_400 * time.Microsecond:      "886ms",
		1_264 * time.Millisecond:        "1.26s",
		83*time.Second + 456*1000*1000:  "1m23.5s",
		999*time.Second + 999*1000*1000: "16m40s",
	} {
		assert.Equal(t, want, show.Short(d))
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 20: "5.0 MiB", 3 << 29: "1.5 GiB"} {
		assert.Equal(t, want, show.Size(n))
	}
}

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		`a b.go`:             `a b.go`,
		`größe "x" \ 世界.go`:  `größe "x" \ 世界.go`,
		"a\x1b[31m.go":       `a\x1b[31m.go`,
		"a\nb\"\\\xff\u200b": `a\nb"\\xff\u200b`,
	} {
		assert.Equal(t, want, show.Printable(s))
	}
}

func TestComplain(t *testing.T) {
	var out strings.Builder
	show.Complain(&out, "program", "a\nb")
	assert.Equal(t, "program: a\\nb\n", out.String())
}

func TestClosedPipe(t *testing.T) {
	for _, gone := range []error{io.ErrClosedPipe, &fs.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}} {
		assert.True(t, show.ClosedPipe(fmt.Errorf("write: %w", gone)))
	}
	for _, other := range []error{nil, io.EOF} {
		assert.False(t, show.ClosedPipe(other))
	}
}

func TestReason(t *testing.T) {
	broken := errors.New("broken")
	assert.Equal(t, fs.ErrNotExist, show.Reason(&fs.PathError{Op: "open", Path: "a", Err: fs.ErrNotExist}))
	assert.Equal(t, broken, show.Reason(broken))
}

func TestTable(t *testing.T) {
	table := show.NewTable("name", ">size")
	table.Add("größe", "5")
	table.Add("a\tb", "12345")
	table.Add("... 3 more, which is longer than its column")
	var out strings.Builder
	table.Fprint(&out)
	assert.Equal(t, "name    size\ngröße      5\na\\tb   12345\n... 3 more, which is longer than its column\n", out.String())
}

// Package host says on what machine and from which commit something was measured.
package host

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// CPU is the name of the processor, where the system tells it in the way of Linux.
func CPU() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close() //nolint:errcheck // it is only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// Commit is the commit that was measured, and whether the tree differed from it, but for a directory: results are no
// change of what is measured.
func Commit(but string) string {
	id, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	changed, err := exec.Command("git", "status", "--porcelain", "--", ".", ":(exclude)"+but).Output()
	name := strings.TrimSpace(string(id))
	if err != nil || len(changed) > 0 {
		name += " with changes"
	}
	return name
}

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/millstream-go/millstream/benchmarks/subject"
)

// host is where and with what it was measured.
type host struct {
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	OS       string            `json:"os"`
	Go       string            `json:"go"`
	Commit   string            `json:"commit"`
	Versions map[string]string `json:"versions"` // of the subjects' modules
}

func describeHost() host {
	h := host{CPU: cpu(), Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Commit: commit()}
	h.Versions = map[string]string{}
	wanted := map[string]bool{}
	for _, sub := range subject.All() {
		wanted[sub.Module] = true
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if wanted[m.Path] {
				h.Versions[m.Path] = m.Version
			}
		}
	}
	return h
}

// cpu is the name of the processor, where the system tells it in the way of Linux.
func cpu() string {
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

// commit is the commit that was measured, and whether the tree differed from it.
func commit() string {
	id, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	// The results themselves are no change of what is measured.
	changed, err := exec.Command("git", "status", "--porcelain", "--", ".", ":(exclude)"+results).Output()
	name := strings.TrimSpace(string(id))
	if err != nil || len(changed) > 0 {
		name += " with changes"
	}
	return name
}

// String says it in a line.
func (h host) String() string {
	cores := "cores"
	if h.Cores == 1 {
		cores = "core"
	}
	return fmt.Sprintf("%s, %d %s, %s, %s, commit %s", h.CPU, h.Cores, cores, h.OS, h.Go, h.Commit)
}

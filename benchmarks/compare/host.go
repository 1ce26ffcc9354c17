package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	where "github.com/millstream-go/millstream/benchmarks/host"
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
	h := host{CPU: where.CPU(), Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Commit: where.Commit(results)}
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

// String says it in a line.
func (h host) String() string {
	cores := "cores"
	if h.Cores == 1 {
		cores = "core"
	}
	return fmt.Sprintf("%s, %d %s, %s, %s, commit %s", h.CPU, h.Cores, cores, h.OS, h.Go, h.Commit)
}

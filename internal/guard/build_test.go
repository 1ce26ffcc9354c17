package guard

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNoTestPackageIsInAProductBuild asks the go command what a program links that imports all of the public packages,
// dependencies of dependencies included. The import tests look at our own sources only.
func TestNoTestPackageIsInAProductBuild(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command")
	}
	args := []string{"list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}"}
	for _, p := range loadPublic(t) {
		if !publicTestKit(p.dir) {
			args = append(args, p.importPath())
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	linked := strings.Split(strings.TrimSpace(string(out)), "\n")
	assert.Greater(t, len(linked), 50, "what is linked")
	assert.Empty(t, notForPrograms(linked))
}

// notForPrograms returns those of the lines "package module" that a program must not link.
func notForPrograms(linked []string) []string {
	return slices.DeleteFunc(slices.Clone(linked), func(line string) bool {
		pkg, module, _ := strings.Cut(line, " ")
		if under(pkg, "testing") || strings.Contains(pkg, "testkit") {
			return false
		}
		return module == "" || module == modulePath || dependencies[module] // the standard library, ours, theirs
	})
}

func TestNotForPrograms(t *testing.T) {
	assert.Equal(t, []string{
		"testing ", "testing/synctest ", modulePath + "/internal/testkit " + modulePath,
		"github.com/stretchr/testify/assert github.com/stretchr/testify", "a.test/b a.test",
	}, notForPrograms([]string{
		"fmt ", "testing ", "testing/synctest ", modulePath + "/pool " + modulePath,
		modulePath + "/internal/testkit " + modulePath,
		"github.com/stretchr/testify/assert github.com/stretchr/testify",
		"github.com/sourcegraph/conc/panics github.com/sourcegraph/conc", "a.test/b a.test",
	}))
}

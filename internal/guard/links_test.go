package guard

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	inlineLink    = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?(?:\s+["'(][^)]*)?\)`) // [text](target "title")
	referenceLink = regexp.MustCompile(`(?m)^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)`)      // [label]: target
	attributeLink = regexp.MustCompile(`(?:href|src|srcset)=["']([^"']+)["']`)      // <img src="target">
	fence         = regexp.MustCompile("(?ms)^ {0,3}```.*?\n {0,3}```[ \t]*$")
	codeSpan      = regexp.MustCompile("`[^`\n]*`")
	scheme        = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:`)
)

// TestLinksLeadSomewhere covers every page of the repository. Links to other sites are left alone, because a test
// must not fail for a server that is down.
func TestLinksLeadSomewhere(t *testing.T) {
	broken, err := brokenLinks(os.DirFS(root))
	require.NoError(t, err)
	for _, complaint := range broken {
		t.Error(complaint)
	}
}

// brokenLinks returns the relative links in the Markdown files of the tree whose target does not exist.
func brokenLinks(tree fs.FS) ([]string, error) {
	var broken []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".md" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		for _, link := range relativeLinks(string(text)) {
			if !leads(tree, name, link) {
				broken = append(broken, fmt.Sprintf("%s: the link %s leads nowhere", name, link))
			}
		}
		return nil
	})
	return broken, err
}

// relativeLinks returns the targets of a page that lie in the repository: no scheme, and more than an anchor. What
// stands in code is no link.
func relativeLinks(page string) []string {
	page = fence.ReplaceAllString(page, "")
	page = codeSpan.ReplaceAllString(page, "``")
	var links []string
	for _, form := range []*regexp.Regexp{inlineLink, referenceLink, attributeLink} {
		for _, match := range form.FindAllStringSubmatch(page, -1) {
			target := match[1]
			if scheme.MatchString(target) || strings.HasPrefix(target, "//") || strings.HasPrefix(target, "#") ||
				strings.HasPrefix(target, "^") {
				continue
			}
			links = append(links, target)
		}
	}
	return links
}

// leads reports whether the link, read from the page, names a file or directory of the tree.
func leads(tree fs.FS, page, link string) bool {
	link, _, _ = strings.Cut(link, "#")
	link, _, _ = strings.Cut(link, "?")
	target, err := url.PathUnescape(link)
	if err != nil {
		return false
	}
	if rooted, ok := strings.CutPrefix(target, "/"); ok {
		target = path.Clean(rooted)
	} else {
		target = path.Join(path.Dir(page), target)
	}
	_, err = fs.Stat(tree, target) // a target outside the tree is no valid path, and an error too
	return err == nil
}

func TestBrokenLinks(t *testing.T) {
	broken, err := brokenLinks(fstest.MapFS{
		"README.md": {Data: []byte("[good](docs/a.md#part) ![gone](docs/gone.svg \"title\") [out](https://a.test/x)\n" +
			"[anchor](#part) [dir](docs) [root](/docs/a.md) [two][ref] [above](../x.md)\n\n[ref]: docs/none.md\n\n" +
			"<img src=\"docs/lost.png\"> `[code](no.md)` F[T](x) \n\n```\n[code](no.md)\n```\n[after](late.md)\n")},
		"docs/a.md":        {Data: []byte("[up](../README.md) [here](b%20c.md) [not](README.md)\n")},
		"docs/b c.md":      {},
		".github/x.md":     {Data: []byte("[hidden](no.md)")},
		"testdata/x.md":    {Data: []byte("[data](no.md)")},
		"pool/pool.go":     {Data: []byte("// [go](no.md)")},
		"pool/deep/doc.md": {Data: []byte("[up](../pool.go) [no](pool.go)")},
	})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{
		"README.md: the link docs/gone.svg leads nowhere",
		"README.md: the link ../x.md leads nowhere",
		"README.md: the link docs/none.md leads nowhere",
		"README.md: the link docs/lost.png leads nowhere",
		"README.md: the link x leads nowhere",
		"README.md: the link late.md leads nowhere",
		"docs/a.md: the link README.md leads nowhere",
		"pool/deep/doc.md: the link pool.go leads nowhere",
	}, broken)
}

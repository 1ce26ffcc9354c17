// Package browser drives the page of the jobserver in a real browser: Chromium, without a window. It is
// a module of its own, so that what drives the browser is no dependency of the examples.
//
//	go test -C examples/jobserver/browser -v -shots DIR
package browser

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var shots = flag.String("shots", "", "folder for screenshots; none without it")

// serve builds and starts the server, and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "jobserver")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", program, "./jobserver")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	server := exec.Command(program, "-port", "0", "-max_workers", "4", "-drain", "1s")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait() // 1 if the test was left with jobs
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
}

// browse starts the browser; without one the test is skipped.
func browse(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium is installed")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	// What the page's policy forbids, and what its script fails at, comes here.
	console := chromedp.Console(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range console {
			if err != nil {
				return
			}
			if m.IsException() || m.Source == "security" || m.Source == "violation" {
				t.Errorf("console: %s", m)
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return ctx
}

type step = chromedp.Action[chromedp.Void]

// run takes steps, and stops the test at the first that fails.
func run(ctx context.Context, t *testing.T, steps ...step) {
	t.Helper()
	for _, step := range steps {
		bounded, cancel := context.WithTimeout(ctx, 20*time.Second)
		err := chromedp.Do(bounded, step)
		cancel()
		if err != nil {
			screenshot(ctx, t, "failed")
			t.Fatal(err)
		}
	}
}

func screenshot(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	if *shots == "" {
		return
	}
	image, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Error(err)
		return
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), image, 0o600); err != nil {
		t.Error(err)
	}
}

// row is the row of the job whose name it is, with that status.
func row(name, status string) string {
	return `//tbody[@id="job-rows"]/tr[contains(@class, "` + status + `")][td[@class="name" and text()="` + name + `"]]`
}

// worker waits until a worker is shown with a job of that name.
func worker(name string) step {
	return shown(`//*[@id="workers"]/li[contains(@class, "busy")][contains(*[@class="what"], "` + name + `")]`)
}

// shown waits until the document has what the XPath says.
func shown(path string) step { return until(`Boolean(` + node(path) + `)`) }

// gone waits until it has not.
func gone(path string) step { return until(`!` + node(path)) }

// press presses a button by the keyboard.
func press(path string) step {
	return chromedp.Steps(shown(path), until(node(path)+`.focus() === undefined`), chromedp.KeyEvent(kb.Enter))
}

func node(path string) string {
	return fmt.Sprintf("document.evaluate(%q, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE).singleNodeValue", path)
}

// until waits until an expression of JavaScript is true.
func until(expression string) step {
	return func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		for {
			ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
			if err != nil || ok {
				return chromedp.Void{}, err
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return chromedp.Void{}, fmt.Errorf("%w, waiting for %s", ctx.Err(), expression)
			}
		}
	}
}

func add(name, delay, kind string) step {
	return chromedp.Steps(
		chromedp.SetValue(chromedp.CSS(`#add [name=name]`), name),
		chromedp.SetValue(chromedp.CSS(`#add [name=delay]`), delay),
		chromedp.SetValue(chromedp.CSS(`#add [name=kind]`), kind),
		chromedp.Click(chromedp.CSS(`#add button`)),
	)
}

func TestThePage(t *testing.T) {
	ctx := browse(t)
	base := serve(t)
	run(ctx, t, chromedp.EmulateViewport(1200, 900), chromedp.Navigate(base),
		shown(`//*[@id="link" and text()="live"]`))

	// A job is added by the keyboard alone, runs and finishes.
	run(ctx, t,
		chromedp.SetValue(chromedp.CSS(`#add [name=name]`), "nightly report"),
		chromedp.Focus(chromedp.CSS(`#add [name=delay]`)),
		chromedp.KeyEvent(kb.Enter),
		shown(row("nightly report", "running")),
		shown(row("nightly report", "succeeded")))

	// Markup in a name is text.
	const markup = `<img src=x onerror=document.title=1><b>bold</b>`
	run(ctx, t, add(markup, "1", "sleep"), shown(row(markup, "running")))
	if title, err := chromedp.Run(ctx, chromedp.Title()); err != nil || title != "Job server" {
		t.Errorf("the page ran what was in a name: its title is %q (%v)", title, err)
	}

	// A bad delay is refused with words.
	run(ctx, t, add("too long", "99", "sleep"), shown(`//*[@id="message" and contains(text(), "want 1s to 10s")]`))

	// Jobs of all kinds, more than there are workers; one is canceled.
	for _, kind := range []string{"fail", "panic", "sleep", "hash", "sleep", "sleep"} {
		run(ctx, t, add("a "+kind, "3", kind))
	}
	run(ctx, t, add("unwanted", "10", "sleep"),
		press(row("unwanted", "queued")+`//button`),
		shown(row("unwanted", "canceled")))
	run(ctx, t, shown(row("a hash", "running")), worker("a hash"),
		shown(`//*[@id="size"]`), until(`document.getElementById("size").value === "4"`))
	screenshot(ctx, t, "light")
	run(ctx, t, dark())
	screenshot(ctx, t, "dark")

	// A worker halts behind its job and is gone, then the pool gets it back.
	run(ctx, t,
		press(`//*[@id="workers"]/li[@data-key="3"]//button`),
		gone(`//*[@id="workers"]/li[@data-key="3"]`),
		shown(row("a panic", "panicked")),
		shown(row("a fail", "failed")),
		chromedp.SetValue(chromedp.CSS(`#resize [name=workers]`), "6"),
		chromedp.Click(chromedp.CSS(`#resize button`)),
		shown(`//*[@id="workers"]/li[@data-key="5"]`))

	// While the pool is paused, a job waits.
	run(ctx, t, chromedp.Click(chromedp.CSS(`#pause`)), shown(`//*[@id="state" and text()="paused"]`),
		add("later", "1", "sleep"), shown(row("later", "queued")))
	run(ctx, t, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	screenshot(ctx, t, "phone")
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`))
	if err != nil || wide {
		t.Error("the page is wider than a phone")
	}
	run(ctx, t, chromedp.Click(chromedp.CSS(`#pause`)), shown(row("later", "succeeded")))
}

func dark() step {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		})
		return chromedp.Void{}, err
	}
}

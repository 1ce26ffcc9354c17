// Package browser drives the page of the jobserver in a real browser: Chromium, without a window. It is
// a module of its own, so that what drives the browser is no dependency of the examples.
//
//	go test -C examples/jobserver/browser -v -shots DIR
package browser

import (
	"bufio"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
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
	t.Cleanup(cancel)
	// What the page's policy forbids, and what its script fails at, comes here.
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("exception: %s", e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			t.Logf("console: %s %s", e.Entry.Level, e.Entry.Text)
			if e.Entry.Source == log.SourceSecurity {
				t.Errorf("forbidden: %s", e.Entry.Text)
			}
		}
	})
	return ctx
}

// run runs actions, and stops the test at the first that fails.
func run(ctx context.Context, t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	for _, a := range actions {
		step, cancel := context.WithTimeout(ctx, 20*time.Second)
		err := chromedp.Run(step, a)
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
	var image []byte
	if err := chromedp.Run(ctx, chromedp.FullScreenshot(&image, 100)); err != nil {
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

func add(name, delay, kind string) chromedp.Action {
	return chromedp.Tasks{
		chromedp.SetValue(`#add [name=name]`, name, chromedp.ByQuery),
		chromedp.SetValue(`#add [name=delay]`, delay, chromedp.ByQuery),
		chromedp.SetValue(`#add [name=kind]`, kind, chromedp.ByQuery),
		chromedp.Click(`#add button`, chromedp.ByQuery),
	}
}

func TestThePage(t *testing.T) {
	ctx := browse(t)
	base := serve(t)
	run(ctx, t, log.Enable(), chromedp.EmulateViewport(1200, 900), chromedp.Navigate(base),
		chromedp.WaitVisible(`//*[@id="link" and text()="live"]`))

	// A job is added by the keyboard alone, runs and finishes.
	run(ctx, t,
		chromedp.SetValue(`#add [name=name]`, "nightly report", chromedp.ByQuery),
		chromedp.Focus(`#add [name=delay]`, chromedp.ByQuery),
		chromedp.KeyEvent(kb.Enter),
		chromedp.WaitVisible(row("nightly report", "running")),
		chromedp.WaitVisible(row("nightly report", "succeeded")))

	// Markup in a name is text.
	const markup = `<img src=x onerror=document.title=1><b>bold</b>`
	var title string
	run(ctx, t, add(markup, "1", "sleep"), chromedp.WaitVisible(row(markup, "running")), chromedp.Title(&title))
	if title != "Job server" {
		t.Errorf("the page ran what was in a name: its title is %q", title)
	}

	// A bad delay is refused with words.
	run(ctx, t, add("too long", "99", "sleep"), chromedp.WaitVisible(`//*[@id="message" and contains(text(), "want 1s to 10s")]`))

	// Jobs of all kinds, more than there are workers; one is canceled.
	for _, kind := range []string{"fail", "panic", "sleep", "hash", "sleep", "sleep"} {
		run(ctx, t, add("a "+kind, "3", kind))
	}
	run(ctx, t, add("unwanted", "10", "sleep"),
		chromedp.Click(row("unwanted", "queued")+`//button`),
		chromedp.WaitVisible(row("unwanted", "canceled")))
	time.Sleep(time.Second)
	screenshot(ctx, t, "light")
	run(ctx, t, dark())
	screenshot(ctx, t, "dark")

	// A worker halts behind its job and is gone, then the pool gets it back.
	run(ctx, t,
		chromedp.Click(`//*[@id="workers"]/li[@data-key="3"]//button`),
		chromedp.WaitNotPresent(`//*[@id="workers"]/li[@data-key="3"]`),
		chromedp.WaitVisible(row("a panic", "panicked")),
		chromedp.WaitVisible(row("a fail", "failed")),
		chromedp.SetValue(`#resize [name=workers]`, "6", chromedp.ByQuery),
		chromedp.Submit(`#resize`, chromedp.ByQuery),
		chromedp.WaitVisible(`//*[@id="workers"]/li[@data-key="5"]`))

	// While the pool is paused, a job waits.
	run(ctx, t, chromedp.Click(`#pause`, chromedp.ByQuery), chromedp.WaitVisible(`//*[@id="state" and text()="paused"]`),
		add("later", "1", "sleep"), chromedp.WaitVisible(row("later", "queued")))
	run(ctx, t, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	screenshot(ctx, t, "phone")
	var overflow bool
	run(ctx, t, chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, &overflow))
	if overflow {
		t.Error("the page is wider than a phone")
	}
	run(ctx, t, chromedp.Click(`#pause`, chromedp.ByQuery), chromedp.WaitVisible(row("later", "succeeded")))
}

func dark() chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}})
}

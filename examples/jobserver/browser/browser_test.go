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
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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
func serve(t *testing.T, args ...string) string {
	t.Helper()
	base, _ := serveUntil(t, append([]string{"-port", "0"}, args...)...)
	return base
}

// serveUntil does the same, and returns a function that stops the server before the test ends.
func serveUntil(t *testing.T, args ...string) (base string, stop func()) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "jobserver")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", program, "./jobserver")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	server := exec.Command(program, append([]string{"-max_workers", "4", "-drain", "1s"}, args...)...)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait() // 1 if the test was left with jobs
	})
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "listening on ")), stop
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
	if *shots != "" {
		if err := os.MkdirAll(*shots, 0o755); err != nil { //nolint:gosec // the user's own
			t.Fatal(err)
		}
	}
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
	for _, width := range []int64{390, 320} {
		run(ctx, t, chromedp.EmulateViewport(width, 844, chromedp.EmulateMobile))
		screenshot(ctx, t, fmt.Sprint("phone", width))
		wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
		if err != nil || wide > width {
			t.Errorf("the page is %d wide on a phone of %d", wide, width)
		}
	}
	run(ctx, t, until(`(scrollTo(0, document.body.scrollHeight), scrollY > 300) && document.getElementById("message").getBoundingClientRect().top > -1`)) // still in sight
	screenshot(ctx, t, "phone-end")
	run(ctx, t, chromedp.Click(chromedp.CSS(`#pause`)), shown(row("later", "succeeded")),
		until(`/: shortest .*, median .*, longest /.test(document.getElementById("wait-chart").ariaLabel)`))

	// Of many workers the page shows some.
	run(ctx, t, chromedp.SetValue(chromedp.CSS(`#resize [name=workers]`), "250"), chromedp.Click(chromedp.CSS(`#resize button`)),
		shown(`//*[@id="more-workers" and not(@hidden) and text()="and 50 more"]`),
		until(`document.getElementById("workers").childElementCount === 200`))
}

// focused waits until what the XPath says has the focus.
func focused(path string) step { return until(node(path) + ` === document.activeElement`) }

func TestTheFocusStaysInTheList(t *testing.T) {
	ctx := browse(t)
	base := serve(t)
	cancel := func(name string) string { return row(name, "running") + `//button` }
	halt := func(id int) string { return fmt.Sprintf(`//*[@id="workers"]/li[@data-key="%d"]//button`, id) }
	run(ctx, t, chromedp.EmulateViewport(1200, 900), chromedp.Navigate(base), shown(`//*[@id="link" and text()="live"]`),
		add("a", "10", "sleep"), add("b", "10", "sleep"), add("c", "10", "sleep"),
		shown(row("c", "running")),
		press(cancel("b")), shown(row("b", "canceled")), focused(cancel("a")),
		press(cancel("a")), shown(row("a", "canceled")), focused(cancel("c")),
		press(cancel("c")), shown(row("c", "canceled")), focused(`//*[@id="jobs"]`),

		press(halt(1)), gone(halt(1)), focused(halt(2)),
		press(halt(3)), gone(halt(3)), focused(halt(2)),
		press(halt(0)), gone(halt(0)), focused(halt(2)),
		press(halt(2)), gone(halt(2)), focused(`//*[@id="pool"]`),
		// The label alone says what the button does.
		until(`!document.getElementById("pause").hasAttribute("aria-pressed")`))
}

func TestAnotherServerHasOtherJobs(t *testing.T) {
	ctx := browse(t)
	base, stop := serveUntil(t, "-port", "0")
	run(ctx, t, chromedp.EmulateViewport(1200, 900), chromedp.Navigate(base), shown(`//*[@id="link" and text()="live"]`),
		add("first", "1", "sleep"), shown(row("first", "succeeded")), add("second", "1", "sleep"), shown(row("second", "succeeded")))
	stop()
	run(ctx, t, shown(`//*[@id="link" and text()="reconnecting"]`))
	serveUntil(t, "-port", base[strings.LastIndex(base, ":")+1:])
	run(ctx, t, shown(`//*[@id="link" and text()="live"]`), gone(row("second", "succeeded")),
		add("other", "10", "sleep"), shown(row("other", "running")), gone(row("first", "succeeded")))
}

func TestAStreamThatIsRefusedIsTriedAgain(t *testing.T) {
	ctx := browse(t)
	base := serve(t, "-streams", "1")
	response, err := http.Get(base + "/events") //nolint:noctx // the test ends it
	if err != nil {
		t.Fatal(err)
	}
	run(ctx, t, chromedp.Navigate(base), shown(`//*[@id="link" and text()="reconnecting"]`))
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	run(ctx, t, shown(`//*[@id="link" and text()="live"]`))
}

func TestAListThatIsRefusedIsTriedAgain(t *testing.T) {
	ctx := browse(t)
	base := serve(t)
	postJobs(t, base, 1, "before", "10s")
	to, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	var lists atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/work" && lists.Add(1) == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	t.Cleanup(front.CloseClientConnections)
	run(ctx, t, chromedp.Navigate(front.URL), shown(row("before", "running")))
}

func TestWhatEndedWhileTheStreamWasBrokenIsSeen(t *testing.T) {
	ctx := browse(t)
	base := serve(t, "-rate", "0", "-min-delay", "0s", "-max_queue_size", "1000")
	relay := newRelay(t, strings.TrimPrefix(base, "http://"))
	run(ctx, t, chromedp.Navigate("http://"+relay.Addr().String()), shown(`//*[@id="link" and text()="live"]`),
		add("early", "2", "sleep"), shown(row("early", "running")),
		chromedp.SetValue(chromedp.CSS("#filter"), "running"))
	relay.cut(true)
	run(ctx, t, shown(`//*[@id="link" and text()="reconnecting"]`))
	postJobs(t, base, 150, "late", "0s")
	time.Sleep(2 * time.Second) // until early has ended
	run(ctx, t, shown(row("early", "running")))
	relay.cut(false)
	run(ctx, t, shown(`//*[@id="link" and text()="live"]`), gone(row("early", "running")))
}

func postJobs(t *testing.T, base string, n int, name, delay string) {
	t.Helper()
	for range n {
		response, err := http.PostForm(base+"/work", url.Values{"name": {name}, "delay": {delay}}) //nolint:noctx // a test's
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			t.Fatal(response.Status)
		}
	}
}

// A relay passes connections on to a server, unless it is cut.
type relay struct {
	net.Listener
	mu    sync.Mutex
	off   bool
	conns []net.Conn
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // the test closes it
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: listener}
	t.Cleanup(func() {
		_ = r.Close()
		r.cut(true)
	})
	go func() {
		for {
			from, err := r.Accept()
			if err != nil {
				return
			}
			r.pass(from, to)
		}
	}()
	return r
}

func (r *relay) pass(from net.Conn, to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	server, err := net.Dial("tcp", to) //nolint:noctx // on this machine
	if err != nil || r.off {
		_ = from.Close()
		return
	}
	r.conns = append(r.conns, from, server)
	go func() { _, _ = io.Copy(server, from) }()
	go func() { _, _ = io.Copy(from, server) }()
}

// cut closes all connections, and others until it is called with false.
func (r *relay) cut(off bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.off = off
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.conns = nil
}

func dark() step {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		})
		return chromedp.Void{}, err
	}
}

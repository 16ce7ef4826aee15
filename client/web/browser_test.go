package web_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"chordtorrent/client/api"
	"chordtorrent/client/daemontest"
)

// The tests of pages in a real browser do what a person does, and look for what a
// person sees. They need Chromium, which make test installs.

var screenshots = flag.String("web.screenshots", "", "write pictures of all pages into this `directory`")

// browser is a Chromium with one page open.
type browser struct {
	t       *testing.T
	ctx     context.Context
	dialogs atomic.Int32 // alerts that a page has shown
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Fatal("there is no Chromium on this machine: scripts/need.sh chromium installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-dev-shm-usage", true), chromedp.WindowSize(1200, 800),
		chromedp.WSURLReadTimeout(time.Minute))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	whole, cancel := chromedp.NewContext(alloc)
	if err := chromedp.Do(whole); err != nil { // starts it
		t.Fatal(err)
	}
	ctx, stopTimer := context.WithTimeout(whole, 3*time.Minute)
	b := &browser{t: t, ctx: ctx}
	t.Cleanup(func() {
		stopTimer()
		_ = chromedp.Cancel(whole) // waits until it has ended
		cancel()
		stop()
	})
	if err := chromedp.Listen(ctx, func(ev any) {
		if _, ok := ev.(*page.EventJavascriptDialogOpening); ok {
			b.dialogs.Add(1)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

type void = chromedp.Action[chromedp.Void]

func (b *browser) do(what string, actions ...void) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.fatal(what, err)
	}
}

func (b *browser) fatal(what string, err error) {
	b.t.Helper()
	seen, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	b.t.Fatalf("%s: %v. The page says:\n%s", what, err, seen)
}

// read evaluates an expression.
func read[T any](b *browser, what, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.fatal(what, err)
	}
	return v
}

// says waits until an element shows a text.
func (b *browser) says(what, selector, text string) {
	b.t.Helper()
	b.until(what, fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))`, selector, text))
}

// lacks waits until no element shows a text.
func (b *browser) lacks(what, selector, text string) {
	b.t.Helper()
	b.until(what, fmt.Sprintf(`![...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))`, selector, text))
}

// until waits for an expression to be true, also over the loading of another page.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	enough := time.After(30 * time.Second)
	for {
		yes, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		if err == nil && yes {
			return
		}
		select {
		case <-tick.C:
		case <-enough:
			b.fatal("waited in vain for "+what, err)
		case <-b.ctx.Done():
			b.t.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}

// click clicks the button or link with this text in the line or form that contains
// about.
func (b *browser) click(about, text string) {
	b.t.Helper()
	b.until("the button "+text, fmt.Sprintf(`(() => {
		const box = ["li.job", "tr", "form", "main"].flatMap((s) => [...document.querySelectorAll(s)]).find((e) => e.innerText.includes(%q));
		const button = box && [...box.querySelectorAll("button, a, summary")].find((e) => e.innerText.trim().startsWith(%q) && !e.disabled && e.checkVisibility());
		if (!button) return false;
		button.click();
		return true;
	})()`, about, text))
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.do("opening "+url, chromedp.Navigate(url), chromedp.WaitReady("main"))
}

func TestAPersonWithABrowser(t *testing.T) {
	h := daemontest.New(t)
	here, there := open(t, h, "here", nil), open(t, h, "there", nil)
	b := newBrowser(t)
	path := h.File("disk.txt", 2<<20)

	// Publish by choosing a file.
	b.open(here.url + "/publish")
	b.do("choosing a file", chromedp.SetUploadFiles("#file", []string{path}), chromedp.WaitVisible("#upload"),
		chromedp.SetValue("#upload-name", "the disk.txt"))
	b.click("Publish under the name", "Publish")
	b.until("the list of my files", `location.pathname == "/mine"`)
	b.says("what was published", "li.job", "serving")
	b.says("what was published", "li.job", "the disk.txt")

	// Find it on a second client while typing, and download it.
	if err := there.d.SetSettings(t.Context(), api.Settings{MaxDownloads: 3, LimitDown: 50_000}); err != nil {
		t.Fatal(err)
	}
	b.open(there.url + "/available")
	b.says("the list of names", "tbody th", "the disk.txt")
	b.do("searching", chromedp.SendKeys("#search", "nothing"))
	b.says("that nothing is found", "#part", "No name contains")
	read[bool](b, "an empty field", `(document.querySelector("#search").value = "", document.querySelector("#search").focus(), true)`)
	b.do("searching", chromedp.KeyEvent("DISK"))
	b.says("what is found", "tbody th", "the disk.txt")
	b.click("the disk.txt", "Download")
	b.until("the downloads", `location.pathname == "/downloads"`)
	b.says("progress", "li.job .badge", "downloading")
	b.says("peers", "li.job .how", "1 peer")

	// Pause and resume.
	b.click("the disk.txt", "Pause")
	b.says("the pause", "li.job .badge", "paused")
	b.click("the disk.txt", "Resume")
	b.says("that it goes on", "li.job .badge", "downloading")
	// Its page.
	b.click("the disk.txt", "the disk.txt") // the link to its page
	b.until("the piece map", `!!document.querySelector("svg.map")`)
	b.says("the peers of it", "tbody tr", "100.0 %")
	b.open(there.url + "/downloads")

	// Cancel asks what is to become of the data; retry begins again.
	b.click("the disk.txt", "Cancel…")
	b.click("the disk.txt", "Cancel, delete")
	b.says("that it is cancelled", "li.job .badge", "cancelled")
	if err := there.d.SetSettings(t.Context(), api.Settings{MaxDownloads: 3}); err != nil {
		t.Fatal(err)
	}
	b.click("the disk.txt", "Retry")
	b.says("that it is done", "li.job .badge", "serving")
	jobs, err := there.d.Jobs(t.Context())
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%v, %v", jobs, err)
	}
	h.Same(path, jobs[0].Path)

	// Open it in the browser.
	b.do("opening it", chromedp.Navigate(there.url+read[string](b, "the link to open it", `document.querySelector('li.job a[href^="/content/"]').getAttribute("href")`)))
	if kind := read[string](b, "what was opened", "document.contentType"); kind != "text/plain" {
		t.Errorf("opened as %s", kind)
	}

	b.opens(h, here, "picture.png")

	// What fails says why, and can be tried again.
	h.Publish(here.d, h.File("second", 1000))
	inTheWay := h.File("there/files/second", 10)
	b.open(there.url + "/available")
	b.click("second", "Download")
	b.says("the failure", "li.job .badge", "failed")
	b.says("the reason", "li.job .problem", "target exists already")
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	b.click("target exists", "Retry")
	b.lacks("the end of the failure", "li.job .badge", "failed")
	b.says("the second one", "li.job", "second")

	// Unpublish.
	b.open(here.url + "/mine")
	b.click("the disk.txt", "Remove…")
	b.click("the disk.txt", "Unpublish")
	b.lacks("that it is gone", "li.job", "the disk.txt")
	h.Until(here.d, published("the disk.txt"), "the unpublication", daemontest.Is(api.Cancelled))

	if b.dialogs.Load() != 0 {
		t.Errorf("%d dialogs", b.dialogs.Load())
	}
}

// opens publishes a picture and opens it.
func (b *browser) opens(h *daemontest.House, s *site, name string) {
	b.t.Helper()
	path := filepath.Join(h.Dir, name)
	f, err := os.Create(path)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := errors.Join(png.Encode(f, image.NewGray(image.Rect(0, 0, 7, 5))), f.Close()); err != nil {
		b.t.Fatal(err)
	}
	j := h.Publish(s.d, path)
	b.do("opening it", chromedp.Navigate(s.url+"/content/"+j.ID))
	b.until("the picture", `document.images.length == 1 && document.images[0].naturalWidth == 7`)
}

// sound writes a WAV of so many seconds: 16 bits, one channel, 8,000 samples a second.
func sound(h *daemontest.House, name string, seconds int) (path string) {
	const rate, width = 8000, 2
	size := uint32(seconds * rate * width)
	var b bytes.Buffer
	b.WriteString("RIFF")
	for _, part := range []any{36 + size, []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(rate), uint32(rate * width), uint16(width), uint16(8 * width),
		[]byte("data"), size} {
		_ = binary.Write(&b, binary.LittleEndian, part) // never fails
	}
	for i := range seconds * rate {
		_ = binary.Write(&b, binary.LittleEndian, int16(i%40*400))
	}
	path = h.File(name, b.Len())
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		panic(err)
	}
	return path
}

// Films and sound play in the browser's own player, also from the middle of what is
// still coming in. Of the two it is a sound, which a test can make.
func TestABrowserPlays(t *testing.T) {
	h := daemontest.New(t)
	here, there := open(t, h, "here", nil), open(t, h, "there", nil)
	const seconds = 240
	j := h.Publish(here.d, sound(h, "sound.wav", seconds))
	b := newBrowser(t)
	plays := func(what, url string) {
		t.Helper()
		b.do(what, chromedp.Navigate(url))
		b.until(what+": its length", fmt.Sprintf(`(() => { const v = document.querySelector("video, audio"); return v && v.readyState >= 2 && Math.abs(v.duration - %d) < 0.1; })()`, seconds))
		read[bool](b, what, fmt.Sprintf(`(document.querySelector("video, audio").currentTime = %d, true)`, seconds-5))
		b.until(what+": its end", fmt.Sprintf(`(() => { const v = document.querySelector("video, audio"); return !v.seeking && v.readyState >= 2 && v.currentTime >= %d; })()`, seconds-5))
	}
	plays("what is complete", here.url+"/content/"+j.ID)
	// So slow that all of it would take minutes.
	arriving := h.Add(there.d, api.AddDownload{Source: "sound.wav", LimitDown: 32 << 10})
	h.Until(there.d, arriving.ID, "the beginning", func(j api.Job) bool { return j.Stage == "downloading" })
	plays("what is arriving", there.url+"/content/"+arriving.ID)
	if got := h.Must(there.d.Job(t.Context(), arriving.ID)); got.State != api.Running || got.Done == got.Bytes {
		t.Errorf("when its end was heard: %+v", got)
	}
}

func TestANameThatIsAScript(t *testing.T) {
	h := daemontest.New(t)
	s, other := open(t, h, "a", nil), open(t, h, "b", nil)
	const evil = `<img src=x onerror=alert(1)>.iso`
	h.Publish(s.d, h.File(evil, 1000))
	j := h.Add(other.d, api.AddDownload{Source: evil})
	h.Until(other.d, j.ID, "the download", daemontest.IsServed)
	b := newBrowser(t)
	for _, url := range []string{s.url + "/available", s.url + "/mine", other.url + "/downloads", other.url + "/jobs/" + j.ID, other.url + "/swarm/%3Cimg%20src=x%20onerror=alert(1)%3E.iso"} {
		b.open(url)
		b.says(url, "main", evil)
		// Also when the script puts lines in place.
		h.Must(other.d.Pause(t.Context(), j.ID))
		h.Must(other.d.Resume(t.Context(), j.ID))
		if images := read[int](b, "the pictures", `document.images.length`); images != 0 || b.dialogs.Load() != 0 {
			t.Errorf("%s: %d images, %d dialogs", url, images, b.dialogs.Load())
		}
	}
}

// rules are what can be checked of what everybody can use: names for all controls,
// contrast of 4.5 to 1 for all text (WCAG 2.1, 1.4.3), one h1, a language, and a focus
// that moves in the order of reading.
const rules = `(() => {
	const wrong = [];
	const shown = (e) => e.checkVisibility({ visibilityProperty: true });
	for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea, progress"))
		if (!e.labels?.length && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby")) wrong.push("no label: " + e.outerHTML);
	for (const e of document.querySelectorAll("button, a, summary"))
		if (!e.textContent.trim() && !e.getAttribute("aria-label")) wrong.push("no name: " + e.outerHTML);
	for (const e of document.querySelectorAll("svg"))
		if (!e.getAttribute("aria-label")) wrong.push("a picture without words: " + e.outerHTML.slice(0, 80));
	if (document.querySelectorAll("h1").length != 1) wrong.push("not one h1");
	if (!document.documentElement.lang) wrong.push("no language");
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	for (const id of ids) if (ids.indexOf(id) != ids.lastIndexOf(id)) wrong.push("an id twice: " + id);
	const rgb = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { r: m[0], g: m[1], b: m[2], a: m[3] ?? 1 }; };
	const light = ({ r, g, b }) => { const f = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
	const back = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.a > 0.99) return c; } return { r: 255, g: 255, b: 255 }; };
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.textContent.trim() || !shown(e) || e.closest("svg, script, noscript, .hide, .skip, option")) continue;
		const a = light(rgb(getComputedStyle(e).color)), b = light(back(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) wrong.push("contrast " + ratio.toFixed(2) + ": " + walker.currentNode.textContent.trim().slice(0, 40));
	}
	if (document.querySelector("[tabindex]:not([tabindex='0']):not([tabindex='-1'])")) wrong.push("a focus order of its own");
	const { scrollWidth, clientWidth } = document.documentElement; // innerWidth grows with what is too wide
	if (scrollWidth > clientWidth + 1) wrong.push("wider than the window: " + scrollWidth + " > " + clientWidth);
	const lines = (all) => new Set([...all].map((e) => Math.round(e.getBoundingClientRect().bottom))).size;
	if (lines(document.querySelectorAll("nav[aria-label=Pages] li")) > 1) wrong.push("the links to the pages take several lines");
	for (const e of document.querySelectorAll("td.acts")) if (innerWidth > 1000 && lines(e.querySelectorAll("button, .button")) > 1) wrong.push("buttons one over the other: " + e.innerText);
	for (const e of document.querySelectorAll(".addr")) {
		const host = document.createRange();
		host.selectNodeContents(e.firstChild);
		if (host.getClientRects().length > 1) wrong.push("broken within: " + e.innerText);
	}
	return wrong;
})()`

func TestPagesAreForEverybody(t *testing.T) {
	h := daemontest.New(t)
	a, b := open(t, h, "a", nil), open(t, h, "b", nil)
	for name, size := range map[string]int{"ubuntu-26.04.iso": 6 << 20, "model-7b.safetensors": 8 << 20, "classroom.img": 12 << 20, "notes.txt": 3000, "openstreetmap-central-europe-with-history-2026-11-29.osm.pbf": 5 << 20} {
		h.Publish(a.d, h.File(name, size))
	}
	if err := b.d.SetSettings(t.Context(), api.Settings{MaxDownloads: 2, LimitDown: 3 << 20}); err != nil {
		t.Fatal(err)
	}
	done := h.Add(b.d, api.AddDownload{Source: "notes.txt"})
	h.Until(b.d, done.ID, "a download", daemontest.IsServed)
	h.Publish(b.d, h.File("results.csv", 50_000))
	h.File("b/files/ubuntu-26.04.iso", 10)
	failed := h.Add(b.d, api.AddDownload{Source: "ubuntu-26.04.iso"})
	h.Until(b.d, failed.ID, "a failure", daemontest.Is(api.Failed))
	running := h.Add(b.d, api.AddDownload{Source: "classroom.img", LimitDown: 400 << 10})
	h.Until(b.d, running.ID, "some of it", func(j api.Job) bool { return j.Done > 1<<20 })
	paused := h.Add(b.d, api.AddDownload{Source: "model-7b.safetensors", LimitDown: 100 << 10})
	h.Until(b.d, paused.ID, "some of it", func(j api.Job) bool { return j.Stage == "downloading" })
	h.Must(b.d.Pause(t.Context(), paused.ID))

	br := newBrowser(t)
	for _, p := range []struct{ name, path string }{
		{"available", "/available"}, {"downloads", "/downloads"}, {"job", "/jobs/" + running.ID}, {"mine", "/mine"}, {"publish", "/publish"},
		{"swarm", "/swarm/classroom.img"}, {"ring", "/ring"}, {"problem", "/nothing"}, {"login", "/login"},
	} {
		for _, look := range []struct {
			name   string
			scheme string
			width  int64
		}{{"light", "light", 1200}, {"dark", "dark", 1200}, {"narrow", "light", 390}} {
			br.look(look.scheme, look.width)
			br.open(b.url + p.path)
			if wrong := read[[]string](br, "the rules", rules); len(wrong) > 0 {
				t.Errorf("%s, %s:\n%s", p.name, look.name, strings.Join(wrong, "\n"))
			}
			if *screenshots != "" {
				br.picture(filepath.Join(*screenshots, p.name+"-"+look.name+".png"))
			}
		}
	}
	// The keyboard reaches the content first, then everything in turn.
	br.open(b.url + "/downloads")
	br.do("the keyboard", chromedp.KeyEvent("\t"))
	if first := read[string](br, "its first stop", `document.activeElement.className`); first != "skip" {
		t.Errorf("the first stop of the keyboard is %q", first)
	}
	// A line that changes keeps the focus.
	// At once: the line may be replaced between two steps.
	read[bool](br, "a focus", fmt.Sprintf(`(document.querySelector("#job-%s button[data-key=pause]").focus(), true)`, running.ID))
	before := h.Must(b.d.Job(t.Context(), running.ID))
	h.Until(b.d, running.ID, "progress", func(j api.Job) bool { return j.Done > before.Done })
	br.until("the progress to be shown", fmt.Sprintf(`document.querySelector("#job-%s progress").value > %f`, running.ID, 100*float64(before.Done)/float64(before.Bytes)))
	if key := read[string](br, "the focus", `document.activeElement.dataset.key || ""`); key != "pause" {
		t.Errorf("the focus went to %q", key)
	}
}

// look sets what the page is shown on.
func (b *browser) look(scheme string, width int64) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	if err == nil {
		_, err = chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: 800, DeviceScaleFactor: 1, Mobile: width < 500})
	}
	if err != nil {
		b.fatal("the look", err)
	}
}

func (b *browser) picture(path string) {
	b.t.Helper()
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, shot, 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

package site

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"patchproof/results"
	"patchproof/results/site/sitetest"
)

func openSite(t testing.TB, s *sitetest.Store, o Options) *Site {
	t.Helper()
	site, err := Open(context.Background(), s.Dir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	return site
}

func drawn(t testing.TB, s *Site, name string) string {
	t.Helper()
	f, err := s.Render(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(f.Body)
}

var (
	tags  = regexp.MustCompile(`<[^>]*>`)
	space = regexp.MustCompile(`\s+`)
)

// words is the text of a page.
func words(html string) string {
	return space.ReplaceAllString(tags.ReplaceAllString(html, " "), " ")
}

func contains(t *testing.T, page, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s lacks %q", page, w)
		}
	}
}

func TestMatrixPages(t *testing.T) {
	s := sitetest.New(t)
	c := s.Nights(3, 1, 4, 1)
	site := openSite(t, s, Options{Version: "1.2"})

	index := words(drawn(t, site, indexName))
	contains(t, "index", index, "3 of 12 cells failing, 8 passing, 3 invalid runs", "Changed, too few runs to tell 1", "KASAN: use-after-free Read in foo_bar in 3 of 3 runs, before in 0 of 6",
		"Still there 1", "WARNING in btrfs_destroy_inode in 6 of 9 runs, before in 16 of 18", "Flaky 1", "in single cells, such as in 0 of 3 runs, before in 4 of 6", "base lzo", "patchproof 1.2")

	page := words(drawn(t, site, "c/"+c.ID+"/"+indexName))
	contains(t, "matrix", page, "3 of 12 cells failing", "failing 2", "other-failure 1", "passing 8", "invalid 1", "against 2026-11-15 01:30 , 2026-11-14 01:30",
		"none ✓ 0/3 ? ✓ 0/3", "first seen 2026-11-14 , in 3 of 3 nights", "first seen 2026-11-16 , in 1 of 3 nights", "workload=focused, guest.vcpus=2.",
		"patchproof matrix /srv/ci/nightly.yaml", "Took 9m 0s")

	cell := drawn(t, site, "c/"+c.ID+"/"+cellFile(c.Matrix.Cells[1].Key))
	contains(t, "cell", words(cell), "bug seen in 3 of 3 runs, rate 37% to 100% (90% interval)", "compress zlib", "2026-11-16 01:30 this one", "3 of 3")
	contains(t, "cell", cell, "../20261115T013000Z-nightly", `href="run-004.html"`)

	run := drawn(t, site, "c/"+c.ID+"/run-004.html")
	contains(t, "run", words(run), "WARNING in btrfs_destroy_inode matches inode destroyed with accounting left", "btrfs_destroy_inode at fs/btrfs/inode.c:8028",
		"in phase umount after the run, 13.310 s after boot", "random direct writes 7.60 s", "WARNING: CPU: 1 PID: 101 at fs/btrfs/inode.c:8028", "[PATCH] a &amp; b &lt;c&gt;")
	contains(t, "run", run, `href="#log-1"`, `id="log-1"`, `href="run-004.console.txt"`, `rel="prev"`, `rel="next"`,
		"--cell &#39;kernel=base workload=focused compress=zlib guest.vcpus=2&#39;", "-kernel /cache/images/454c8bc3db58f3f096b9/bzImage")
}

func TestVerificationPages(t *testing.T) {
	s := sitetest.New(t)
	c := s.Verification(5)
	site := openSite(t, s, Options{Config: func(id string) string {
		if id == "454c8bc3db58f3f096b9" {
			return "/the/config"
		}
		return ""
	}})
	page := words(drawn(t, site, "c/"+c.ID+"/"+indexName))
	contains(t, "verification", page, "✓ fixed fixed, confidence 99.6", "5 of 5 69% to 100%", "0 of 5 0% to 31%", "The pre-patch kernel reproduced the bug in 5 of 5 runs",
		"before: in 5 runs; after: in 0 runs", "bin/patchproof verify &#39;my plan.yaml&#39;", "The full configuration")
	run := drawn(t, site, "c/"+c.ID+"/pre-001.html")
	again := "patchproof run --kernel /cache/images/454c8bc3db58f3f096b9/bzImage --workload " + filepath.Join(c.Dir, "plan.yaml") +
		" --vcpus 4 --memory 1GiB --disk 2GiB --accel tcg --append patchproof_perturb.seed=7"
	contains(t, "run", run, again, `href="kernel-454c8bc3db58f3f096b9.config.txt"`)
	f, err := site.Render(context.Background(), "c/"+c.ID+"/kernel-454c8bc3db58f3f096b9.config.txt")
	if err != nil || f.Source != "/the/config" {
		t.Errorf("configuration: %+v, %v", f, err)
	}
}

// Names that are no pages, and those that want to leave the folder, are not
// there.
func TestRenderRefusesNames(t *testing.T) {
	s := sitetest.New(t)
	c := s.Single("x\n")
	if err := os.WriteFile(filepath.Join(s.Dir(), "secret.html"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	site := openSite(t, s, Options{})
	for _, name := range []string{"", "nothing.html", "secret.html", "../secret.html", "campaigns-1.html", "campaigns-2.html", "campaigns-0.html", "campaigns-9999999.html",
		"c/", "c/x", "c/../index.html", "c/" + c.ID, "c/" + c.ID + "/", "c/" + c.ID + "/../../secret.html", "c/" + c.ID + "/campaign.json", "c/" + c.ID + "/pre/001/run.json",
		"c/" + c.ID + "/pre-999.html", "c/" + c.ID + "/pre-999.console.txt", "c/" + c.ID + "/post-001.html", "c/" + c.ID + "/run-..html", "c/" + c.ID + "/cell-000000000000.html",
		"c/" + c.ID + "/kernel-abcdef0123456789.config.txt", "c/" + c.ID + "/plan.txt", "c/.hidden/index.html", "c/20990101T000000Z-none-000000/index.html", "c/" + c.ID + "/pre-001.html\x00", "C/" + c.ID + "/index.html"} {
		f, err := site.Render(context.Background(), name)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %+v, %v", name, f.Type, err)
		}
	}
}

// What guests say reaches no page as markup, and nothing of it steers the eye.
func TestHostileTexts(t *testing.T) {
	const evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31m\u202e\xff\x00"
	s := sitetest.New(t)
	m := sitetest.Matrix(0, 1, 1, 1)
	for i := range m.Cells {
		cell := &m.Cells[i]
		cell.Key += evil
		cell.Values["kernel"] += evil
		cell.Kernel.Label += evil
		cell.Skipped = evil
	}
	m.PlanFile, m.Shard = evil, evil
	c := s.Night(0, m, func(*results.CellRecord, int) string { return "bug" })
	single := s.Single(evil + "\n</pre></div>" + evil)
	site := openSite(t, s, Options{Version: evil})
	kept, err := site.load(c.ID) // JSON has no bytes that are no UTF-8
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{indexName, "c/" + c.ID + "/" + indexName, "c/" + c.ID + "/" + cellFile(kept.Matrix.Cells[0].Key), "c/" + c.ID + "/run-001.html",
		"c/" + single.ID + "/" + indexName, "c/" + single.ID + "/pre-001.html"} {
		page := drawn(t, site, name)
		if n := strings.Count(page, "<script"); n != 1 {
			t.Errorf("%s has %d script elements", name, n)
		}
		for _, markup := range []string{"<img", "onerror=alert(2)>", "</pre></div>&"} {
			if i := strings.Index(page, markup); i >= 0 {
				t.Errorf("%s: %q", name, page[max(0, i-60):min(len(page), i+60)])
			}
		}
		if i := strings.IndexFunc(page, isControl); i >= 0 {
			t.Errorf("%s: a control character in %q", name, page[max(0, i-60):i+10])
		}
	}
	contains(t, "log", drawn(t, site, "c/"+single.ID+"/pre-001.html"), "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&gt;&lt;img src=x onerror=alert(2)&gt;\ufffd\ufffd\ufffd")
}

// A damaged run folder is named, and the rest is shown.
func TestDamagedRunIsNamed(t *testing.T) {
	s := sitetest.New(t)
	c := s.Single("a\n", "b\n")
	for _, name := range []string{"run.jsonl", "run.json"} {
		if err := os.WriteFile(filepath.Join(c.Dir, "pre", "001", name), []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	site := openSite(t, s, Options{})
	page := drawn(t, site, "c/"+c.ID+"/"+indexName)
	contains(t, "campaign", page, "run folder pre/001 skipped", `href="pre-002.html"`)
	if strings.Contains(page, `href="pre-001.html"`) {
		t.Error("the damaged run is listed")
	}
	contains(t, "index", drawn(t, site, indexName), "Folders that cannot be read")
}

// The cache notices what has changed, and keeps within its bound.
func TestLoadNoticesChanges(t *testing.T) {
	s := sitetest.New(t)
	m := sitetest.Matrix(0, 1, 1, 1)
	w, c := s.Begin(0, m)
	site := openSite(t, s, Options{Live: true})
	runs := func() []results.Run {
		t.Helper()
		loaded, err := site.load(c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !loaded.Running {
			t.Error("the campaign does not count as running")
		}
		return loaded.Runs
	}
	if got := runs(); len(got) != 0 {
		t.Errorf("%d runs of a campaign without any", len(got))
	}
	r := sitetest.CellRun(&m.Cells[0], time.Now(), "bug")
	rw := s.Start(w, r)
	if got := runs(); len(got) != 1 || len(got[0].Phases) != 2 {
		t.Errorf("a run under way: %+v", got)
	}
	page := words(drawn(t, site, "c/"+c.ID+"/"+indexName))
	contains(t, "page", page, "… running", "0 of 3 cells done", "run-001", "after mount")
	s.End(rw, r)
	if got := runs(); len(got) != 1 || got[0].Outcome != "reproduced" {
		t.Errorf("the run at its end: %+v", got)
	}
	s.Finish(w, c, 10)
	loaded, err := site.load(c.ID)
	if err != nil || loaded.Running || loaded.ElapsedSeconds != 10 {
		t.Errorf("the campaign at its end: %+v, %v", loaded, err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	k := newCache()
	for i, id := range []string{"a", "b", "c"} {
		k.campaigns[id] = &cachedCampaign{used: i, runs: make(map[string]cachedRun)}
		for j := range cacheRuns / 2 {
			k.campaigns[id].runs[string(rune('0'+j))] = cachedRun{}
		}
	}
	k.shrink("a")
	if len(k.campaigns) != 2 || k.campaigns["a"] == nil || k.campaigns["c"] == nil {
		t.Errorf("kept: %v", sortedKeys(k.campaigns))
	}
}

package site

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchproof/results"
	"patchproof/results/site/sitetest"
)

func writeSite(t testing.TB, s *sitetest.Store, out string, o Options) Written {
	t.Helper()
	w, err := Write(context.Background(), s.Dir(), out, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range w.Problems {
		t.Errorf("problem: %s", p)
	}
	return w
}

// files are the paths of the files below a folder.
func filesBelow(t testing.TB, dir string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, relErr := filepath.Rel(dir, path)
			found[filepath.ToSlash(rel)] = true
			return relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWriteOnlyWhatChanged(t *testing.T) {
	s := sitetest.New(t)
	out := filepath.Join(t.TempDir(), "site")
	first := s.Night(0, sitetest.Matrix(0, 1, 2, 1), sitetest.Usual)
	w := writeSite(t, s, out, Options{})
	if w.Changed != w.Pages || w.Index != filepath.Join(out, indexName) {
		t.Errorf("the first time: %+v", w)
	}
	// 3 of the site; of the campaign 2, 6 cells, 18 runs with a log each
	if got := len(filesBelow(t, out)); w.Pages != 3+2+6+36 || got != w.Pages+1 {
		t.Errorf("%d pages, %d files", w.Pages, got)
	}
	if again := writeSite(t, s, out, Options{}); again.Changed != 0 || again.Pages != w.Pages {
		t.Errorf("the second time: %+v", again)
	}

	second := s.Night(1, sitetest.Matrix(1, 1, 2, 1), sitetest.Usual)
	// The night before stays as it is; the index and the new campaign do not.
	if more := writeSite(t, s, out, Options{}); more.Pages != w.Pages+44 || more.Changed != 44+1 {
		t.Errorf("with a second night: %+v", more)
	}

	log := filepath.Join(second.Dir, "run", "003", consoleName)
	if err := os.WriteFile(log+".new", []byte("another log\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(log+".new", log); err != nil {
		t.Fatal(err)
	}
	if changed := writeSite(t, s, out, Options{}); changed.Changed != 2 {
		t.Errorf("with another log: %+v", changed)
	}
	if changed := writeSite(t, s, out, Options{Version: "other"}); changed.Changed < 2*(1+6+18) {
		t.Errorf("with another version of patchproof: %+v", changed)
	}

	if err := os.RemoveAll(first.Dir); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(out, "c", second.ID, "mine.txt")
	if err := os.WriteFile(own, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	writeSite(t, s, out, Options{Version: "other"})
	for name := range filesBelow(t, out) {
		if strings.Contains(name, first.ID) {
			t.Errorf("%s is still there", name)
		}
	}
	if !exists(own) {
		t.Error("a user's own file was removed")
	}
}

// A Write that was broken off can be done again.
func TestWriteAgainAfterInterrupt(t *testing.T) {
	s := sitetest.New(t)
	s.Single("a\n")
	out := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	config := func(string) string { stop(); return "" } // asked for in the middle
	if _, err := Write(ctx, s.Dir(), out, Options{Config: config}); !errors.Is(err, context.Canceled) {
		t.Fatalf("the interrupted Write: %v", err)
	}
	if w := writeSite(t, s, out, Options{}); len(filesBelow(t, out)) != w.Pages+1 {
		t.Errorf("%+v", w)
	}
}

func TestWriteSomeCampaigns(t *testing.T) {
	s := sitetest.New(t)
	out := t.TempDir()
	night, single := s.Night(0, sitetest.Matrix(0, 1, 1, 1), sitetest.Usual), s.Single("a\n")
	writeSite(t, s, out, Options{Campaigns: []string{single.ID}})
	index, err := os.ReadFile(filepath.Join(out, indexName))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(index), night.ID) || !strings.Contains(string(index), single.ID) {
		t.Error("the index does not list just the campaign that was chosen")
	}
	if _, err := Write(t.Context(), s.Dir(), out, Options{Campaigns: []string{"nosuch"}}); err == nil {
		t.Error("a campaign that is not there was accepted")
	}
}

func TestWriteRefusesForeignFolder(t *testing.T) {
	s := sitetest.New(t)
	out := t.TempDir()
	if err := os.WriteFile(filepath.Join(out, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), s.Dir(), out, Options{}); !errors.Is(err, ErrForeign) {
		t.Errorf("error %v", err)
	}
	if got := filesBelow(t, out); len(got) != 1 {
		t.Errorf("files: %v", got)
	}
}

// A manifest that names files outside its folder removes nothing there.
func TestWriteTrustsNoManifest(t *testing.T) {
	s := sitetest.New(t)
	top := t.TempDir()
	out, victim := filepath.Join(top, "site"), filepath.Join(top, "victim")
	s.Single("a\n")
	writeSite(t, s, out, Options{})
	if err := os.WriteFile(victim, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	evil := `{"campaigns":{"../..":{"stamp":"x","files":{"victim":""}},"x":{"files":{"../../../victim":""}}},"listed":1}`
	if err := os.WriteFile(filepath.Join(out, manifestName), []byte(evil), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), s.Dir(), out, Options{}); err == nil || !strings.Contains(err.Error(), "remove an old page") {
		t.Errorf("error %v", err)
	}
	if !exists(victim) {
		t.Error("a file outside the site was removed")
	}
}

// Every link of the static site leads to a file of it.
func TestLinksLeadSomewhere(t *testing.T) {
	s := sitetest.New(t)
	out := t.TempDir()
	s.Nights(2, 1, 2, 1)
	s.Verification(2)
	s.Single("a\n", "b\n")
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("CONFIG_X=y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	writeSite(t, s, out, Options{Config: func(string) string { return config }})
	there := filesBelow(t, out)
	links := 0
	for name := range there {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		page := string(data)
		for _, part := range strings.Split(page, ` href="`)[1:] {
			target, _, _ := strings.Cut(part, `"`)
			if strings.HasPrefix(target, "data:") {
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			links++
			if file == "" {
				if !strings.Contains(page, ` id="`+anchor+`"`) {
					t.Errorf("%s: #%s is not on the page", name, anchor)
				}
			} else if path := filepath.ToSlash(filepath.Join(filepath.Dir(name), file)); !there[path] {
				t.Errorf("%s: %s leads to %s, which is not there", name, target, path)
			}
		}
	}
	if links < 300 {
		t.Errorf("only %d links were looked at", links)
	}
}

func TestCampaignsArePaged(t *testing.T) {
	s := sitetest.New(t)
	for i := range indexRows + 1 {
		c := &results.Campaign{Kind: results.KindRun, Workload: "w", Started: time.Date(2026, 1, 1, 0, i, 0, 0, time.UTC), Stopped: "test"}
		s.Campaign(c)
	}
	out := t.TempDir()
	writeSite(t, s, out, Options{})
	for name, want := range map[string][2]string{indexName: {`href="campaigns-2.html" rel="next"`, `2026-01-01 03:20`}, "campaigns-2.html": {`href="index.html" rel="prev"`, `2026-01-01 00:00`}} {
		data, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		contains(t, name, string(data), want[:]...)
	}
}

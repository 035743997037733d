package index

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"patchproof/results"
)

// folders lists what is in a results folder but the index.
func folders(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "index.") {
			names = append(names, e.Name())
		}
	}
	return names
}

// gcNow is ten days after the third night.
var gcNow = began.AddDate(0, 0, 12)

func TestGC(t *testing.T) {
	for _, test := range []struct {
		name string
		o    GCOptions
		left []string
	}{
		{"by age", GCOptions{KeepDays: 11}, []string{second, third}},
		{"by number", GCOptions{Keep: 2}, []string{second, third}},
		{"the last one stays", GCOptions{KeepDays: 1}, []string{third}},
		{"both say so", GCOptions{KeepDays: 1, Keep: 2}, []string{second, third}},
		{"nothing is old", GCOptions{KeepDays: 30}, []string{first, second, third}},
		{"dry", GCOptions{KeepDays: 1, DryRun: true}, []string{first, second, third}},
		{"logs", GCOptions{KeepDays: 1, LogsOnly: true}, []string{first, second, third}},
	} {
		dir := threeNights(t)
		writeFile(t, filepath.Join(dir, leaving+"old", "x"), nil)
		x := openIndex(t, dir)
		test.o.Now = gcNow
		items, err := x.GC(context.Background(), test.o)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		left := folders(t, dir)
		if test.o.DryRun {
			left = left[1:] // what an earlier GC left stays in a dry run
		}
		if !reflect.DeepEqual(left, test.left) {
			t.Errorf("%s: left %v, want %v", test.name, left, test.left)
		}
		if gone := 3 - len(test.left); !test.o.DryRun && len(items) != gone {
			t.Errorf("%s: %+v", test.name, items)
		}
		checkFresh(t, x)
	}
}

func TestGCLogsOnly(t *testing.T) {
	dir := threeNights(t)
	log := filepath.Join(dir, first, "run", "003", "console.log")
	young := filepath.Join(dir, third, "run", "003", "console.log")
	writeFile(t, log, bytes.Repeat([]byte("x"), 5000))
	writeFile(t, young, []byte("x"))
	x := openIndex(t, dir)
	before := contents(t, x)
	items, err := x.GC(context.Background(), GCOptions{KeepDays: 11, LogsOnly: true, Now: gcNow})
	if err != nil || len(items) != 1 || items[0] != (GCItem{Campaign: first, Bytes: 5000}) {
		t.Errorf("%+v, %v", items, err)
	}
	if _, err := os.Stat(log); !os.IsNotExist(err) {
		t.Errorf("the log is still there: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
	if after := contents(t, x); !reflect.DeepEqual(after["runs"], before["runs"]) {
		t.Error("the records changed")
	}
}

// What must never be removed.
func TestGCKeeps(t *testing.T) {
	dir := threeNights(t)
	store, err := results.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	// Two of one kind and name each, so that the older one could go.
	old := began.AddDate(-1, 0, 0)
	newest := &results.Campaign{ID: "newest", Kind: results.KindVerify, Workload: "w", Started: old.Add(time.Hour), ElapsedSeconds: 1}
	running := &results.Campaign{ID: "running", Kind: results.KindVerify, Workload: "w", Started: old}
	for _, c := range []*results.Campaign{newest, running} {
		w, err := store.Create(c)
		if err != nil {
			t.Fatal(err)
		}
		if c == newest {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			defer w.Close()
		}
	}
	writeNight(t, dir, night{id: "open", days: -100, open: true, cells: map[string]string{"x=1": "c"}})
	console, justNow := filepath.Join(dir, "open", "run", "001", "console.log"), gcNow.Add(-time.Minute)
	writeFile(t, console, []byte("just now"))
	if err := os.Chtimes(console, justNow, justNow); err != nil {
		t.Fatal(err)
	}
	writeNight(t, dir, night{id: "damaged", days: -100, cells: map[string]string{"x=1": "cc"}})
	writeFile(t, filepath.Join(dir, "damaged", "run", "001", "run.jsonl"), []byte("\x00"))
	writeFile(t, filepath.Join(dir, "damaged", "run", "001", "run.json"), []byte("{"))
	writeFile(t, filepath.Join(dir, "unreadable", "campaign.json"), []byte("{"))
	writeFile(t, filepath.Join(dir, "photos", "holiday.jpg"), []byte("x"))
	writeNight(t, dir, night{id: "referred", days: -100, cells: map[string]string{"x=1": "cc"}})
	referrer := results.Campaign{Format: 1, ID: "referrer", Kind: results.KindMatrix, Workload: "nightly", Started: began.AddDate(0, 0, 3), ElapsedSeconds: 1,
		Matrix: &results.MatrixRecord{Name: "nightly", Cells: []results.CellRecord{{Key: "x=1", MeasuredIn: "referred"}}}}
	writeFile(t, filepath.Join(dir, "referrer", "campaign.json"), encode(t, referrer))
	x := openIndex(t, dir)
	items, err := x.GC(context.Background(), GCOptions{KeepDays: 1, Now: gcNow})
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]string{}
	for _, i := range items {
		if i.Kept != "" {
			kept[i.Campaign] = i.Kept
		}
	}
	for id, want := range map[string]string{"running": "running", "open": "no end", "damaged": "cannot be read", "referred": "referrer refers to its runs"} {
		if !strings.Contains(kept[id], want) {
			t.Errorf("%s: kept because %q, want %q", id, kept[id], want)
		}
	}
	want := []string{"damaged", "newest", "open", "photos", "referred", "referrer", "running", "unreadable"}
	if left := folders(t, dir); !reflect.DeepEqual(left, want) {
		t.Errorf("left %v, want %v", left, want)
	}
}

func TestGCWantsToKnow(t *testing.T) {
	x := openIndex(t, threeNights(t))
	for _, o := range []GCOptions{{}, {KeepDays: -1, Keep: 3}, {LogsOnly: true}} {
		if _, err := x.GC(context.Background(), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestResolve(t *testing.T) {
	dir := threeNights(t)
	folder := filepath.Join(dir, third)
	for ref, want := range map[string]string{"cccccc": folder, folder: folder, "no/such": "no/such", ".": "."} {
		if got, err := Resolve(context.Background(), dir, ref); err != nil || got != want {
			t.Errorf("%s: %q, %v", ref, got, err)
		}
	}
	if _, err := Resolve(context.Background(), dir, "nothing"); err == nil {
		t.Error("a name that there is not was resolved")
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-20": time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), "2026-11-20T10:00:00Z": time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
		"7d": now.AddDate(0, 0, -7), "36h": now.Add(-36 * time.Hour), "0d": now,
	} {
		if got, err := ParseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-3d", "-1h", "yesterday", "99999999999d", "3 d"} {
		if got, err := ParseSince(text, now); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzParseSince(f *testing.F) {
	for _, text := range []string{"7d", "36h", "2026-11-25", "2026-11-20T10:00:00Z", "1e9h"} {
		f.Add(text)
	}
	now := time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := ParseSince(text, now); err == nil && !strings.ContainsAny(text, "-") && got.After(now) {
			t.Errorf("%q is in the future: %v", text, got)
		}
	})
}

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs from what is written now:\n%s", path, got)
	}
}

func TestText(t *testing.T) {
	dir := threeNights(t)
	c := results.Campaign{Format: 1, ID: "v", Kind: results.KindVerify, Workload: "evil \x1b[31m<script>\xff", Started: began, Failed: "the \x1b]0;x\x07 disk is full", ElapsedSeconds: 5}
	writeFile(t, filepath.Join(dir, "20261101T000000Z-evil-000000", "campaign.json"), encode(t, c))
	writeNight(t, dir, night{id: "20261102T000000Z-broken-000000", days: -23, open: true, cells: map[string]string{"x=\x1b[2J1": "cr"}, sha: "k0"})
	x := openIndex(t, dir)
	var b bytes.Buffer
	ctx := context.Background()
	list, err := x.Campaigns(ctx, Filter{})
	fatal(t, err, ListText(&b, list))
	prints, err := x.Fingerprints(ctx, EventFilter{})
	fatal(t, err, FingerprintsText(&b, prints))
	trend, err := x.Trend(ctx, "btrfs_destroy_inode", EventFilter{})
	fatal(t, err, TrendText(&b, trend))
	flaky, err := x.Flaky(ctx, EventFilter{})
	fatal(t, err, FlakyText(&b, flaky))
	o := GCOptions{KeepDays: 1, DryRun: true, Now: gcNow}
	fatal(t, nil, GCText(&b, []GCItem{{Campaign: first, Bytes: 5 << 20}, {Campaign: second, Kept: "it is \x1b[31mred"}}, o))
	golden(t, "tables.txt", b.String())
	if strings.Contains(b.String(), "\x1b") || !utf8.ValidString(b.String()) {
		t.Error("control characters came through")
	}
}

func fatal(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// GC must not follow a link out of the results folder.
func TestGCStaysInside(t *testing.T) {
	dir := threeNights(t)
	outside := t.TempDir()
	writeFile(t, filepath.Join(outside, "precious"), []byte("x"))
	if err := os.Symlink(outside, filepath.Join(dir, first, "run", "001", "link")); err != nil {
		t.Fatal(err)
	}
	x := openIndex(t, dir)
	for _, logs := range []bool{true, false} {
		if _, err := x.GC(context.Background(), GCOptions{KeepDays: 1, LogsOnly: logs, Now: gcNow}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(outside, "precious")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, first)); !os.IsNotExist(err) {
		t.Errorf("the campaign is still there: %v", err)
	}
}

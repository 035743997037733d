package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"patchproof/results"
)

// contents is all that an index says, for comparing two.
func contents(t *testing.T, x *Index) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, table := range []string{"folders", "campaigns", "runs", "events", "problems"} {
		err := x.use(context.Background(), func(db *sql.DB) error {
			return each(context.Background(), db, "SELECT * FROM "+table+" ORDER BY 1, 2, 3", nil, func(row *sql.Rows) error {
				names, err := row.Columns()
				if err != nil {
					return err
				}
				values, into := make([]sql.NullString, len(names)), make([]any, len(names))
				for i := range values {
					into[i] = &values[i]
				}
				err = row.Scan(into...)
				line := map[string]string{}
				for i, name := range names {
					line[name] = values[i].String
				}
				out[table] = append(out[table], strings.TrimSpace(string(encode(t, line))))
				return err
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// fresh returns what an index built from nothing says of a copy of dir.
func fresh(t *testing.T, dir string) map[string][]string {
	t.Helper()
	x := &Index{dir: dir}
	if err := x.connect(context.Background(), ":memory:"); err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	return contents(t, x)
}

func checkFresh(t *testing.T, x *Index) {
	t.Helper()
	got, want := contents(t, x), fresh(t, x.dir)
	if len(want["runs"]) == 0 {
		t.Fatal("the fresh index is empty: nothing was compared")
	}
	for table := range want {
		if !reflect.DeepEqual(got[table], want[table]) {
			t.Errorf("table %s:\n%s\nfrom nothing:\n%s", table, strings.Join(got[table], "\n"), strings.Join(want[table], "\n"))
		}
	}
}

// The comparison that other tests rest on must be able to fail.
func TestContentsDiffer(t *testing.T) {
	dir := threeNights(t)
	before := fresh(t, dir)
	writeRun(t, filepath.Join(dir, third), 50, results.Run{Side: results.Single, Complete: true})
	settle(t, filepath.Join(dir, third))
	if reflect.DeepEqual(before, fresh(t, dir)) {
		t.Error("one more run made no difference")
	}
}

func TestMigrations(t *testing.T) {
	for version := range len(migrations) {
		dir := threeNights(t)
		path := filepath.Join(dir, fileName)
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if version > 0 {
			script, err := os.ReadFile(filepath.Join("testdata", "version1.sql"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(string(script)); err != nil {
				t.Fatal(err)
			}
			for i := 1; i < version; i++ {
				if _, err := db.Exec(migrations[i] + fmt.Sprintf("; PRAGMA user_version = %d", i+1)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		x := openIndex(t, dir)
		if notes := x.Notes(); len(notes) != 0 {
			t.Errorf("from version %d: %v", version, notes)
		}
		checkFresh(t, x)
		var now int
		if err := x.db.QueryRow("PRAGMA user_version").Scan(&now); err != nil || now != len(migrations) {
			t.Errorf("from version %d: version is %d, %v", version, now, err)
		}
	}
}

// A database of a newer version, and one of another program, are left alone.
func TestForeignDatabases(t *testing.T) {
	for name, script := range map[string]string{
		"newer":   "PRAGMA application_id = 1885435000; CREATE TABLE x (y)",
		"foreign": "CREATE TABLE photos (y)",
	} {
		dir := threeNights(t)
		path := filepath.Join(dir, fileName)
		if name == "newer" {
			x := openIndex(t, dir)
			script = "PRAGMA user_version = 99"
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(script); err != nil {
			t.Fatal(err)
		}
		db.Close()
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		x := openIndex(t, dir)
		if notes := x.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "cannot be used") {
			t.Errorf("%s: notes %q", name, notes)
		}
		checkFresh(t, x)
		if after, err := os.ReadFile(path); err != nil || len(after) != len(before) {
			t.Errorf("%s: the file was changed: %d bytes, then %d, %v", name, len(before), len(after), err)
		}
	}
}

func TestDamagedDatabaseIsRebuilt(t *testing.T) {
	damages := map[string]func([]byte) []byte{
		"text":      func([]byte) []byte { return []byte(strings.Repeat("this is no database\n", 500)) },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"zeroed": func(b []byte) []byte {
			for i := 4096; i < len(b); i++ {
				b[i] = 0
			}
			return b
		},
		"half a header": func(b []byte) []byte { return b[:50] },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := threeNights(t)
			x := openIndex(t, dir)
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, fileName)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, damage(data))
			x = openIndex(t, dir)
			if notes := x.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "built anew") {
				t.Errorf("notes: %q", notes)
			}
			checkFresh(t, x)
		})
	}
}

// Damage that shows only in a query, and tables that are gone.
func TestDamageFoundLate(t *testing.T) {
	dir := threeNights(t)
	x := openIndex(t, dir)
	if _, err := x.db.Exec("DROP TABLE events"); err != nil {
		t.Fatal(err)
	}
	list, err := x.Fingerprints(context.Background(), EventFilter{})
	if err != nil || len(list) != 2 {
		t.Errorf("fingerprints: %+v, %v", list, err)
	}
	if notes := x.Notes(); len(notes) != 1 {
		t.Errorf("notes: %q", notes)
	}
	checkFresh(t, x)
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	if os.Geteuid() == 0 {
		// root may write anywhere: a folder in the way does the same.
		dir := threeNights(t)
		if err := os.Mkdir(filepath.Join(dir, lockName), 0o755); err != nil {
			t.Fatal(err)
		}
		x := openIndex(t, dir)
		if notes := x.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "all folders are read instead") {
			t.Errorf("notes: %q", notes)
		}
		checkFresh(t, x)
		return
	}
	dir := threeNights(t)
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o755)
	x := openIndex(t, dir)
	if notes := x.Notes(); len(notes) != 1 {
		t.Errorf("notes: %q", notes)
	}
	checkFresh(t, x)
}

// Folders that cannot be read are reported, skipped and left as they are.
func TestCorruptFolders(t *testing.T) {
	dir := threeNights(t)
	files := map[string]string{
		// campaigns
		"half-written/plan.yaml":        "name: x\n",
		"torn/campaign.json":            `{"format": 1, "id": "torn", "comm`,
		"newer/campaign.json":           `{"format": 99, "id": "newer"}`,
		"older/campaign.json":           `{"id": "older", "verdict": "fixed"}`,
		"binary/campaign.json":          "\x00\xff\xfe<script>\x1b[31m",
		"directory/campaign.json/x":     "",
		third + "/run/081/run.jsonl":    "{\"event\":\"started\",\"star",
		third + "/run/082/run.jsonl":    "",
		third + "/run/083/console.log":  "[    0.000000] Linux version 6.1\n",
		third + "/run/084/run.jsonl":    `{"event":"started","started":{"id":"pre-084","side":"pre","index":1}}` + "\n",
		third + "/run/085/run.jsonl":    "\x00\x01\x02\n{}\n",
		third + "/run/086/run.jsonl/x":  "",
		third + "/run/not-a-run/x":      "",
		"notes/readme.txt":              "no campaign, and nobody says that it is\n",
		".hidden/campaign.json":         "{",
		"not-even-a-folder":             "x",
		third + "/run/087/run.jsonl":    "{\"event\":\"torn\n",
		third + "/run/087/run.json":     string(encode(t, results.Run{ID: "run-087", Side: results.Single, Index: 87, Complete: true})),
		third + "/run/088/run.jsonl":    `{"event":"started","started":{"id":"run-088","side":"run","index":88}}` + "\n{\"event\":",
		"empty-but-running-sides/pre/x": "",
	}
	for name, text := range files {
		writeFile(t, filepath.Join(dir, name), []byte(text))
	}
	x := openIndex(t, dir)
	list, err := x.Problems(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, strings.TrimSuffix(p.Campaign+"/"+p.Path, "/"))
		if p.Reason == "" || strings.ContainsAny(p.Reason, "\n\x1b\x00") {
			t.Errorf("%s: reason %q", got[len(got)-1], p.Reason)
		}
	}
	want := []string{third + "/run/081", third + "/run/082", third + "/run/083", third + "/run/084", third + "/run/085", third + "/run/086", third + "/run/087",
		third + "/run/not-a-run", "binary", "directory", "empty-but-running-sides", "half-written", "newer", "older", "torn"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	campaigns, err := x.Campaigns(context.Background(), Filter{})
	if err != nil || len(campaigns) != 3 || campaigns[0].Counts.Clean != 9 || campaigns[0].Open != 7+1 {
		t.Errorf("campaigns: %+v, %v; want three, and in the last one the run of run.json as well and eight without an end", campaigns, err)
	}
	for name, text := range files {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != text {
			t.Errorf("%s was changed: %q, %v", name, data, err)
		}
	}
	// What was mended is seen.
	writeNight(t, dir, night{id: "torn", days: 9, cells: map[string]string{"x=1": "c"}})
	r := run('c')
	r.Side = results.Single
	writeRun(t, filepath.Join(dir, third), 81, r)
	if err := x.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if list, err = x.Problems(context.Background()); err != nil || len(list) != len(want)-2 {
		t.Errorf("after mending two: %+v, %v", list, err)
	}
	checkFresh(t, x)
}

func TestNoResultsFolder(t *testing.T) {
	for _, dir := range []string{filepath.Join(t.TempDir(), "missing"), "doc.go"} {
		if _, err := Open(context.Background(), dir); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if list, err := openIndex(t, t.TempDir()).Campaigns(context.Background(), Filter{}); err != nil || len(list) != 0 {
		t.Errorf("an empty folder: %+v, %v", list, err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if x, err := Open(ctx, threeNights(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", x, err)
	}
}

package dmesg

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A folder outside the repository with logs of other people's kernels:
// index.tsv (columns file, title, category, expect, function, function_also,
// category_also) and FILE.log beside it.
var (
	evalDir = flag.String("eval", "", "folder with index.tsv and logs to measure the parser on")
	evalLow = flag.Bool("eval-low", false, "count reports of low severity too")
)

type evalRow struct {
	file, title, category, expect string
	functions, categories         []string
}

func readIndex(t *testing.T, dir string) []evalRow {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []evalRow
	for _, line := range strings.Split(strings.TrimRight(string(data), "\n"), "\n")[1:] {
		f := append(strings.Split(line, "\t"), make([]string, 8)...)
		row := evalRow{file: f[0], title: f[1], category: f[2], expect: f[3]}
		for _, name := range append([]string{f[4]}, strings.Split(f[5], "|")...) {
			if name != "" {
				row.functions = append(row.functions, name)
			}
		}
		row.categories = append([]string{f[2]}, strings.Split(f[6], "|")...)
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatal("the index is empty")
	}
	return rows
}

func oneOf(got string, want []string) bool {
	for _, w := range want {
		if w != "" && strings.EqualFold(got, w) {
			return true
		}
	}
	return false
}

// TestEvaluation reports rates; it fails only when the folder is unusable.
func TestEvaluation(t *testing.T) {
	if *evalDir == "" {
		t.Skip("no folder given with -args -eval DIR")
	}
	var events, found, false1, none, quiet, kinds, kindsOK, funcs, funcsOK int
	for _, row := range readIndex(t, *evalDir) {
		data, err := os.ReadFile(filepath.Join(*evalDir, row.file+".log"))
		if err != nil {
			t.Fatal(err)
		}
		low := SeverityMedium
		if *evalLow {
			low = SeverityLow
		}
		reports, _ := Parse(bytes.NewReader(data), WithMinSeverity(low))
		switch row.expect {
		case "none":
			none++
			if len(reports) == 0 {
				quiet++
			} else {
				false1++
				t.Logf("%s: not quiet: %q", row.file, reports[0].Title)
			}
		case "event":
			events++
			if len(reports) == 0 {
				t.Logf("%s: missed %q", row.file, row.title)
				continue
			}
			found++
			r := reports[0]
			kinds++
			if oneOf(string(r.Kind), row.categories) {
				kindsOK++
			} else {
				t.Logf("%s: kind %s, want %v: %q against %q", row.file, r.Kind, row.categories, r.Title, row.title)
			}
			if len(row.functions) == 0 {
				continue
			}
			funcs++
			if oneOf(r.Function, row.functions) {
				funcsOK++
			} else {
				t.Logf("%s: function %q (header %q), want %v: %q against %q", row.file, r.Function, r.HeaderFunction, row.functions, r.Title, row.title)
			}
		}
	}
	t.Logf("recall %d/%d, precision %d/%d, quiet %d/%d, kind %d/%d, function %d/%d",
		found, events, found, found+false1, quiet, none, kindsOK, kinds, funcsOK, funcs)
}

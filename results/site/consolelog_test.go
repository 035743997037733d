package site

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchproof/dmesg"
	"patchproof/results"
)

// at makes the records of reports in byte ranges.
func at(ranges ...[2]int64) []results.ReportRecord {
	var out []results.ReportRecord
	for _, r := range ranges {
		out = append(out, results.ReportRecord{Report: dmesg.Report{Start: r[0], End: r[1]}})
	}
	return out
}

// show writes parts as "text", "1:text of report 1" and "-3" for 3 bytes left out.
func show(l *consoleLog) string {
	var out []string
	for _, p := range l.Parts {
		switch {
		case p.Left > 0:
			out = append(out, fmt.Sprintf("-%d", p.Left))
		case p.Report > 0:
			out = append(out, fmt.Sprintf("%d:%s", p.Report, p.Text))
		default:
			out = append(out, p.Text)
		}
	}
	return strings.ReplaceAll(strings.Join(out, "|"), "\n", "~")
}

func TestReadLogCutsAtReports(t *testing.T) {
	const log = "a\nbb\nccc\ndddd\n" // lines at 0, 2, 5, 9; 14 bytes
	for _, test := range []struct {
		name    string
		reports []results.ReportRecord
		want    string
	}{
		{"none", nil, "a~bb~ccc~dddd~"},
		{"in the middle", at([2]int64{2, 9}), "a~|1:bb~ccc~|dddd~"},
		{"whole log", at([2]int64{0, 14}), "1:a~bb~ccc~dddd~"},
		{"two, the later found first", at([2]int64{9, 14}, [2]int64{0, 2}), "2:a~|bb~ccc~|1:dddd~"},
		{"overlapping", at([2]int64{0, 9}, [2]int64{5, 14}), "1:a~bb~ccc~|2:dddd~"},
		{"one within another", at([2]int64{0, 14}, [2]int64{2, 5}), "1:a~bb~ccc~dddd~|2:"},
		{"beyond the end", at([2]int64{9, 99}), "a~bb~ccc~|1:dddd~"},
		{"nowhere", at([2]int64{20, 30}, [2]int64{-5, 3}, [2]int64{9, 9}), "a~bb~ccc~dddd~"},
	} {
		l, err := readLog(strings.NewReader(log), int64(len(log)), test.reports)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := show(l); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// A large log is shown in parts: both ends, and what is around reports.
func TestReadLogOfManyLines(t *testing.T) {
	line := strings.Repeat("x", 99) + "\n"
	log := strings.Repeat(line, 30000) // 3 MB
	l, err := readLog(strings.NewReader(log), int64(len(log)), at([2]int64{1_000_000, 1_000_500}, [2]int64{2_000_000, 2_900_000}))
	if err != nil {
		t.Fatal(err)
	}
	shown, left := int64(0), int64(0)
	for _, p := range l.Parts {
		shown += int64(len(p.Text))
		left += p.Left
		if p.Left == 0 && p.Report == 0 && (!strings.HasPrefix(p.Text, line) || !strings.HasSuffix(p.Text, line)) {
			t.Errorf("a part does not begin or end with a whole line: %.20q ... %q", p.Text, p.Text[max(0, len(p.Text)-20):])
		}
	}
	if shown+left != int64(len(log)) {
		t.Errorf("%d bytes shown and %d left out, of %d", shown, left, len(log))
	}
	if shown > logTotal+logWhole || l.Whole() {
		t.Errorf("%d bytes shown, whole: %v", shown, l.Whole())
	}
	if !l.Shown[0] || !l.Shown[1] {
		t.Errorf("reports shown: %v", l.Shown)
	}
	if i := len(l.Parts[0].Text); i == 0 || l.Parts[0].Report != 0 {
		t.Error("the beginning is missing")
	}
}

func TestReadLogBoundsManyReports(t *testing.T) {
	log := strings.Repeat(strings.Repeat("y", 99)+"\n", 40000)
	var ranges [][2]int64
	for i := range int64(300) {
		ranges = append(ranges, [2]int64{i * 12000, i*12000 + 1000})
	}
	l, err := readLog(strings.NewReader(log), int64(len(log)), at(ranges...))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, p := range l.Parts {
		total += len(p.Text)
	}
	if total > logTotal {
		t.Errorf("%d bytes on the page, at most %d are wanted", total, logTotal)
	}
	if !l.Shown[0] || l.Shown[150] {
		t.Errorf("the first reports are to be shown, not all: %v", l.Shown)
	}
}

func TestOpenLogRefusesLinks(t *testing.T) {
	dir := t.TempDir()
	secret, link := filepath.Join(dir, "secret"), filepath.Join(dir, "console.log")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, _, err := openLog(link); f != nil || err != nil {
		t.Errorf("a log that is not there: %v, %v", f, err)
	}
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	if f, _, err := openLog(link); err == nil {
		f.Close()
		t.Error("a symbolic link was followed")
	}
}

// Whatever the log and the ranges, nothing of a small log is lost or shown
// twice, and text is safe to show.
func FuzzReadLog(f *testing.F) {
	f.Add([]byte("a\nb\x1b[31m<script>\xff\n"), int64(2), int64(5), int64(1), int64(9))
	f.Fuzz(func(t *testing.T, log []byte, a, b, c, d int64) {
		l, err := readLog(bytes.NewReader(log), int64(len(log)), at([2]int64{a, b}, [2]int64{c, d}))
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, p := range l.Parts {
			if p.Left > 0 && len(log) <= logWhole {
				t.Fatalf("%d bytes of a small log are left out", p.Left)
			}
			text.WriteString(p.Text)
		}
		if i := strings.IndexFunc(text.String(), isControl); i >= 0 {
			t.Errorf("a control character at %d of %q", i, text.String())
		}
		if !bytes.ContainsAny(log, "\x1b\r") && utf8Plain(log) && text.String() != string(log) {
			t.Errorf("%q became %q", log, text.String())
		}
	})
}

func utf8Plain(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\n' && r != '\t' })
}

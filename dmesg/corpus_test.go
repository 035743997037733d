package dmesg

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpusLogs lists the console logs of guests that were made to fail, and of
// guests that were not (clean-*). TestGolden compares what they contain; the
// tests here are about the collection.
func corpusLogs(t *testing.T) (failing, clean []string) {
	t.Helper()
	logs, err := filepath.Glob("testdata/corpus/*.log")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range logs {
		if strings.HasPrefix(filepath.Base(path), "clean-") {
			clean = append(clean, path)
		} else {
			failing = append(failing, path)
		}
	}
	return failing, clean
}

func parseFile(t *testing.T, path string) []Report {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reports, err := Parse(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

// TestCorpusCovers holds the collection to the size that it is meant to have:
// 60 logs with reports of 20 kinds from two kernel series. A kind here is a
// title without its function, file or number.
func TestCorpusCovers(t *testing.T) {
	failing, _ := corpusLogs(t)
	kinds := map[string]bool{}
	series := map[string]int{}
	for _, path := range failing {
		reports := parseFile(t, path)
		if len(reports) == 0 {
			t.Errorf("%s: no report in the log of a guest that was made to fail", path)
		}
		version, _, _ := strings.Cut(filepath.Base(path), "-")
		series[version]++
		for _, r := range reports {
			title, _, _ := strings.Cut(r.Title, " in ")
			kinds[string(r.Kind)+" "+variable.ReplaceAllString(title, "N")] = true
		}
	}
	if len(failing) < 60 || len(kinds) < 20 {
		t.Errorf("%d logs with %d kinds of report; want 60 and 20", len(failing), len(kinds))
	}
	for _, version := range []string{"6.1", "6.12"} {
		if series[version] < 60 {
			t.Errorf("%d logs of %s", series[version], version)
		}
	}
}

// TestCorpusClean: not even a report of low severity where nothing failed but
// user programs in ways that are none of the kernel's business.
func TestCorpusClean(t *testing.T) {
	_, clean := corpusLogs(t)
	if len(clean) < 20 {
		t.Errorf("%d clean logs, want 20", len(clean))
	}
	for _, path := range clean {
		for _, r := range parseFile(t, path) {
			t.Errorf("%s: %s (%s)", path, r.Title, r.Severity)
		}
	}
}

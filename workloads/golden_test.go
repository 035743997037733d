package workloads

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite golden files")

// checkGolden compares got with a golden file, and keeps got beside it when
// they differ.
func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run go test -update)", err)
	}
	if diff := firstDifference(string(want), got); diff != "" {
		t.Errorf("%s: %s", file, diff)
	}
}

// firstDifference says where two texts part, or nothing when they are equal.
func firstDifference(want, got string) string {
	if want == got {
		return ""
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b || i >= len(w) || i >= len(g) {
			return fmt.Sprintf("line %d:\n want %q\n  got %q", i+1, a, b)
		}
	}
	return ""
}

func TestFirstDifferenceFindsDifferences(t *testing.T) {
	for _, pair := range [][2]string{{"a", "b"}, {"a\nb", "a"}, {"a", "a\n"}, {"a\nb\nc", "a\nx\nc"}} {
		if firstDifference(pair[0], pair[1]) == "" {
			t.Errorf("no difference found between %q and %q", pair[0], pair[1])
		}
	}
	if d := firstDifference("same\n", "same\n"); d != "" {
		t.Errorf("difference in equal texts: %s", d)
	}
}

// testBadFiles loads every file of an archive and compares the messages. Each
// must be a *PositionError inside the file.
func testBadFiles(t *testing.T, archive, golden string, load func(name string, data []byte) error) {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Files) == 0 {
		t.Fatalf("%s has no files", archive)
	}
	var b strings.Builder
	for _, f := range a.Files {
		err := load(f.Name, f.Data)
		var at *PositionError
		switch {
		case err == nil:
			t.Errorf("%s: accepted", f.Name)
		case !errors.As(err, &at):
			t.Errorf("%s: %T is no *PositionError: %v", f.Name, err, err)
		case at.Line < 1 || at.Column < 1 || at.Line > 1+strings.Count(string(f.Data), "\n"):
			t.Errorf("%s: position outside of the file: %v", f.Name, err)
		}
		fmt.Fprintln(&b, err)
	}
	checkGolden(t, golden, b.String())
}

func TestBadWorkloads(t *testing.T) {
	testBadFiles(t, "testdata/bad-workloads.txtar", "testdata/bad-workloads.golden", func(name string, data []byte) error {
		_, err := LoadWorkload(name, data)
		return err
	})
}

func TestBadPlans(t *testing.T) {
	testBadFiles(t, "testdata/bad-plans.txtar", "testdata/bad-plans.golden", func(name string, data []byte) error {
		p, err := LoadPlan(name, data)
		if err == nil {
			_, _, err = p.Expand()
		}
		return err
	})
}

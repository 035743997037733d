package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// nightOf makes a matrix campaign; cells maps a cell's key to the letters of its
// runs: b the bug, f another failure, c clean, i invalid.
func nightOf(id, sha string, cells map[string]string) Recorded {
	c := Campaign{ID: id, Kind: KindMatrix, Workload: "nightly", Matrix: &MatrixRecord{Name: "nightly"}}
	var runs []Run
	for _, key := range sortedKeys(cells) {
		c.Matrix.Cells = append(c.Matrix.Cells, CellRecord{Key: key})
		for _, letter := range cells[key] {
			var reports []ReportRecord
			switch letter {
			case 'b':
				reports = append(reports, btrfsReport())
			case 'f':
				reports = append(reports, otherReport())
			}
			r := sampleRun(Single, len(runs)+1, len(runs)+1, reports...)
			r.Cell, r.Kernel.SHA256 = key, sha
			if letter == 'i' {
				r.HarnessReason = "ssh did not come up"
				r.classify()
			}
			runs = append(runs, r)
		}
	}
	return Recorded{Campaign: &c, Runs: runs}
}

// compare compares campaigns by their valid runs, as the index has them.
func compare(before []Recorded, after Recorded, o CompareOptions) (Comparison, error) {
	observed := func(r Recorded) Observed {
		seen := Observed{Campaign: r.Campaign}
		for i := range r.Runs {
			if Counted(&r.Runs[i]) && r.Runs[i].Outcome != judge.Invalid {
				seen.Runs = append(seen.Runs, SeenOf(&r.Runs[i]))
			}
		}
		return seen
	}
	var earlier []Observed
	for _, r := range before {
		earlier = append(earlier, observed(r))
	}
	return Compare(earlier, observed(after), o)
}

func repeated(letters string, n int) string { return strings.Repeat(letters, n) }

const bugPrint = "WARNING|fs/btrfs/inode.c|btrfs_destroy_inode|csum_bytes"

func TestCompare(t *testing.T) {
	for _, test := range []struct {
		name          string
		before, after map[string]string
		sha           [2]string
		want          []string // "cell: change rate", all cells first
	}{
		{"new", map[string]string{"x": repeated("c", 10)}, map[string]string{"x": repeated("b", 10)}, [2]string{"k1", "k2"}, []string{"x: new"}},
		{"fixed", map[string]string{"x": repeated("b", 10)}, map[string]string{"x": repeated("c", 10)}, [2]string{"k1", "k2"}, []string{"x: fixed"}},
		{"one run against one", map[string]string{"x": "c"}, map[string]string{"x": "b"}, [2]string{"k1", "k2"}, []string{"x: cannot-tell"}},
		{"the same kernel", map[string]string{"x": "ccc"}, map[string]string{"x": "cbc"}, [2]string{"k1", "k1"}, []string{"x: flaky"}},
		{"the same kernel, gone", map[string]string{"x": "bcc"}, map[string]string{"x": "ccc"}, [2]string{"k1", "k1"}, []string{"x: flaky"}},
		{"unknown kernels are not the same", map[string]string{"x": "ccc"}, map[string]string{"x": "cbc"}, [2]string{"", ""}, []string{"x: cannot-tell"}},
		{"still", map[string]string{"x": "bcb"}, map[string]string{"x": "cbc"}, [2]string{"k1", "k2"}, []string{"x: still"}},
		{"still, more often", map[string]string{"x": "b" + repeated("c", 30)}, map[string]string{"x": repeated("b", 30)}, [2]string{"k1", "k2"}, []string{"x: still more often"}},
		{"still, less often", map[string]string{"x": repeated("b", 30)}, map[string]string{"x": "b" + repeated("c", 30)}, [2]string{"k1", "k2"}, []string{"x: still less often"}},
		// Too few runs in each cell, and enough in all of them.
		{"together", map[string]string{"x": "ccc", "y": "ccc", "z": "ccc"}, map[string]string{"x": "bbb", "y": "bbb", "z": "bbb"}, [2]string{"k1", "k2"},
			[]string{": new", "x: cannot-tell", "y: cannot-tell", "z: cannot-tell"}},
		{"new in one cell only", map[string]string{"x": repeated("b", 12), "y": repeated("c", 12)}, map[string]string{"x": repeated("b", 12), "y": repeated("b", 12)},
			[2]string{"k1", "k2"}, []string{": still more often", "x: still", "y: new"}},
		{"invalid runs say nothing", map[string]string{"x": repeated("i", 20) + "c"}, map[string]string{"x": repeated("b", 10)}, [2]string{"k1", "k2"}, []string{"x: cannot-tell"}},
		{"nothing", map[string]string{"x": "ccc"}, map[string]string{"x": "ccc"}, [2]string{"k1", "k2"}, nil},
	} {
		c, err := compare([]Recorded{nightOf("a", test.sha[0], test.before)}, nightOf("b", test.sha[1], test.after), CompareOptions{})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var got []string
		for _, failure := range c.Failures() {
			for _, f := range failure.Findings {
				got = append(got, strings.TrimSpace(fmt.Sprintf("%s: %s %s", f.Cell, f.Change, f.Rate)))
				if (f.Change == ChangeUnknown) != (f.Need != 0) {
					t.Errorf("%s: %s needs %d runs", test.name, f.Change, f.Need)
				}
			}
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// Earlier nights taken together give the weight that one night lacks.
func TestCompareWithSeveral(t *testing.T) {
	var before []Recorded
	for i := range 10 {
		before = append(before, nightOf(fmt.Sprintf("night-%d", i), fmt.Sprintf("k%d", i), map[string]string{"x": "ccc"}))
	}
	after := nightOf("today", "k10", map[string]string{"x": "bbb"})
	one, err := compare(before[9:], after, CompareOptions{})
	if err != nil || one.Count(ChangeUnknown) != 1 {
		t.Errorf("against one night: %+v, %v", one.Findings, err)
	}
	all, err := compare(before, after, CompareOptions{})
	if err != nil || all.Count(ChangeNew) != 1 || all.Findings[0].Before.Able != 30 {
		t.Errorf("against ten nights: %+v, %v", all.Findings, err)
	}
}

// The more cells there are, the more a difference must show to be believed.
func TestCompareCorrectsForManyCells(t *testing.T) {
	before, after := map[string]string{"x": repeated("c", 8)}, map[string]string{"x": repeated("b", 7) + "c"}
	one, err := compare([]Recorded{nightOf("a", "k1", before)}, nightOf("b", "k2", after), CompareOptions{})
	if err != nil || one.Findings[0].Change != ChangeNew {
		t.Fatalf("one cell: %+v, %v", one.Findings, err)
	}
	for i := range 30 { // noise elsewhere, of another kind
		before[fmt.Sprint("noise", i)], after[fmt.Sprint("noise", i)] = "cfc", "fcc"
	}
	many, err := compare([]Recorded{nightOf("a", "k1", before)}, nightOf("b", "k2", after), CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range many.Findings {
		if f.Cell == "x" && (f.Change != ChangeUnknown || f.P <= one.Findings[0].P) {
			t.Errorf("among many cells: %+v; alone p was %v", f, one.Findings[0].P)
		}
	}
}

func TestCompareKnowsHistory(t *testing.T) {
	shown := func(cell, sha, fingerprint string) bool { return cell == "x" && sha == "k1" && fingerprint == bugPrint }
	before, after := nightOf("a", "k1", map[string]string{"x": "ccc"}), nightOf("b", "k2", map[string]string{"x": "cbc"})
	c, err := compare([]Recorded{before}, after, CompareOptions{Shown: shown})
	if err != nil || c.Findings[0].Change != ChangeFlaky {
		t.Errorf("%+v, %v; want it flaky: the kernel of before has shown it elsewhere", c.Findings, err)
	}
}

func TestCompareKeepsGuestsApart(t *testing.T) {
	before, after := nightOf("a", "k1", map[string]string{"x": repeated("c", 10)}), nightOf("b", "k2", map[string]string{"x": repeated("b", 10)})
	for i := range after.Runs {
		after.Runs[i].Accel = "kvm"
	}
	c, err := compare([]Recorded{before}, after, CompareOptions{})
	if err != nil || len(c.Findings) != 0 || len(c.Apart) != 2 || c.Cells != 0 {
		t.Errorf("%+v, %v; want nothing compared", c, err)
	}
}

func TestCompareSameKernelNewIsDoubted(t *testing.T) {
	c, err := compare([]Recorded{nightOf("a", "k1", map[string]string{"x": repeated("c", 10)})}, nightOf("b", "k1", map[string]string{"x": repeated("b", 10)}), CompareOptions{})
	if err != nil || c.Findings[0].Change != ChangeNew || !strings.Contains(c.Findings[0].Note, "same") {
		t.Errorf("%+v, %v", c.Findings, err)
	}
}

func TestCompareRefuses(t *testing.T) {
	matrix := nightOf("m", "k1", map[string]string{"x": "c"})
	other := nightOf("o", "k1", map[string]string{"x": "c"})
	other.Campaign.Matrix.Name, other.Campaign.Workload = "weekly", "weekly"
	verify := Recorded{Campaign: &Campaign{ID: "v", Kind: KindVerify, Workload: "focused"}}
	elsewhere := Recorded{Campaign: &Campaign{ID: "w", Kind: KindVerify, Workload: "full"}}
	bisect := Recorded{Campaign: &Campaign{ID: "b", Kind: KindBisect}}
	for _, test := range []struct {
		a, b       Recorded
		confidence float64
		want       string
	}{
		{matrix, other, 0, "of matrix"}, {matrix, verify, 0, "one is a matrix"}, {verify, elsewhere, 0, "workload"},
		{bisect, bisect, 0, "bisection"}, {matrix, matrix, 2, "confidence 2"}, {matrix, matrix, 0.1, "confidence 0.1"},
	} {
		_, err := compare([]Recorded{test.a}, test.b, CompareOptions{Confidence: test.confidence})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s with %s: %v, want %q", test.a.Campaign.ID, test.b.Campaign.ID, err, test.want)
		}
	}
	if _, err := compare(nil, matrix, CompareOptions{}); err == nil {
		t.Error("comparing with nothing went well")
	}
}

func TestCompareGolden(t *testing.T) {
	before := nightOf("20261125T190000Z-nightly-aaaaaa", "k1", map[string]string{"compress=none": repeated("c", 8), "compress=zlib": repeated("c", 8), "compress=lzo": "cccf"})
	after := nightOf("20261126T190000Z-nightly-bbbbbb", "k2", map[string]string{"compress=none": repeated("c", 7) + "f", "compress=zlib": repeated("b", 8), "compress=zstd": "c"})
	after.Campaign.Warnings = []string{"run folder \x1b[31mx skipped"}
	after.Runs[8].Reports[0].Title = "WARNING in <script>alert(1)</script> \x1b[2J\xff]]>"
	c, err := compare([]Recorded{before}, after, CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var text, doc bytes.Buffer
	if err := CompareText(&text, c); err != nil {
		t.Fatal(err)
	}
	if err := CompareJSON(&doc, c); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", text.String())
	golden(t, "compare.json", doc.String())
	if strings.Contains(text.String()+doc.String(), "\x1b") || !json.Valid(doc.Bytes()) {
		t.Error("an escape sequence came through, or the document is no JSON")
	}
}

// Two equal kernels must hardly ever differ, however many cells are looked at.
func TestCompareSeldomErrs(t *testing.T) {
	const nights, confidence = 120, 0.9
	wrong := 0
	random := rand.New(rand.NewPCG(1, 2))
	cells := func() map[string]string {
		m := map[string]string{}
		for cell := range 6 {
			letters := []byte(repeated("c", 10))
			for i := range letters {
				if random.Float64() < 0.3 {
					letters[i] = 'b'
				}
			}
			m[fmt.Sprint("cell", cell)] = string(letters)
		}
		return m
	}
	for range nights {
		c, err := compare([]Recorded{nightOf("a", "k1", cells())}, nightOf("b", "k2", cells()), CompareOptions{Confidence: confidence})
		if err != nil {
			t.Fatal(err)
		}
		if c.Count(ChangeNew)+c.Count(ChangeFixed) > 0 {
			wrong++
		}
	}
	if wrong > nights/5 { // 12 are expected at most; twice as many are beyond chance
		t.Errorf("%d of %d comparisons of equal kernels found a difference at confidence %v", wrong, nights, confidence)
	}
}

// TestCompareBrokenOff: runs that another failure ended in the same phase say
// nothing of a report, and its coming to light is not new.
func TestCompareBrokenOff(t *testing.T) {
	before := nightOf("1", "k1", map[string]string{"a": repeated("b", 10)})
	after := nightOf("2", "k2", map[string]string{"a": repeated("f", 10)})
	for _, whole := range []bool{true, false} {
		for i := range before.Runs {
			before.Runs[i].Complete = whole
			before.Runs[i].Reports[0].Phase = otherReport().Phase
			before.Runs[i].Phases = before.Runs[i].Phases[:otherReport().Phase+1]
		}
		got, err := compare([]Recorded{before}, after, CompareOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if isNew := got.Count(ChangeNew) == 1; isNew != whole {
			t.Errorf("whole runs %v: %+v", whole, got.Findings)
		}
	}
}

// TestCompareSilenced: a report that the earlier runs printed only as what may
// have followed from the bug, or could not print after it, is not new when it is
// there without the bug.
func TestCompareSilenced(t *testing.T) {
	follows := otherReport()
	follows.FollowUp = true
	kasan, other := btrfsReport(), otherReport()
	kasan.Kind, other.Kind = dmesg.KindKASAN, dmesg.KindKASAN
	for _, tt := range []struct {
		name          string
		before, after []ReportRecord
		want          Change
	}{
		{"it was there", []ReportRecord{btrfsReport(), follows}, []ReportRecord{otherReport()}, ChangeUnknown},
		{"KASAN reports once", []ReportRecord{kasan}, []ReportRecord{other}, ChangeUnknown},
		{"KASAN reports once, whatever the plan says of it", []ReportRecord{benignKASAN()}, []ReportRecord{other}, ChangeUnknown},
		{"it could have come", []ReportRecord{btrfsReport()}, []ReportRecord{otherReport()}, ChangeNew},
		{"and the other way round", []ReportRecord{otherReport()}, []ReportRecord{btrfsReport(), follows}, ChangeUnknown},
	} {
		before := nightOf("1", "k1", map[string]string{"a": repeated("c", 10)})
		after := nightOf("2", "k2", map[string]string{"a": repeated("c", 10)})
		for i := range before.Runs {
			before.Runs[i].Reports, after.Runs[i].Reports = tt.before, tt.after
			before.Runs[i].classify()
			after.Runs[i].classify()
		}
		got, err := compare([]Recorded{before}, after, CompareOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range got.Findings {
			if f.Fingerprint == otherReport().Fingerprint && f.Change != tt.want {
				t.Errorf("%s: %s, %d of %d before, %d of %d after", tt.name, f.Change, f.Before.Seen, f.Before.Able, f.After.Seen, f.After.Able)
			}
		}
	}
}

func benignKASAN() ReportRecord {
	r := benignReport()
	r.Kind = dmesg.KindKASAN
	return r
}

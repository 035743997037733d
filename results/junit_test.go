package results

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// hostile is what a guest may print to confuse who reads.
const hostile = "<script>alert(1)</script> ]]> &amp; \x1b[31mred\x1b]0;title\x07 \x00\x01\xff\xfe \ufffe\u202e | `code` [link](http://x) ![](http://y)\r\n# heading\n<!-- --> </testcase>"

func hostileReport() ReportRecord {
	r := btrfsReport()
	r.Title, r.Function, r.Text, r.Condition, r.PhaseName = "WARNING in "+hostile, hostile, hostile, hostile, hostile
	return r
}

// sampleVerify is a verification that found the bug fixed, with one invalid run,
// one stopped, and a failure that both kernels have.
func sampleVerify() Recorded {
	bugOf := func(int) []ReportRecord {
		r := btrfsReport()
		r.Text = "------------[ cut here ]------------\nWARNING: CPU: 1 PID: 101 at fs/btrfs/inode.c:8028 btrfs_destroy_inode+0x269/0x2f0\n"
		return []ReportRecord{r}
	}
	runs := sampleRuns(6, bugOf, none)
	both := func(side judge.Side, number int) Run { return sampleRun(side, number, len(runs)+1, otherReport()) }
	runs = append(runs, both(judge.Pre, 7))
	runs = append(runs, both(judge.Post, 7))
	invalid := sampleRun(judge.Post, 8, len(runs)+1)
	invalid.HarnessReason = "ssh did not come up"
	invalid.classify()
	stopped := sampleRun(judge.Pre, 8, len(runs)+2)
	stopped.Stopped, stopped.Complete = true, false
	stopped.classify()
	runs = append(runs, invalid, stopped)
	c := sampleCampaign()
	c.Kind = KindVerify
	return Recorded{Campaign: &c, Runs: runs}
}

// recordedMatrix has a cell in each state.
func recordedMatrix() Recorded {
	r := nightOf("20261126T020000Z-nightly-abcdef", "k1", map[string]string{"compress=none": "cccc", "compress=zlib": "bbcb", "compress=lzo": "cfc", "compress=zstd": "ii"})
	r.Campaign.Started, r.Campaign.ElapsedSeconds, r.Campaign.Format = began, 371.4, FormatVersion
	r.Campaign.Command = []string{"patchproof", "matrix", "nightly.yaml"}
	r.Campaign.Matrix.Cells = append(r.Campaign.Matrix.Cells, CellRecord{Key: "compress=off", Skipped: "unchanged since 20261125T020000Z-nightly-000000"}, CellRecord{Key: "compress=later", Repeat: 3})
	for i := range r.Campaign.Matrix.Cells {
		cell := &r.Campaign.Matrix.Cells[i]
		cell.Workload, cell.Shape, cell.Confidence = "focused", "4 vCPUs, 1024 MiB", 0.9
		cell.Kernel = KernelRecord{ID: "454c8bc3db58f3f096b9", SHA256: "k1", Release: "6.1.192", Label: "base"}
		cell.Values = map[string]string{"compress": strings.TrimPrefix(cell.Key, "compress=")}
	}
	for i := range r.Runs {
		r.Runs[i].Kernel = r.Campaign.Matrix.Cells[0].Kernel
	}
	return r
}

// sampleSingle holds single runs of one kernel, which print hostile text.
func sampleSingle() Recorded {
	c := sampleCampaign()
	c.Kind, c.Post, c.PatchTitle = KindRun, KernelRecord{}, ""
	return Recorded{Campaign: &c, Runs: []Run{sampleRun(judge.Pre, 1, 1), sampleRun(judge.Pre, 2, 2, hostileReport()), sampleRun(judge.Pre, 3, 3, otherReport())}}
}

func junitOf(t *testing.T, r Recorded) string {
	t.Helper()
	var b bytes.Buffer
	if err := JUnit(&b, r); err != nil {
		t.Fatal(err)
	}
	if faults := junitFaults(b.Bytes()); len(faults) != 0 {
		t.Errorf("%s:\n%s", r.Campaign.ID, strings.Join(faults, "\n"))
	}
	if text := b.String(); !utf8.ValidString(text) || strings.ContainsAny(text, "\x1b\x00\x01\ufffe\u202e") {
		t.Errorf("%s: control characters or invalid UTF-8 came through", r.Campaign.ID)
	}
	return b.String()
}

func TestJUnitGolden(t *testing.T) {
	golden(t, "junit-verify.xml", junitOf(t, sampleVerify()))
	golden(t, "junit-matrix.xml", junitOf(t, recordedMatrix()))
	golden(t, "junit-run.xml", junitOf(t, sampleSingle()))
}

// What decides whether a pipeline is red.
func TestJUnitResults(t *testing.T) {
	regressed := sampleVerify()
	for i := range regressed.Runs {
		if r := &regressed.Runs[i]; r.Side == judge.Post && r.Outcome == judge.Clean {
			r.Reports = []ReportRecord{{Report: dmesg.Report{Kind: "BUG", Title: "BUG in new_one", Fingerprint: "new_one"}, Phase: 3}}
			r.classify()
		}
	}
	undecided := sampleVerify()
	undecided.Runs = undecided.Runs[:2]
	for _, test := range []struct {
		name string
		r    Recorded
		want map[string]string // case: its result; those not named pass
	}{
		{"fixed", sampleVerify(), map[string]string{"post-008": "skipped", "pre-008": "skipped"}},
		{"regressed", regressed, map[string]string{"verdict": "failure", "post-001": "failure", "post-002": "failure", "post-003": "failure", "post-004": "failure",
			"post-005": "failure", "post-006": "failure", "post-008": "skipped", "pre-008": "skipped"}},
		{"undecided", undecided, map[string]string{"verdict": "error"}},
		{"matrix", recordedMatrix(), map[string]string{"compress=zlib": "failure", "compress=lzo": "failure", "compress=zstd": "error", "compress=off": "skipped", "compress=later": "skipped"}},
		{"runs", sampleSingle(), map[string]string{"pre-002": "failure", "pre-003": "failure"}},
	} {
		root, err := parseXML([]byte(junitOf(t, test.r)))
		if err != nil {
			t.Fatal(err)
		}
		cases := 0
		for _, c := range root.children[0].children {
			if c.name != "testcase" {
				continue
			}
			cases++
			got := ""
			for _, child := range c.children {
				if child.name != "system-out" {
					got = child.name
				}
			}
			name := c.attributes["name"]
			if want := test.want[name]; got != want {
				t.Errorf("%s: case %s is %q, want %q", test.name, name, got, want)
			}
		}
		if cases < len(test.want) {
			t.Errorf("%s: %d cases, fewer than expected results", test.name, cases)
		}
	}
}

func TestJUnitBoundsOutput(t *testing.T) {
	r := sampleSingle()
	r.Runs[1].Reports[0].Text = strings.Repeat("é", junitOutput)
	if text := junitOf(t, r); len(text) > 3*junitOutput || !strings.Contains(text, "[cut:") {
		t.Errorf("%d bytes", len(text))
	}
}

func TestReportersRefuseBisections(t *testing.T) {
	r := Recorded{Campaign: &Campaign{ID: "b", Dir: "/r/b", Kind: KindBisect}}
	if err := JUnit(&bytes.Buffer{}, r); err == nil || !strings.Contains(err.Error(), "bisect log /r/b") {
		t.Errorf("JUnit: %v", err)
	}
}

// Whatever a guest prints, the document stays well-formed and keeps the rules.
func FuzzJUnit(f *testing.F) {
	f.Add(hostile, hostile)
	f.Add("]]>", "\x00")
	f.Fuzz(func(t *testing.T, title, text string) {
		r := sampleSingle()
		rep := &r.Runs[1].Reports[0]
		rep.Title, rep.Text, r.Campaign.ID, r.Campaign.Workload, r.Runs[0].ID = title, text, text, title, text
		r.Runs[2].Reports[0].Fingerprint = title
		if id := xmlText(line(text)); id == r.Runs[1].ID || id == r.Runs[2].ID {
			r.Runs[0].ID = "x" // the store gives no two runs one ID
		}
		junitOf(t, r)
	})
}

package results

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
	"time"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// The part of KernelCI's report format (kcidb-io, schema 5.0, which later
// versions 5.x accept) that a campaign fills. A kernel's sources are a checkout,
// its image a build, a run a test, a kind of failure an issue, and a run that
// showed it an incident.
type (
	kcidbDocument struct {
		Version   kcidbVersion    `json:"version"`
		Checkouts []kcidbCheckout `json:"checkouts"`
		Builds    []kcidbBuild    `json:"builds"`
		Tests     []kcidbTest     `json:"tests"`
		Issues    []kcidbIssue    `json:"issues"`
		Incidents []kcidbIncident `json:"incidents"`
	}
	kcidbVersion struct {
		Major int `json:"major"`
		Minor int `json:"minor"`
	}
	kcidbCheckout struct {
		ID            string         `json:"id"`
		Origin        string         `json:"origin"`
		CommitHash    string         `json:"git_commit_hash,omitempty"`
		CommitName    string         `json:"git_commit_name,omitempty"`
		PatchsetHash  *string        `json:"patchset_hash,omitempty"` // "" says that there are no patches
		Comment       string         `json:"comment,omitempty"`
		StartTime     string         `json:"start_time,omitempty"`
		Valid         bool           `json:"valid"`
		Miscellaneous map[string]any `json:"misc,omitempty"`
	}
	kcidbBuild struct {
		CheckoutID    string         `json:"checkout_id"`
		ID            string         `json:"id"`
		Origin        string         `json:"origin"`
		Comment       string         `json:"comment,omitempty"`
		StartTime     string         `json:"start_time,omitempty"`
		Duration      float64        `json:"duration,omitempty"`
		Architecture  string         `json:"architecture"`
		Compiler      string         `json:"compiler,omitempty"`
		ConfigName    string         `json:"config_name,omitempty"`
		Status        string         `json:"status"`
		Miscellaneous map[string]any `json:"misc,omitempty"`
	}
	kcidbTest struct {
		BuildID       string            `json:"build_id"`
		ID            string            `json:"id"`
		Origin        string            `json:"origin"`
		Environment   *kcidbEnvironment `json:"environment,omitempty"`
		Path          string            `json:"path"`
		Comment       string            `json:"comment,omitempty"`
		LogExcerpt    string            `json:"log_excerpt,omitempty"`
		Status        string            `json:"status"`
		StartTime     string            `json:"start_time,omitempty"`
		Duration      float64           `json:"duration"`
		Miscellaneous map[string]any    `json:"misc,omitempty"`
	}
	kcidbEnvironment struct {
		Comment       string         `json:"comment,omitempty"`
		Miscellaneous map[string]any `json:"misc,omitempty"`
	}
	kcidbIssue struct {
		ID      string       `json:"id"`
		Version int          `json:"version"`
		Origin  string       `json:"origin"`
		Subject string       `json:"report_subject,omitempty"`
		Culprit kcidbCulprit `json:"culprit"`
	}
	kcidbCulprit struct {
		Code bool `json:"code"`
	}
	kcidbIncident struct {
		ID           string `json:"id"`
		Origin       string `json:"origin"`
		IssueID      string `json:"issue_id"`
		IssueVersion int    `json:"issue_version"`
		TestID       string `json:"test_id"`
		Present      bool   `json:"present"`
	}
)

// kcidbExcerpt is the schema's limit of a log excerpt, in characters.
const kcidbExcerpt = 16384

// DefaultOrigin is the name of the CI system in KCIDB documents.
const DefaultOrigin = "patchproof"

var originPattern = regexp.MustCompile(`^[a-z0-9_]+$`)

// KCIDB writes a campaign as a report for KernelCI's database. origin is the name
// that the CI system has there; empty means DefaultOrigin.
func KCIDB(w io.Writer, r Recorded, origin string) error {
	if origin == "" {
		origin = DefaultOrigin
	}
	if !originPattern.MatchString(origin) {
		return asked("origin %q: use small letters, digits and '_' only", origin)
	}
	if r.Campaign.searches() {
		return notForReporters(r.Campaign)
	}
	k := kcidb{origin: origin, campaign: r.Campaign, known: map[string]bool{}}
	k.doc = kcidbDocument{Version: kcidbVersion{Major: 5}, Checkouts: []kcidbCheckout{}, Builds: []kcidbBuild{}, Tests: []kcidbTest{}, Issues: []kcidbIssue{}, Incidents: []kcidbIncident{}}
	for i := range r.Runs {
		k.run(&r.Runs[i])
	}
	if r.Campaign.Verifies() {
		k.verdict(&r)
	}
	for _, cell := range Cells(r.Campaign, r.Runs) {
		k.skippedCell(&cell)
	}
	return encodeJSON(w, k.doc)
}

// kcidb is a document in the making.
type kcidb struct {
	origin   string
	campaign *Campaign
	known    map[string]bool // IDs of checkouts, builds and issues
	doc      kcidbDocument
}

// id makes an ID of parts; what is in it must not depend on the campaign for
// objects that several campaigns share.
func (k *kcidb) id(parts ...string) string {
	for i, p := range parts {
		parts[i] = line(p)
	}
	return k.origin + ":" + strings.Join(parts, "/")
}

// first reports whether an ID is new, and remembers it.
func (k *kcidb) first(id string) bool {
	seen := k.known[id]
	k.known[id] = true
	return !seen
}

// run adds a run with its kernel and what it showed. Runs that are not counted
// have shown nothing, and nobody needs them.
func (k *kcidb) run(r *Run) {
	if !Counted(r) {
		return
	}
	title, excerpt := blame(r)
	t := kcidbTest{ID: k.id(k.campaign.ID, r.ID), Origin: k.origin, BuildID: k.build(r.Kernel),
		Environment: &kcidbEnvironment{Comment: line("QEMU guest, " + r.Accel + ", " + r.Shape)},
		Path:        kcidbPath(k.workload(r.Cell)), Comment: title, LogExcerpt: kcidbCut(excerpt), Status: kcidbStatus(r),
		StartTime: timeText(r.Started), Duration: r.ElapsedSeconds,
		Miscellaneous: map[string]any{"campaign": line(k.campaign.ID), "run": line(r.ID), "outcome": r.Outcome}}
	if r.Cell != "" {
		t.Miscellaneous["cell"] = line(r.Cell)
	} else {
		t.Miscellaneous["side"] = r.Side
	}
	k.doc.Tests = append(k.doc.Tests, t)
	seen := map[string]bool{}
	for _, rep := range observe(r).Reports {
		if seen[rep.Fingerprint] {
			continue
		}
		seen[rep.Fingerprint] = true
		issue := k.id("issue", rep.Fingerprint)
		if k.first(issue) {
			k.doc.Issues = append(k.doc.Issues, kcidbIssue{ID: issue, Version: 1, Origin: k.origin, Subject: line(rep.Title), Culprit: kcidbCulprit{Code: true}})
		}
		k.doc.Incidents = append(k.doc.Incidents, kcidbIncident{ID: k.id(k.campaign.ID, r.ID, rep.Fingerprint), Origin: k.origin,
			IssueID: issue, IssueVersion: 1, TestID: t.ID, Present: true})
	}
}

// workload is that of a cell, or of the campaign.
func (k *kcidb) workload(cell string) string {
	if k.campaign.Matrix != nil {
		for i := range k.campaign.Matrix.Cells {
			if c := &k.campaign.Matrix.Cells[i]; c.Key == cell && c.Workload != "" {
				return c.Workload
			}
		}
	}
	return k.campaign.Workload
}

var notInPath = regexp.MustCompile(`[^a-zA-Z0-9_-]+`)

// kcidbPath is a place in the tree of tests: words with dots between.
func kcidbPath(parts ...string) string {
	words := []string{"patchproof"}
	for _, p := range parts {
		if w := strings.Trim(notInPath.ReplaceAllString(p, "-"), "-"); w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, ".")
}

// kcidbStatus: FAIL blames the kernel, ERROR the test, MISS the harness.
func kcidbStatus(r *Run) string {
	switch {
	case r.Outcome == judge.Clean:
		return "PASS"
	case r.Outcome != judge.Invalid:
		return "FAIL"
	case r.HarnessReason == "" && r.Failure == nil:
		return "ERROR"
	}
	return "MISS"
}

// kcidbCut shortens an excerpt to the schema's limit, which is in characters;
// a text of as many bytes is never longer.
func kcidbCut(text string) string { return cut(dmesg.Sanitize(text), kcidbExcerpt) }

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// verdict adds a test of the post-patch kernel that stands for the campaign.
func (k *kcidb) verdict(r *Recorded) {
	d := Rejudge(r.Campaign, r.Runs).Decision
	status := "ERROR"
	switch d.Verdict {
	case judge.Fixed:
		status = "PASS"
	case judge.NotFixed, judge.Regressed:
		status = "FAIL"
	}
	k.doc.Tests = append(k.doc.Tests, kcidbTest{ID: k.id(k.campaign.ID, "verdict"), Origin: k.origin, BuildID: k.build(k.campaign.Post),
		Path: kcidbPath(k.campaign.Workload, "verdict"), Comment: line(Headline(d) + ": " + d.Reason), Status: status,
		StartTime: timeText(k.campaign.Started), Duration: k.campaign.ElapsedSeconds,
		Miscellaneous: map[string]any{"campaign": line(k.campaign.ID), "verdict": d.Verdict}})
}

// skippedCell adds a cell that was not run, if its kernel is known.
func (k *kcidb) skippedCell(c *CellResult) {
	if c.State != CellSkipped || c.Cell.Kernel.SHA256 == "" {
		return
	}
	k.doc.Tests = append(k.doc.Tests, kcidbTest{ID: k.id(k.campaign.ID, "cell", c.Cell.Key), Origin: k.origin, BuildID: k.build(c.Cell.Kernel),
		Path: kcidbPath(k.workload(c.Cell.Key)), Comment: line(c.Cell.Skipped), Status: "SKIP",
		Miscellaneous: map[string]any{"campaign": line(k.campaign.ID), "cell": line(c.Cell.Key)}})
}

// digest is a short name for something long.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:10])
}

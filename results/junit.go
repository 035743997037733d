package results

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// The elements of JUnit's XML that Jenkins, GitLab and the readers for GitHub
// have in common, in the order that Jenkins' schema wants.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name      string      `xml:"name,attr"`
		Class     string      `xml:"classname,attr"`
		Time      string      `xml:"time,attr"`
		Skipped   *junitFault `xml:"skipped"`
		Error     *junitFault `xml:"error"`
		Failure   *junitFault `xml:"failure"`
		SystemOut *junitText  `xml:"system-out"`
	}
	junitFault struct {
		Message string `xml:"message,attr,omitempty"`
		Type    string `xml:"type,attr,omitempty"`
		junitText
	}
	junitText struct {
		Text string `xml:",cdata"`
	}
)

// junitOutput bounds the text of one case, in bytes: GitLab refuses files of
// more than some megabytes.
const junitOutput = 64 << 10

// JUnit writes a campaign as JUnit XML: a verification as one case for the
// verdict and one for each run, a matrix as one case for each cell, and single
// runs as one case each. docs/results.md says when a case fails.
//
// Text from guests has passed dmesg.Sanitize; characters that XML does not allow
// are left out.
func JUnit(w io.Writer, r Recorded) error {
	var suite junitSuite
	switch {
	case r.Campaign.searches():
		return notForReporters(r.Campaign)
	case r.Campaign.Matrix != nil:
		suite = junitMatrix(&r)
	case r.Campaign.Verifies():
		suite = junitVerify(&r)
	default:
		suite = junitRuns(&r)
	}
	suite.finish(r.Campaign)
	doc := junitSuites{Name: "patchproof", Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Time: suite.Time, Suites: []junitSuite{suite}}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// searches says that the campaign's runs are of many kernels or settings, among
// which it looks for one.
func (c *Campaign) searches() bool { return c.Kind == KindBisect || c.Kind == KindTune }

func notForReporters(c *Campaign) error {
	if c.Kind == KindTune {
		return asked("%s is a tuning, which has no cases that pass or fail: 'patchproof results show %s' shows it", c.ID, c.ID)
	}
	return asked("%s is a bisection, which has no cases that pass or fail: 'patchproof bisect log %s' shows it", c.ID, c.Dir)
}

// Verifies reports whether the campaign compares two kernels. Folders of the
// first versions do not say what they are; one with a post-patch kernel or a
// verdict is a verification.
func (c *Campaign) Verifies() bool {
	return c.Kind == KindVerify || c.Kind == "" && (c.Post.SHA256 != "" || c.Decision != nil)
}

// finish fills in names and sums.
func (s *junitSuite) finish(c *Campaign) {
	s.Name = xmlText(cmp.Or(c.ID, "campaign"))
	s.Tests = len(s.Cases)
	s.Timestamp = c.Started.UTC().Format("2006-01-02T15:04:05")
	s.Time = junitTime(c.ElapsedSeconds)
	for i := range s.Cases {
		switch k := &s.Cases[i]; {
		case k.Skipped != nil:
			s.Skipped++
		case k.Error != nil:
			s.Errors++
		case k.Failure != nil:
			s.Failures++
		}
	}
	for _, p := range [][2]string{
		{"kind", string(c.Kind)}, {"workload", c.Workload}, {"command", ShellQuote(c.Command)}, {"version", c.Version},
		{"pre", kernelProperty(c.Pre)}, {"post", kernelProperty(c.Post)}, {"guests", guestText(c)}, {"folder", c.Dir},
	} {
		if p[1] != "" {
			s.Properties = append(s.Properties, junitProperty{Name: p[0], Value: xmlText(line(p[1]))})
		}
	}
}

func kernelProperty(k KernelRecord) string {
	if k.ID == "" && k.SHA256 == "" && k.Label == "" && k.Release == "" {
		return ""
	}
	return KernelText(k)
}

func junitTime(seconds float64) string { return fmt.Sprintf("%.3f", max(0, seconds)) }

func fault(kind, message, text string) *junitFault {
	return &junitFault{Type: xmlText(line(kind)), Message: xmlText(line(message)), junitText: junitText{cut(xmlText(text), junitOutput)}}
}

// output is a case's system-out, nil when there is nothing to say.
func output(parts ...string) *junitText {
	text := xmlText(strings.Join(parts, ""))
	if text == "" {
		return nil
	}
	return &junitText{cut(text, junitOutput)}
}

// cut shortens text to a number of bytes, and says so.
func cut(text string, size int) string {
	const mark = "\n[cut: the run's folder has the rest]\n"
	if len(text) <= size {
		return text
	}
	return strings.ToValidUTF8(text[:size-len(mark)], "") + mark
}

func junitVerify(r *Recorded) junitSuite {
	s := Rejudge(r.Campaign, r.Runs)
	verdict := junitCase{Name: "verdict", Class: junitClass(r.Campaign.Workload), Time: junitTime(r.Campaign.ElapsedSeconds)}
	reason := sentence(line(s.Decision.Reason))
	switch s.Decision.Verdict {
	case judge.Fixed:
	case judge.NotFixed, judge.Regressed:
		verdict.Failure = fault(string(s.Decision.Verdict), Headline(s.Decision), Meaning(s.Decision.Verdict)+"\n"+reason)
	default:
		verdict.Error = fault(string(s.Decision.Verdict), Headline(s.Decision), Meaning(s.Decision.Verdict)+"\n"+reason)
	}
	var text strings.Builder
	if err := Text(&text, s, TextOptions{NoMail: true}); err == nil { // a Builder does not fail
		verdict.SystemOut = output(text.String())
	}
	suite := junitSuite{Cases: []junitCase{verdict}}
	known := map[string]bool{}
	for i := range s.Runs {
		if s.Runs[i].Side == judge.Pre {
			for _, seen := range observe(&s.Runs[i]).Reports {
				known[seen.Fingerprint] = known[seen.Fingerprint] || !seen.Signature
			}
		}
	}
	for i := range s.Runs {
		suite.Cases = append(suite.Cases, junitVerifyRun(r.Campaign, &s.Runs[i], known))
	}
	return suite
}

// junitVerifyRun is the case of one run. The pre-patch kernel is expected to
// show the bug, so nothing that it does fails a case; neither does a failure of
// the post-patch kernel that the pre-patch kernel has as well.
func junitVerifyRun(c *Campaign, r *Run, known map[string]bool) junitCase {
	k := junitRun(c, r)
	if k.Error != nil {
		k.Skipped, k.Error = k.Error.asSkipped(), nil // made up for by another run
	}
	if k.Failure == nil {
		return k
	}
	blamed := false
	for _, seen := range observe(r).Reports {
		blamed = blamed || !known[seen.Fingerprint]
	}
	if r.Side == judge.Pre || !blamed {
		k.Failure = nil
	}
	return k
}

// asSkipped is the fault as a skip, whose schema has no type.
func (f *junitFault) asSkipped() *junitFault {
	return &junitFault{Message: f.Message, junitText: f.junitText}
}

func junitRuns(r *Recorded) junitSuite {
	var suite junitSuite
	for i := range r.Runs {
		suite.Cases = append(suite.Cases, junitRun(r.Campaign, &r.Runs[i]))
	}
	return suite
}

func junitClass(workload string) string { return xmlText(cmp.Or(line(workload), "patchproof")) }

// junitRun is a run as a case that fails when the kernel does.
func junitRun(c *Campaign, r *Run) junitCase {
	k := junitCase{Name: xmlText(cmp.Or(line(r.ID), fmt.Sprint(r.Index))), Class: junitClass(c.Workload), Time: junitTime(r.ElapsedSeconds)}
	switch {
	case !Counted(r):
		k.Skipped = &junitFault{Message: "stopped before its end"}
	case r.Outcome == judge.Invalid:
		k.Error = fault("invalid", cmp.Or(r.InvalidReason, "invalid"), "")
	case r.Outcome != judge.Clean:
		title, text := blame(r)
		k.Failure = fault(string(r.Outcome), title, text)
	}
	k.SystemOut = output(reportTexts(r))
	return k
}

// blame names what decided the outcome of a run that was not clean, and returns
// what the kernel printed of it.
func blame(r *Run) (title, text string) {
	for _, decides := range []func(ReportRecord) bool{isSignature, isForeign} {
		if i := slices.IndexFunc(r.Reports, decides); i >= 0 {
			return line(r.Reports[i].Title), reportText(r, &r.Reports[i])
		}
	}
	return line(cmp.Or(r.Reason, r.InvalidReason)), ""
}

// reportTexts is what the kernel printed in a run, benign reports left out.
func reportTexts(r *Run) string {
	var b strings.Builder
	for i := range r.Reports {
		if rep := &r.Reports[i]; rep.Benign == "" || rep.Signature != "" {
			b.WriteString(reportText(r, rep) + "\n")
		}
	}
	return b.String()
}

// reportText is a report with a line that says where it came from.
func reportText(r *Run, rep *ReportRecord) string {
	text := fmt.Sprintf("%s: %s, phase %s\n", line(r.ID), line(rep.Title), line(cmp.Or(rep.PhaseName, "boot")))
	if p := Place(rep); p != "" {
		text += p + "\n"
	}
	return text + strings.TrimRight(dmesg.Sanitize(rep.Text), "\n") + "\n"
}

func junitMatrix(r *Recorded) junitSuite {
	byID := map[string]*Run{}
	for i := range r.Runs {
		byID[r.Runs[i].ID] = &r.Runs[i]
	}
	var suite junitSuite
	for _, cell := range Cells(r.Campaign, r.Runs) {
		suite.Cases = append(suite.Cases, junitCell(r.Campaign, &cell, byID))
	}
	return suite
}

func junitCell(c *Campaign, cell *CellResult, byID map[string]*Run) junitCase {
	k := junitCase{Name: xmlText(line(cell.Cell.Key)), Class: junitClass(c.Matrix.Name), Time: junitTime(cell.ElapsedSeconds)}
	summary, text := cellText(cell), ""
	var first *Run // of the runs that failed
	seen := map[string]bool{}
	for _, id := range cell.RunIDs {
		o := observe(byID[id])
		if len(o.Reports) == 0 {
			continue
		}
		first = cmp.Or(first, byID[id])
		if !seen[o.Reports[0].Fingerprint] { // one run for each kind of failure
			seen[o.Reports[0].Fingerprint] = true
			text += reportTexts(byID[id])
		}
	}
	switch cell.State {
	case CellFailing, CellOther:
		title, report := blame(first)
		k.Failure = fault(string(cell.State), title+": "+summary, report)
	case CellPassing:
		if cell.Short() {
			k.Error = fault("too few runs", "only "+cell.runsOf()+"; "+summary, "")
		} else if cell.Missing > 0 {
			k.Skipped = &junitFault{Message: xmlText("only " + cell.runsOf() + ": " + line(cmp.Or(cell.Cell.Skipped, "not run to the end yet")))}
		}
	case CellInvalid:
		k.Error = fault(string(cell.State), summary, "")
	case CellSkipped:
		k.Skipped = &junitFault{Message: xmlText(line(cell.Cell.Skipped))}
	case CellPending:
		k.Skipped = &junitFault{Message: "not run yet"}
	}
	k.SystemOut = output(summary+"\n", cellKernel(cell), text)
	return k
}

func cellKernel(cell *CellResult) string {
	if text := kernelProperty(cell.Cell.Kernel); text != "" {
		return "kernel: " + text + "\n"
	}
	return ""
}

// cellText is "bug seen in 2 of 5 runs, rate 8% to 81% (90% interval); 1 invalid".
func cellText(cell *CellResult) string {
	text := sideText(cell.Counts, cell.Rate)
	if cell.Counts.Invalid > 0 {
		text += fmt.Sprintf("; %d invalid", cell.Counts.Invalid)
	}
	return text
}

// xmlText drops what XML 1.0 does not allow, and what dmesg.Sanitize would.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return r
		case r < 0x20 || r >= 0xd800 && r < 0xe000 || r == 0xfffe || r == 0xffff:
			return -1
		}
		return r
	}, dmesg.Sanitize(s))
}

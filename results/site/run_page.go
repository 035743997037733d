package site

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/results/judge"
)

// How much a page of a run shows.
const (
	outputBytes = 8 << 10 // of a phase's output, at each end
	reportRows  = 200
)

// runBody is the page of a run.
type runBody struct {
	ID       string
	State    state
	Why      string
	Warning  string
	Facts    []fact
	Reports  []reportView
	Left     int // reports that are not listed
	Phases   []phaseView
	Slowest  float64
	Log      *consoleLog
	LogHref  string
	BaseHref string // of the log of the saved machine that the run went on from
	LogError string
	Commands []command
	QEMU     string
	Kernel   kernelView
	Newer    link
	Older    link
	InFlight bool
	PlanHref string
}

// Tone is the tone of a report, by its number.
func (b runBody) Tone(number int) string {
	if number > len(b.Reports) {
		return "idle"
	}
	return b.Reports[number-1].State.Tone
}

// reportView is a report of a run.
type reportView struct {
	Number    int
	Report    results.ReportRecord
	State     state
	Note      string
	Condition string
	Place     string
	Trace     []string
	// InLog is the anchor of its lines in the log, or empty.
	InLog string
}

// phaseView is a phase with what it printed.
type phaseView struct {
	results.PhaseResult
	Output []output
	Failed bool
	Saved  bool // done once, in the saved machine that the run went on from
}

type output struct{ Name, Text string }

// runPage draws the page of the run in a folder such as "pre/001".
func (s *Site) runPage(id, path string) (File, error) {
	dir := filepath.Join(s.dir, id)
	if !exists(filepath.Join(dir, path)) {
		return File{}, notFound(id + "/" + path)
	}
	record, err := s.record(id)
	if err != nil {
		return File{}, err
	}
	r, ended, warning, err := results.ReadRun(dir, path)
	if err != nil {
		return File{}, fmt.Errorf("run %s of campaign %s: %w", path, id, err)
	}
	r.ID, r.Command = runID(path), qemuCommand(&r)
	c := &campaign{Campaign: *record, ID: id, Open: map[string]bool{r.ID: !ended}}
	c.Running = !ended && results.Running(dir)
	body := runBody{ID: r.ID, State: c.runState(&r), Why: cmp.Or(r.Reason, r.InvalidReason), Warning: warning, InFlight: c.inFlight(&r),
		Commands: c.runCommands(&r), QEMU: commandLines(r.Command), Kernel: s.kernel(r.Kernel)}
	if body.InFlight {
		body.Why = ""
	}
	body.Facts = c.runFacts(&r)
	body.log(&r)
	body.reports(&r)
	body.phases(&r)
	if len(c.Plan) > 0 {
		body.PlanHref = planName
	}
	body.Older, body.Newer = neighbours(dir, path)
	p := c.page(r.ID, link{c.title(), indexName})
	if c.Matrix != nil && r.Cell != "" {
		p.Crumbs = append(p.Crumbs, link{r.Cell, cellFile(r.Cell)})
	}
	p.Poll, p.Body = body.InFlight, body
	return s.render("run", p)
}

// neighbours are the runs of the same side with the numbers before and after
// that of the run in path, if there are such.
func neighbours(dir, path string) (older, newer link) {
	side, name := filepath.Split(path)
	number, err := strconv.Atoi(name)
	if err != nil {
		return older, newer
	}
	lead := func(number int) link {
		near := side + fmt.Sprintf("%03d", number)
		if !exists(filepath.Join(dir, near)) {
			return link{}
		}
		return link{runID(near), runID(near) + ".html"}
	}
	return lead(number - 1), lead(number + 1)
}

func (c *campaign) runFacts(r *results.Run) []fact {
	facts := []fact{{"Started", r.Started}}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{name, value})
		}
	}
	if r.ElapsedSeconds > 0 {
		add("Took", seconds(r.ElapsedSeconds))
	}
	if c.Matrix != nil && r.Cell != "" {
		facts = append(facts, fact{"Cell", link{r.Cell, cellFile(r.Cell)}})
	}
	add("Kernel", results.KernelText(r.Kernel))
	add("Commit", r.Commit)
	if c.isVerify() {
		add("Side", map[judge.Side]string{judge.Pre: "before the patch", judge.Post: "after the patch"}[r.Side])
	}
	add("Workload", c.workloadOf(r))
	add("Guest", joined(", ", r.Shape, r.Accel))
	if f := r.Forked; f != nil {
		add("Went on from", fmt.Sprintf("a machine saved after %s, %s", f.After, f.Made.UTC().Format("2006-01-02 15:04")))
	}
	if r.Seed != 0 {
		add("Seed", fmt.Sprint(r.Seed))
	}
	if p := r.Perturb; p != nil {
		add("Perturbed", fmt.Sprintf("%d yields at %d function boundaries", p.Yields, p.Calls))
	}
	if f := r.Failure; f != nil {
		add("Guest failed", joined(": ", f.Kind, f.Detail))
	}
	add("Folder", r.Dir)
	return facts
}

// workloadOf is the workload of a run, which in a matrix is its cell's.
func (c *campaign) workloadOf(r *results.Run) string {
	if c.Matrix != nil {
		for i := range c.Matrix.Cells {
			if c.Matrix.Cells[i].Key == r.Cell {
				return c.Matrix.Cells[i].Workload
			}
		}
	}
	return c.Workload
}

// log reads the console log; that it cannot be read is said on the page.
func (b *runBody) log(r *results.Run) {
	f, size, err := openLog(filepath.Join(r.Dir, consoleName))
	if err == nil && f != nil {
		defer f.Close()
		b.LogHref = r.ID + logSuffix
		b.Log, err = readLog(f, size, r.Reports)
	}
	if err != nil {
		b.LogError = err.Error()
	}
	if r.Forked != nil && hasLog(r.Dir, baseLogName) {
		b.BaseHref = r.ID + baseLogSuffix
	}
}

func (b *runBody) reports(r *results.Run) {
	for i, rep := range r.Reports {
		if i == reportRows {
			b.Left = len(r.Reports) - i
			return
		}
		v := reportView{Number: i + 1, Report: rep, State: stateOf("other-failure"), Condition: rep.ConditionText(), Place: results.Place(&rep), Trace: traceText(rep.Trace)}
		switch {
		case rep.Signature != "":
			v.State, v.Note = stateOf("reproduced"), "matches "+rep.Signature
		case rep.Benign != "":
			v.State, v.Note = state{"benign", "idle", "–"}, rep.Benign
		case rep.FollowUp:
			v.Note = "follows another failure"
		}
		if b.Log != nil && b.Log.Shown[i] {
			v.InLog = fmt.Sprintf("log-%d", v.Number)
		}
		b.Reports = append(b.Reports, v)
	}
}

func traceText(trace []dmesg.Frame) []string {
	var out []string
	for _, f := range trace {
		if f.Unreliable {
			continue
		}
		text := f.Function
		if !f.Inlined && (f.Offset != 0 || f.Size != 0) {
			text += fmt.Sprintf("+%#x/%#x", f.Offset, f.Size)
		}
		if f.Module != "" {
			text += " [" + f.Module + "]"
		}
		if f.Inlined {
			text += " (inlined)"
		}
		if f.File != "" {
			text += fmt.Sprintf("  %s:%d", f.File, f.Line)
		}
		out = append(out, text)
	}
	return out
}

func (b *runBody) phases(r *results.Run) {
	saved := 0
	phases := r.Phases
	if r.Forked != nil {
		saved, phases = len(r.Forked.Phases), slices.Concat(r.Forked.Phases, r.Phases)
	}
	for i, p := range phases {
		v := phaseView{PhaseResult: p, Failed: p.Error != "", Saved: i < saved}
		for _, o := range []output{{"standard output", p.Stdout}, {"standard error", p.Stderr}} {
			if strings.TrimSpace(o.Text) != "" {
				o.Text = dmesg.Sanitize(ends(o.Text))
				v.Output = append(v.Output, o)
			}
		}
		b.Phases = append(b.Phases, v)
		b.Slowest = max(b.Slowest, p.ElapsedSeconds)
	}
}

// ends keeps the two ends of a long text.
func ends(s string) string {
	if len(s) <= 2*outputBytes {
		return s
	}
	return fmt.Sprintf("%s\n[%s left out; they are in run.jsonl]\n%s", s[:outputBytes], sizeText(int64(len(s)-2*outputBytes)), s[len(s)-outputBytes:])
}

// commandLines writes a command line with an option a line.
func commandLines(words []string) string {
	if len(words) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(results.ShellQuote(words[:1]))
	for _, w := range words[1:] {
		if strings.HasPrefix(w, "-") {
			b.WriteString(" \\\n  ")
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(results.ShellQuote([]string{w}))
	}
	return b.String()
}

// seconds is a short time with its fractions: "0.20 s", and a long one as
// results.Duration has it.
func seconds(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.2f s", s)
	}
	return results.Duration(s)
}

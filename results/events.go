package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// event is one line of run.jsonl. What is one event's concern is in the field
// that has its name.
type event struct {
	Event   string        `json:"event"`
	Time    time.Time     `json:"time"`
	Started *Run          `json:"started,omitempty"`
	Command []string      `json:"command,omitempty"`
	Forked  *ForkRecord   `json:"forked,omitempty"`
	Phase   *PhaseResult  `json:"phase,omitempty"`
	Report  *ReportRecord `json:"report,omitempty"`
	Failure *GuestFailure `json:"failure,omitempty"`
	Perturb *PerturbStats `json:"perturb,omitempty"`
	CPU     *CPUTime      `json:"cpu,omitempty"`
	Timing  *Timing       `json:"timing,omitempty"`
	Outcome *outcomeEvent `json:"outcome,omitempty"`
}

// outcomeEvent ends a run.
type outcomeEvent struct {
	Outcome        string  `json:"outcome"` // as drawn then; Load draws it again
	Complete       bool    `json:"complete"`
	HarnessReason  string  `json:"harness_reason,omitempty"`
	Stopped        bool    `json:"stopped,omitempty"`
	ElapsedSeconds float64 `json:"elapsed_seconds"`
}

// apply adds what e tells to r.
func (e *event) apply(r *Run) {
	if e.Started != nil {
		*r = *e.Started
	}
	if e.Command != nil {
		r.Command = e.Command
	}
	if e.Forked != nil {
		r.Forked = e.Forked
	}
	if e.Phase != nil {
		r.Phases = append(r.Phases, *e.Phase)
	}
	if e.Report != nil {
		r.Reports = append(r.Reports, *e.Report)
	}
	if e.Failure != nil {
		r.Failure = e.Failure
	}
	if e.Perturb != nil {
		r.Perturb = e.Perturb
	}
	if e.CPU != nil {
		r.CPU = e.CPU
	}
	if e.Timing != nil {
		r.Timing = e.Timing
	}
	if o := e.Outcome; o != nil {
		r.Complete, r.HarnessReason, r.Stopped, r.ElapsedSeconds = o.Complete, o.HarnessReason, o.Stopped, o.ElapsedSeconds
	}
}

// RunWriter appends to one run's folder; safe for use by several goroutines.
type RunWriter struct {
	mu      sync.Mutex
	file    *os.File
	run     Run
	begin   time.Time // with a monotonic reading, unlike run.Started perhaps
	stopped bool
	done    bool
}

func newRunWriter(r Run) (*RunWriter, error) {
	f, err := os.OpenFile(filepath.Join(r.Dir, eventsFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("record of run %s: %w", r.ID, err)
	}
	w := &RunWriter{file: f, begin: time.Now()}
	if err := w.add(event{Event: "started", Started: &r}); err != nil {
		f.Close() // nothing of worth is in it
		return nil, err
	}
	w.run.Dir = r.Dir
	return w, nil
}

// add appends one event. A line is written in one call, so that a crash tears
// no more than the last one.
func (w *RunWriter) add(e event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addLocked(e)
}

func (w *RunWriter) addLocked(e event) error {
	if w.done {
		return fmt.Errorf("record of run %s: event %q came after the outcome", w.run.ID, e.Event)
	}
	e.Time = time.Now()
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("record of run %s: %w", w.run.ID, err)
	}
	dir := w.run.Dir
	e.apply(&w.run)
	if dir != "" {
		w.run.Dir = dir
	}
	if _, err := w.file.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("record of run %s: %w; is there space left?", w.run.ID, err)
	}
	return nil
}

// Dir is the run's folder, for console.log and the like.
func (w *RunWriter) Dir() string { return w.Run().Dir }

// Run returns a copy of what is known so far.
func (w *RunWriter) Run() Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.run
	r.Phases, r.Reports, r.Command = slices.Clone(r.Phases), slices.Clone(r.Reports), slices.Clone(r.Command)
	return r
}

// Command records the QEMU command line.
func (w *RunWriter) Command(argv []string) error {
	return w.add(event{Event: "command", Command: argv})
}

// GoOnFrom records the saved machine that the run goes on from. The run's time
// begins now: making the machine is no part of it.
func (w *RunWriter) GoOnFrom(f ForkRecord) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin = time.Now()
	return w.addLocked(event{Event: "forked", Forked: &f})
}

// Phase records the end of a phase.
func (w *RunWriter) Phase(p PhaseResult) error { return w.add(event{Event: "phase", Phase: &p}) }

// Report records a kernel report.
func (w *RunWriter) Report(r ReportRecord) error { return w.add(event{Event: "report", Report: &r}) }

// Failure records how the guest failed.
func (w *RunWriter) Failure(f GuestFailure) error { return w.add(event{Event: "failure", Failure: &f}) }

// Perturb records what a perturbed kernel says of its yields.
func (w *RunWriter) Perturb(p PerturbStats) error { return w.add(event{Event: "perturb", Perturb: &p}) }

// CPU records the processor time of the run.
func (w *RunWriter) CPU(c CPUTime) error { return w.add(event{Event: "cpu", CPU: &c}) }

// Timing records where the run's time went besides its phases.
func (w *RunWriter) Timing(t Timing) error { return w.add(event{Event: "timing", Timing: &t}) }

// MarkStopped notes that the run is being ended from outside, by a decision, a
// signal or the end of the budget. Call it before Finish.
func (w *RunWriter) MarkStopped() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
}

// Finish draws the outcome (see Classify), records it, writes run.json, closes
// the files and returns the finished record. complete says that all phases ran
// and the end of the console log was seen; invalid is a reason of the harness
// why the run must not count, or "".
func (w *RunWriter) Finish(complete bool, invalid string) (Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return w.run, fmt.Errorf("record of run %s: finished twice", w.run.ID)
	}
	o := outcomeEvent{Complete: complete, HarnessReason: invalid, Stopped: w.stopped, ElapsedSeconds: time.Since(w.begin).Seconds()}
	last := event{Event: "outcome", Outcome: &o}
	last.apply(&w.run)
	w.run.classify()
	o.Outcome = string(w.run.Outcome)
	err := w.addLocked(last)
	w.done = true
	if err == nil {
		err = w.file.Sync()
	}
	if closeErr := w.file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = writeJSON(filepath.Join(w.run.Dir, runFile), w.run)
	}
	if err != nil {
		return w.run, fmt.Errorf("outcome of run %s: %w", w.run.ID, err)
	}
	return w.run, nil
}

// decodeEvents folds the lines of a run.jsonl. A torn last line, which a crash
// leaves behind, is left out; finished says whether the outcome was there.
func decodeEvents(data []byte) (r Run, finished bool, err error) {
	started := false
	for number := 1; len(data) > 0; number++ {
		text, rest, whole := bytes.Cut(data, []byte("\n"))
		data = rest
		var e event
		if jsonErr := json.Unmarshal(text, &e); jsonErr != nil {
			if !whole && started {
				break
			}
			return r, false, fmt.Errorf("line %d: %w", number, jsonErr)
		}
		if (e.Started != nil) == started {
			return r, false, fmt.Errorf("line %d: event %q where it cannot be", number, e.Event)
		}
		if finished {
			return r, false, fmt.Errorf("line %d: event %q after the outcome", number, e.Event)
		}
		started = true
		e.apply(&r)
		finished = e.Outcome != nil
	}
	if !started {
		return r, false, fmt.Errorf("no event: the run never began")
	}
	return r, finished, nil
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeAtomic(path, append(data, '\n'))
}

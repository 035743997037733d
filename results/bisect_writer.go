package results

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// BisectWriter keeps a bisection's folder and its state together: what is added
// is on disk before the judge knows it. It is for one goroutine; only the
// writers of runs are for others.
type BisectWriter struct {
	*Bisection
	campaign *CampaignWriter
	journal  *os.File
}

// CreateBisection makes the folder of a new bisection.
func (s *Store) CreateBisection(c *Campaign, record *BisectRecord) (*BisectWriter, error) {
	c.Kind = KindBisect
	b, err := NewBisection(c, record)
	if err != nil {
		return nil, err
	}
	w, err := s.Create(c)
	if err != nil {
		return nil, err
	}
	if err := writeJSON(filepath.Join(c.Dir, bisectFile), record); err != nil {
		return nil, err
	}
	return openBisection(w, b)
}

// ReopenBisection continues a bisection. change may set other rules.
func ReopenBisection(dir string, change func(*BisectRecord)) (*BisectWriter, error) {
	if Running(dir) {
		return nil, fmt.Errorf("bisection %s: %w: stop it first", dir, ErrRunning)
	}
	w, c, runs, err := Reopen(dir)
	if err != nil {
		return nil, err
	}
	b, err := replayBisection(c, runs, change)
	if err != nil {
		return nil, err
	}
	if err := writeJSON(filepath.Join(dir, bisectFile), b.Record); err != nil {
		return nil, err
	}
	return openBisection(w, b)
}

func openBisection(w *CampaignWriter, b *Bisection) (*BisectWriter, error) {
	path := filepath.Join(w.Dir(), journalFile)
	if err := dropTornLine(path); err != nil {
		return nil, fmt.Errorf("journal of the bisection: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("journal of the bisection: %w", err)
	}
	out := &BisectWriter{Bisection: b, campaign: w, journal: f}
	return out, out.Add(BisectEvent{Event: EventSitting})
}

// dropTornLine cuts off the half line that a crash has left at the end, which
// the next line would be written behind.
func dropTornLine(path string) error {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	whole := len(data)
	for whole > 0 && data[whole-1] != '\n' {
		whole--
	}
	if whole == len(data) {
		return nil
	}
	return os.Truncate(path, int64(whole))
}

// Dir is the bisection's folder.
func (w *BisectWriter) Dir() string { return w.campaign.Dir() }

// Update rewrites campaign.json.
func (w *BisectWriter) Update() error { return w.campaign.Update(w.Campaign) }

// Add appends an event to the journal and applies it.
func (w *BisectWriter) Add(e BisectEvent) error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("journal of the bisection: %w", err)
	}
	if _, err := w.journal.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("journal of the bisection: %w; is there space left?", err)
	}
	w.Apply(e)
	return nil
}

// StartRun starts a run at a commit; r says the rest.
func (w *BisectWriter) StartRun(commit string, r Run) (*RunWriter, error) {
	r.Side, r.Commit = Single, commit
	return w.campaign.StartRun(r)
}

// RunsStarted is the number of the last run that was started.
func (w *BisectWriter) RunsStarted() int {
	w.campaign.mu.Lock()
	defer w.campaign.mu.Unlock()
	return w.campaign.index
}

// AddRun takes in a run that has ended.
func (w *BisectWriter) AddRun(r Run) error {
	w.Runs = append(w.Runs, r)
	slices.SortStableFunc(w.Runs, func(a, b Run) int { return a.Index - b.Index })
	if r.Stopped {
		return nil
	}
	return w.Add(BisectEvent{Event: EventRun, Run: r.ID, Commit: r.Commit})
}

// Close ends the sitting and lets others write; reason says why it ended before
// the judge was done.
func (w *BisectWriter) Close(reason string) error {
	w.Campaign.Stopped = reason
	err := w.Add(BisectEvent{Event: EventEnd, Reason: reason})
	w.Campaign.ElapsedSeconds = w.Seconds()
	if uerr := w.Update(); err == nil {
		err = uerr
	}
	w.campaign.hold.Close() // nothing was written to it
	if cerr := w.journal.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("journal of the bisection: %w", cerr)
	}
	return err
}

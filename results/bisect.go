package results

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"patchproof/results/judge"
)

// Names of the files that only a bisection's folder has.
const (
	bisectFile  = "bisect.json"
	journalFile = "bisect.jsonl"
)

// BisectRecord is what a bisection searches and how. It is written before the
// first build and kept as bisect.json.
type BisectRecord struct {
	Rules judge.BisectRules `json:"rules"`
	// Tree is the git repository, Paths and FirstParent are how its history was
	// narrowed.
	Tree        string   `json:"tree"`
	Paths       []string `json:"paths,omitempty"`
	FirstParent bool     `json:"first_parent,omitempty"`
	// Old is the commit before the range and New its newest one.
	Old BisectEnd `json:"old"`
	New BisectEnd `json:"new"`
	// Commits are those of the range, parents before children; the index is the
	// judge's node.
	Commits []BisectCommit `json:"commits"`
}

// BisectEnd is an end of the range.
type BisectEnd struct {
	BisectCommit
	// Rev is the revision as given.
	Rev string `json:"rev"`
}

// BisectCommit is a commit of the range.
type BisectCommit struct {
	Commit  string `json:"commit"`
	Parents []int  `json:"parents,omitempty"` // nodes
	Subject string `json:"subject"`
	Author  string `json:"author,omitempty"`
	// Aside says that it lies on a branch that forked off before the old end.
	Aside bool `json:"aside,omitempty"`
}

// Events of a bisection's journal.
const (
	EventSitting    = "sitting"    // the program began, for the first time or again
	EventBuild      = "build"      // an image is there: Seconds, or Cached
	EventUntestable = "untestable" // the commit cannot be tested: Reason
	EventRun        = "run"        // the record of Run was taken in
	EventEnd        = "end"        // the program ended in order: Reason
)

// BisectEvent is one line of bisect.jsonl. The lines are in the order in which
// the judge was told, so that replaying them gives the same state.
type BisectEvent struct {
	Event   string    `json:"event"`
	Time    time.Time `json:"time"`
	Commit  string    `json:"commit,omitempty"`
	Run     string    `json:"run,omitempty"` // ID
	Seconds float64   `json:"seconds,omitempty"`
	Cached  bool      `json:"cached,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Log     string    `json:"log,omitempty"` // of a build that failed
}

// Bisection is the record of a bisection with what the judge makes of it.
type Bisection struct {
	Campaign *Campaign
	Record   *BisectRecord
	Runs     []Run // in the order of their start
	Judge    *judge.Bisection

	graph    *judge.Graph
	nodes    map[string]int // by commit
	history  map[int]*commitHistory
	builds   buildTimes
	sittings []sitting
	told     map[string]bool // runs that the judge knows
	unnamed  []string        // runs at commits outside the range
}

// commitHistory is what happened at one commit.
type commitHistory struct {
	built      bool
	untestable string // why; empty if it is not
	log        string
	reproduced int
	clean      int
	other      int // other failures and invalid runs
	// idle counts the runs since the last one that said something of the bug.
	idle int
}

type sitting struct{ begin, last time.Time }

// NewBisection returns the state of a bisection that has seen nothing.
func NewBisection(c *Campaign, record *BisectRecord) (*Bisection, error) {
	b := &Bisection{Campaign: c, Record: record, nodes: map[string]int{}, history: map[int]*commitHistory{}, told: map[string]bool{}}
	parents := make([][]int, len(record.Commits))
	for i, commit := range record.Commits {
		parents[i] = commit.Parents
		b.nodes[commit.Commit] = i
	}
	b.nodes[record.Old.Commit] = judge.OldEnd
	if _, ok := b.nodes[record.New.Commit]; !ok {
		b.nodes[record.New.Commit] = judge.NewEnd
	}
	var err error
	if b.graph, err = judge.NewGraph(parents); err != nil {
		return nil, fmt.Errorf("commits of the bisection: %w", err)
	}
	if b.Judge, err = judge.NewBisection(b.graph, record.Rules, b.buildCost); err != nil {
		return nil, fmt.Errorf("rules of the bisection: %w", err)
	}
	return b, nil
}

// Commit returns the commit of a node of the judge.
func (b *Bisection) Commit(node int) BisectCommit {
	switch node {
	case judge.OldEnd:
		return b.Record.Old.BisectCommit
	case judge.NewEnd:
		return b.Record.New.BisectCommit
	}
	return b.Record.Commits[node]
}

// Node returns the node of a commit by its full object name.
func (b *Bisection) Node(commit string) (node int, ok bool) {
	node, ok = b.nodes[commit]
	return node, ok
}

func (b *Bisection) at(node int) *commitHistory {
	h := b.history[node]
	if h == nil {
		h = &commitHistory{}
		b.history[node] = h
	}
	return h
}

// Apply takes in an event of the journal. Events about commits outside the range
// and about runs that are not there are left out.
func (b *Bisection) Apply(e BisectEvent) {
	if n := len(b.sittings); n > 0 && e.Event != EventSitting {
		b.sittings[n-1].last = e.Time
	}
	switch e.Event {
	case EventSitting:
		b.sittings = append(b.sittings, sitting{e.Time, e.Time})
	case EventRun:
		if i := slices.IndexFunc(b.Runs, func(r Run) bool { return r.ID == e.Run }); i >= 0 {
			b.tell(&b.Runs[i])
		}
	case EventBuild, EventUntestable:
		node, ok := b.nodes[e.Commit]
		if !ok {
			return
		}
		h := b.at(node)
		if e.Event == EventBuild {
			h.built = true
			if !e.Cached {
				b.builds.build(e.Seconds)
			}
			return
		}
		h.untestable, h.log = cmp.Or(e.Reason, "no reason is recorded"), e.Log
		b.Judge.Observe(node, judge.BisectUntestable)
	}
}

// tell lets the judge know of a run. What says nothing of the bug is counted
// only: whether its commit is untestable is decided elsewhere.
func (b *Bisection) tell(r *Run) {
	node, ok := b.nodes[r.Commit]
	if b.told[r.ID] || r.Stopped {
		return
	}
	b.told[r.ID] = true
	if !ok {
		b.unnamed = append(b.unnamed, r.ID)
		return
	}
	h := b.at(node)
	switch r.Outcome {
	case judge.Reproduced:
		h.reproduced++
		h.idle = 0
		b.Judge.Observe(node, judge.BisectBad)
	case judge.Clean:
		h.clean++
		h.idle = 0
		b.Judge.Observe(node, judge.BisectGood)
	default:
		h.other++
		h.idle++
		b.Judge.Idle()
		return
	}
	b.builds.run(r.ElapsedSeconds)
}

// Idle returns how many runs at a node, since the last that said something of
// the bug, were invalid or failed in another way; and whether any run there ever
// said something.
func (b *Bisection) Idle(node int) (runs int, testable bool) {
	h := b.at(node)
	return h.idle, h.reproduced+h.clean > 0
}

// Untestable returns why a commit cannot be tested; empty if it can, as far as
// is known.
func (b *Bisection) Untestable(node int) string { return b.at(node).untestable }

// SetBuilt notes whether a commit's image is there, so that running at it needs
// no build.
func (b *Bisection) SetBuilt(node int, built bool) { b.at(node).built = built }

// pending returns the runs that the judge does not know yet.
func (b *Bisection) pending() []*Run {
	var out []*Run
	for i := range b.Runs {
		if r := &b.Runs[i]; !r.Stopped && !b.told[r.ID] {
			out = append(out, r)
		}
	}
	return out
}

// Seconds is the time that the bisection took, of all sittings: of one that was
// killed, up to the last thing it wrote down.
func (b *Bisection) Seconds() float64 {
	var sum time.Duration
	for _, s := range b.sittings {
		sum += max(0, s.last.Sub(s.begin))
	}
	return sum.Seconds()
}

// LoadBisection reads the folder of a bisection back and replays it.
func LoadBisection(dir string) (*Bisection, error) {
	c, runs, err := Load(dir)
	if err != nil {
		return nil, err
	}
	return replayBisection(c, runs, nil)
}

// LastBisection returns the folder of the bisection in a results folder that was
// started last.
func LastBisection(dir string) (string, error) {
	path, err := lastCampaign(dir, func(c *Campaign) bool { return c.Kind == KindBisect })
	if err == nil && path == "" {
		err = fmt.Errorf("no bisection in %s: name the folder of one", dir)
	}
	return path, err
}

// replayBisection replays a loaded campaign. change, when it is not nil, may
// change the record before the judge sees it.
func replayBisection(c *Campaign, runs []Run, change func(*BisectRecord)) (*Bisection, error) {
	if c.Kind != KindBisect {
		return nil, fmt.Errorf("%s is the folder of a %s, not of a bisection", c.Dir, cmp.Or(string(c.Kind), "verification"))
	}
	path := filepath.Join(c.Dir, bisectFile)
	data, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("record of the bisection: %w", err)
	}
	var record BisectRecord
	if err := json.Unmarshal(data, &record); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if change != nil {
		change(&record)
	}
	b, err := NewBisection(c, &record)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	b.Runs = runs
	path = filepath.Join(c.Dir, journalFile)
	data, err = readBounded(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	events, err := decodeJournal(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for _, e := range events {
		b.Apply(e)
	}
	// A harness that was killed between the end of a run and the journal's line.
	for _, r := range b.pending() {
		b.tell(r)
	}
	if len(b.unnamed) > 0 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("runs at commits outside the range left out: %s", strings.Join(b.unnamed, ", ")))
	}
	return b, nil
}

// decodeJournal reads the lines of a journal. A torn last line, which a crash
// leaves behind, is left out.
func decodeJournal(data []byte) ([]BisectEvent, error) {
	var events []BisectEvent
	number := 0
	for text := range strings.Lines(string(data)) {
		number++
		var e BisectEvent
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			if !strings.HasSuffix(text, "\n") {
				break
			}
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		events = append(events, e)
	}
	return events, nil
}

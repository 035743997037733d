package results

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"patchproof/results/judge"
)

// Names of the files of a campaign's folder.
const (
	campaignFile = "campaign.json"
	planFile     = "plan.yaml"
	eventsFile   = "run.jsonl"
	runFile      = "run.json"
)

// Store keeps campaigns below one folder.
type Store struct{ dir string }

// OpenStore returns the store in dir, which is made when it is not there.
func OpenStore(dir string) (*Store, error) {
	if dir == "" {
		return nil, errors.New("no folder given for the results: name one")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the results folder: %w; choose a folder that you may write to", err)
	}
	return &Store{dir: dir}, nil
}

// Dir is the folder of the store.
func (s *Store) Dir() string { return s.dir }

// Create makes the folder of a new campaign and writes campaign.json and
// plan.yaml. It sets Format, Started and ID of c when they are empty, and Dir.
func (s *Store) Create(c *Campaign) (*CampaignWriter, error) {
	c.Format = FormatVersion
	if c.Started.IsZero() {
		c.Started = time.Now()
	}
	if c.ID == "" {
		id, err := newID(c)
		if err != nil {
			return nil, err
		}
		c.ID = id
	}
	if !validID(c.ID) {
		return nil, fmt.Errorf("campaign id %q cannot be a folder's name: use letters, digits, '-', '_' and '.'", c.ID)
	}
	c.Dir = filepath.Join(s.dir, c.ID)
	if err := os.Mkdir(c.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of campaign %s: %w", c.ID, err)
	}
	w, err := newCampaignWriter(c.Dir)
	if err != nil {
		return nil, err
	}
	if err := writeAtomic(filepath.Join(c.Dir, planFile), c.Plan); err != nil {
		return nil, err
	}
	return w, w.Update(c)
}

// newID is the time of start and the workload, so that folders sort by time, and
// a random end, so that two campaigns started at once do not meet.
func newID(c *Campaign) (string, error) {
	var end [3]byte
	if _, err := rand.Read(end[:]); err != nil {
		return "", fmt.Errorf("campaign id: %w", err)
	}
	parts := []string{c.Started.UTC().Format("20060102T150405Z")}
	if slug := strings.Trim(unfit.ReplaceAllString(filepath.Base(c.Workload), "-"), "-."); c.Workload != "" && slug != "" {
		parts = append(parts, slug[:min(len(slug), 60)])
	}
	return strings.Join(append(parts, hex.EncodeToString(end[:])), "-"), nil
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

func validID(id string) bool {
	return id != "" && !unfit.MatchString(id) && !strings.HasPrefix(id, ".")
}

// Reopen continues a campaign that has ended or was broken off: new runs get
// the numbers after those that are there, readable or not. It returns the
// campaign and its runs as Load does.
func Reopen(dir string) (*CampaignWriter, *Campaign, []Run, error) {
	c, runs, err := Load(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	w, err := newCampaignWriter(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, r := range runs {
		w.index = max(w.index, r.Index)
	}
	for _, side := range allSides {
		entries, err := os.ReadDir(filepath.Join(dir, string(side)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil, fmt.Errorf("continue campaign %s: %w", dir, err)
		}
		for _, e := range entries {
			if n, err := strconv.Atoi(e.Name()); err == nil {
				w.next[side] = max(w.next[side], n)
			}
		}
	}
	return w, c, runs, nil
}

// CampaignWriter writes one campaign; safe for use by several goroutines.
type CampaignWriter struct {
	dir   string
	mu    sync.Mutex
	next  map[judge.Side]int // number of the side's last folder
	index int                // of the last run started
	hold  *os.File           // the lock that says that the campaign is running
}

func newCampaignWriter(dir string) (*CampaignWriter, error) {
	hold, err := holdFolder(dir)
	return &CampaignWriter{dir: dir, next: map[judge.Side]int{}, hold: hold}, err
}

// Dir is the campaign's folder.
func (w *CampaignWriter) Dir() string { return w.dir }

// Update rewrites campaign.json, with the decision for example.
func (w *CampaignWriter) Update(c *Campaign) error {
	return writeJSON(filepath.Join(w.dir, campaignFile), c)
}

// StartRun makes the folder of the next run of r.Side and records the start. It
// fills in ID, Index, Dir and, when it is zero, Started.
func (w *CampaignWriter) StartRun(r Run) (*RunWriter, error) {
	if !slices.Contains(allSides, r.Side) {
		return nil, fmt.Errorf("start a run: side %q is none of %v", r.Side, allSides)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	number := w.next[r.Side] + 1
	r.ID = fmt.Sprintf("%s-%03d", r.Side, number)
	r.Index = w.index + 1
	r.Dir = filepath.Join(w.dir, string(r.Side), fmt.Sprintf("%03d", number))
	if r.Started.IsZero() {
		r.Started = time.Now()
	}
	if err := os.MkdirAll(filepath.Dir(r.Dir), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of run %s: %w", r.ID, err)
	}
	if err := os.Mkdir(r.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of run %s: %w", r.ID, err)
	}
	rw, err := newRunWriter(r)
	if err != nil {
		return nil, err
	}
	w.next[r.Side], w.index = number, r.Index
	return rw, nil
}

// writeAtomic writes a file so that readers see all of it or what was there
// before, even after a crash.
func writeAtomic(path string, data []byte) error {
	return ReplaceFile(path, bytes.NewReader(data), true)
}

// ReplaceFile writes a file so that readers see all of it or what was there
// before; with durable also after a crash of the machine, which takes a wait for
// the disk.
func ReplaceFile(path string, content io.Reader, durable bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = io.Copy(f, content)
	err = errors.Join(err, f.Chmod(0o644))
	if durable {
		err = errors.Join(err, f.Sync())
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w; is there space left?", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

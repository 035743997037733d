package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"patchproof/results"
)

// settled is how long a file must have been left alone before its time of
// change says anything: clocks of file systems tick coarsely, and a second
// change within a tick would go unnoticed.
const settled = 2 * time.Second

// Refresh brings the index up to date with the folders.
func (x *Index) Refresh(ctx context.Context) error {
	return x.use(ctx, func(*sql.DB) error { return x.refresh(ctx) })
}

// Rebuild forgets everything and reads all folders.
func (x *Index) Rebuild(ctx context.Context) error {
	return x.use(ctx, func(*sql.DB) error {
		err := x.inTx(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM events; DELETE FROM runs; DELETE FROM campaigns; DELETE FROM problems; DELETE FROM folders`)
			return err
		})
		if err != nil {
			return err
		}
		return x.refresh(ctx)
	})
}

// known is what the index remembers of a folder's state.
type known struct{ stamp, open string }

func (x *Index) refresh(ctx context.Context) error {
	before, err := x.knownFolders(ctx)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(x.dir)
	if err != nil {
		return fmt.Errorf("results folder: %w", err)
	}
	for _, e := range entries {
		folder := e.Name()
		if !e.IsDir() || strings.HasPrefix(folder, ".") {
			continue
		}
		k, isKnown := before[folder]
		delete(before, folder)
		if isKnown && k.stamp != "" && k.stamp == x.stampOf(folder, k.open) {
			continue
		}
		if err := x.read(ctx, folder, isKnown); err != nil {
			return err
		}
	}
	for folder := range before {
		if err := x.inTx(ctx, func(tx *sql.Tx) error { return forget(ctx, tx, folder) }); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) knownFolders(ctx context.Context) (map[string]known, error) {
	out := map[string]known{}
	err := each(ctx, x.db, `SELECT folder, stamp, open FROM folders`, nil, func(row *sql.Rows) error {
		var folder string
		var k known
		err := row.Scan(&folder, &k.stamp, &k.open)
		out[folder] = k
		return err
	})
	return out, err
}

// read reads one campaign's folder into the index.
func (x *Index) read(ctx context.Context, folder string, isKnown bool) error {
	dir := filepath.Join(x.dir, folder)
	if !isKnown && !results.IsCampaign(dir) {
		return nil
	}
	s := newStamp()
	s.campaign(dir)
	c, err := results.LoadCampaign(dir)
	if errors.Is(err, fs.ErrNotExist) && results.Running(dir) {
		return nil // just being made
	}
	// All of it is one transaction: what another process forgets meanwhile must
	// not be taken for known.
	return x.inTx(ctx, func(tx *sql.Tx) error {
		if err != nil {
			return putUnreadable(ctx, tx, folder, s, err)
		}
		ended, err := endedRuns(ctx, tx, folder)
		if err != nil {
			return err
		}
		f, err := readRuns(ctx, dir, ended, s)
		if err != nil {
			return err
		}
		return f.put(ctx, tx, folder, c, s)
	})
}

// putUnreadable notes a campaign that cannot be read.
func putUnreadable(ctx context.Context, tx *sql.Tx, folder string, s *stamp, err error) error {
	if err := forget(ctx, tx, folder); err != nil {
		return err
	}
	if err := putFolder(ctx, tx, folder, s.text(), nil); err != nil {
		return err
	}
	return putProblem(ctx, tx, Problem{Campaign: folder, Reason: reason(err)})
}

// endedRuns returns the paths of a campaign's runs that need not be read again.
func endedRuns(ctx context.Context, tx *sql.Tx, folder string) (map[string]bool, error) {
	out := map[string]bool{}
	err := each(ctx, tx, `SELECT path FROM runs WHERE folder = ? AND ended`, []any{folder}, func(row *sql.Rows) error {
		var path string
		err := row.Scan(&path)
		out[path] = true
		return err
	})
	return out, err
}

// found is what the run folders of a campaign hold that the index does not know.
type found struct {
	paths    []string // all of them, known or not
	kept     map[string]bool
	runs     []runRow
	problems []Problem
	open     []string
}

// readRuns reads the runs that are not among ended. A folder that cannot be read
// is a problem and no error.
func readRuns(ctx context.Context, dir string, ended map[string]bool, s *stamp) (*found, error) {
	f := &found{kept: map[string]bool{}}
	paths, err := results.RunPaths(dir)
	if err != nil {
		f.problems = append(f.problems, Problem{Reason: reason(err)})
	}
	f.paths = paths
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if ended[path] {
			f.kept[path] = true
			continue
		}
		part := newStamp()
		part.run(dir, path)
		r, isEnded, warning, err := results.ReadRun(dir, path)
		if err != nil {
			f.problems = append(f.problems, Problem{Path: path, Reason: reason(err)})
		} else {
			f.runs = append(f.runs, rowOf(&r, path, isEnded))
			if warning != "" {
				f.problems = append(f.problems, Problem{Path: path, Reason: warning})
			}
		}
		if err != nil || !isEnded {
			f.open = append(f.open, path)
			s.add(part)
		}
	}
	return f, nil
}

// stampOf is the stamp of a folder as it is now; open are the runs that had no
// end, one a line.
func (x *Index) stampOf(folder, open string) string {
	s := newStamp()
	dir := filepath.Join(x.dir, folder)
	s.campaign(dir)
	if open != "" {
		for path := range strings.SplitSeq(open, "\n") {
			s.run(dir, path)
		}
	}
	return s.text()
}

// stamp notes sizes and times of change, so that a later change can be seen. A
// folder's time changes when a folder in it comes or goes.
type stamp struct {
	b      strings.Builder
	newest time.Time
	taken  time.Time
}

func newStamp() *stamp { return &stamp{taken: time.Now()} }

func (s *stamp) campaign(dir string) {
	s.file(filepath.Join(dir, "campaign.json"))
	for _, side := range results.Sides() {
		s.file(filepath.Join(dir, string(side)))
	}
}

func (s *stamp) run(dir, path string) {
	s.file(filepath.Join(dir, path, "run.jsonl"))
	s.file(filepath.Join(dir, path, "run.json"))
}

func (s *stamp) file(path string) {
	info, err := os.Stat(path)
	if err != nil {
		s.b.WriteString("- ")
		return
	}
	size := info.Size()
	if info.IsDir() {
		size = 0 // differs between file systems and says nothing
	}
	fmt.Fprintf(&s.b, "%d:%d ", info.ModTime().UnixNano(), size)
	s.note(info.ModTime())
}

func (s *stamp) note(t time.Time) {
	if t.After(s.newest) {
		s.newest = t
	}
}

func (s *stamp) add(part *stamp) {
	s.b.WriteString(part.b.String())
	s.note(part.newest)
}

// text is empty when something changed so short a time ago that a further change
// might not be seen.
func (s *stamp) text() string {
	if s.taken.Sub(s.newest) < settled {
		return ""
	}
	return s.b.String()
}

func reason(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

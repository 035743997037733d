package results

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"
)

// Merge puts the parts of a matrix, run as shards, together in a new campaign's
// folder, which must not exist; an empty out makes one in the store, named as
// the store names campaigns. The parts stay as they are. Cells and runs of the
// result are those of all parts, runs numbered anew in the order of their start.
// A part that is missing is named in the campaign's warnings.
func (s *Store) Merge(dirs []string, out string) (*Campaign, []Run, error) {
	parts := make([]mergePart, len(dirs))
	for i, dir := range dirs {
		c, runs, err := Load(dir)
		if err != nil {
			return nil, nil, fmt.Errorf("merge: %w", err)
		}
		parts[i] = mergePart{c, runs}
	}
	merged, err := mergeRecords(parts)
	if err != nil {
		return nil, nil, err
	}
	if out == "" {
		id, err := newID(merged)
		if err != nil {
			return nil, nil, err
		}
		out = filepath.Join(s.dir, id)
	}
	if err := writeMerged(merged, parts, out); err != nil {
		return nil, nil, fmt.Errorf("merge into %s: %w", out, err)
	}
	return Load(out)
}

// mergePart is a campaign to merge, with its runs.
type mergePart struct {
	*Campaign
	runs []Run
}

// mergeRecords makes the record of the whole from those of its parts.
func mergeRecords(parts []mergePart) (*Campaign, error) {
	if len(parts) == 0 {
		return nil, errors.New("merge: no campaigns to put together: name their folders")
	}
	for _, p := range parts {
		if p.Matrix == nil {
			return nil, fmt.Errorf("merge: %s holds no matrix", p.Dir)
		}
	}
	slices.SortStableFunc(parts, func(a, b mergePart) int {
		partA, _ := shardOf(a.Campaign)
		partB, _ := shardOf(b.Campaign)
		return cmp.Or(cmp.Compare(partA, partB), a.Started.Compare(b.Started))
	})
	first := parts[0]
	whole := *first.Campaign
	matrix := *first.Matrix
	matrix.Cells, matrix.Shard, matrix.Merged = nil, "", nil
	whole.ID, whole.Dir, whole.Warnings = "", "", nil
	whole.Matrix = &matrix
	var end time.Time
	from := map[string]string{}
	for _, p := range parts {
		if err := sameMatrix(first.Campaign, p.Campaign); err != nil {
			return nil, err
		}
		for _, c := range p.Matrix.Cells {
			if other, twice := from[c.Key]; twice {
				return nil, fmt.Errorf("merge: cell %q is both in campaign %s and in %s: name each shard once", c.Key, other, p.ID)
			}
			from[c.Key] = p.ID
			matrix.Cells = append(matrix.Cells, c)
		}
		matrix.Merged = append(matrix.Merged, p.ID)
		whole.Warnings = append(whole.Warnings, p.Warnings...)
		whole.Stopped, whole.Failed = cmp.Or(whole.Stopped, p.Stopped), cmp.Or(whole.Failed, p.Failed)
		if p.Started.Before(whole.Started) {
			whole.Started = p.Started
		}
		if e := p.Started.Add(time.Duration(p.ElapsedSeconds * float64(time.Second))); e.After(end) {
			end = e
		}
		if p.Host.Accel != whole.Host.Accel && p.Host.Accel != "" {
			whole.Warnings = append(whole.Warnings, fmt.Sprintf("campaign %s ran under %s and %s under %s: rates of their cells do not compare", first.ID, whole.Host.Accel, p.ID, p.Host.Accel))
		}
	}
	whole.ElapsedSeconds = end.Sub(whole.Started).Seconds()
	matrix.MissingShards = missingShards(parts)
	for _, shard := range matrix.MissingShards {
		whole.Warnings = append(whole.Warnings, fmt.Sprintf("shard %s is missing: its cells are not here", shard))
	}
	whole.Warnings = append(whole.Warnings, movedRefs(matrix.Cells)...)
	return &whole, nil
}

// sameMatrix refuses campaigns that are not parts of one whole.
func sameMatrix(a, b *Campaign) error {
	what := ""
	switch {
	case a.Matrix.Name != b.Matrix.Name:
		what = "matrix " + a.Matrix.Name + " and " + b.Matrix.Name
	case !bytes.Equal(a.Plan, b.Plan):
		what = "different plans"
	case !maps.Equal(a.Matrix.Variables, b.Matrix.Variables):
		what = "different variables"
	case !reflect.DeepEqual(a.Matrix.Axes, b.Matrix.Axes):
		what = "different axes"
	default:
		return nil
	}
	return fmt.Errorf("merge: campaigns %s and %s are of %s: only the shards of one matrix can be put together", a.ID, b.ID, what)
}

// shardOf reads "2/3"; a whole is 0 of 0.
func shardOf(c *Campaign) (part, parts int) {
	if _, err := fmt.Sscanf(c.Matrix.Shard, "%d/%d", &part, &parts); err != nil {
		return 0, 0
	}
	return part, parts
}

// movedRefs names the kernels whose moving ref was not the same commit in all
// parts: each looked it up for itself.
func movedRefs(cells []CellRecord) []string {
	first, told := map[string]string{}, map[string]bool{}
	var out []string
	for _, c := range cells {
		kernel := c.Values["kernel"]
		switch at, known := first[kernel]; {
		case c.Ref == "":
		case !known:
			first[kernel] = c.Commit
		case at != c.Commit && !told[kernel]:
			told[kernel] = true
			out = append(out, fmt.Sprintf("kernel %s: %s was %.12s in one shard and %.12s in another, so their cells are of different kernels", kernel, c.Ref, at, c.Commit))
		}
	}
	return out
}

// missingShards names the parts of the whole that are not there.
func missingShards(parts []mergePart) []string {
	_, all := shardOf(parts[0].Campaign)
	var wanted, missing []string
	for i := 1; i <= all; i++ {
		wanted = append(wanted, fmt.Sprintf("%d/%d", i, all))
	}
	for _, p := range parts {
		wanted = append(wanted, p.Matrix.MissingShards...)
	}
	for _, shard := range wanted {
		if !slices.ContainsFunc(parts, func(p mergePart) bool { return p.Matrix.Shard == shard }) {
			missing = append(missing, shard)
		}
	}
	return missing
}

// writeMerged writes the whole under another name and renames it when it is
// complete, so that nobody reads half a campaign.
func writeMerged(c *Campaign, parts []mergePart, out string) (err error) {
	c.ID = filepath.Base(out)
	if !validID(c.ID) {
		return fmt.Errorf("%q cannot be a campaign's folder: use letters, digits, '-', '_' and '.'", c.ID)
	}
	if _, err := os.Lstat(out); err == nil {
		return errors.New("there is something of that name: choose another")
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(out), ".merge-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	var runs []Run
	for _, p := range parts {
		runs = append(runs, p.runs...)
	}
	slices.SortStableFunc(runs, func(a, b Run) int { return a.Started.Compare(b.Started) })
	for i, r := range runs {
		if err := copyRun(r, tmp, i+1); err != nil {
			return fmt.Errorf("run folder %s: %w", r.Dir, err)
		}
	}
	if err := writeAtomic(filepath.Join(tmp, planFile), c.Plan); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(tmp, campaignFile), c); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, out)
}

// copyRun copies a run's folder under its new number. The number is in two of
// its files; everything else stays byte for byte.
func copyRun(r Run, campaign string, number int) error {
	from := r.Dir
	to := filepath.Join(campaign, string(Single), fmt.Sprintf("%03d", number))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	rename := func(r *Run) { r.ID, r.Index = fmt.Sprintf("%s-%03d", Single, number), number }
	eventsErr := renameEvents(filepath.Join(to, eventsFile), rename)
	path := filepath.Join(to, runFile)
	data, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return eventsErr // the run has no end
	}
	// Damaged events are no harm beside run.json: Load falls back on it.
	var final Run
	if err == nil {
		err = json.Unmarshal(data, &final)
	}
	if err != nil {
		return err
	}
	rename(&final)
	return writeJSON(path, final)
}

// renameEvents changes the event that began the run.
func renameEvents(path string, rename func(*Run)) error {
	data, err := readBounded(path)
	if err != nil {
		return err
	}
	first, rest, whole := bytes.Cut(data, []byte("\n"))
	var e event
	if err := json.Unmarshal(first, &e); err != nil || e.Started == nil || !whole {
		return fmt.Errorf("%s does not begin with the start of the run", eventsFile)
	}
	rename(e.Started)
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return writeAtomic(path, slices.Concat(line, []byte("\n"), rest))
}

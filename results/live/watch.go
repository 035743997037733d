package live

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"patchproof/results"
)

// watcher notices which campaigns of a results folder change. It polls: a
// folder on a network file system sends no notifications, and inotify has
// limits that many runs would meet. Runs that have ended are not looked at
// again.
type watcher struct {
	dir       string
	campaigns map[string]*watched
}

// watched is a campaign as it was seen last.
type watched struct {
	files   map[string]fileState // of the campaign's own files and folders
	open    map[string]fileState // of the runs that have not ended, by path
	ended   map[string]bool      // runs, by path
	running bool
}

// fileState tells whether a file has changed; it is zero for a missing one.
type fileState struct {
	size int64
	time time.Time
}

func stat(path ...string) fileState {
	info, err := os.Lstat(filepath.Join(path...))
	if err != nil {
		return fileState{}
	}
	return fileState{info.Size(), info.ModTime()}
}

func newWatcher(dir string) *watcher { return &watcher{dir: dir, campaigns: map[string]*watched{}} }

// scan returns the IDs of the campaigns that are new, have changed or are gone
// since the last scan, in order.
func (w *watcher) scan() ([]string, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, err
	}
	var changed []string
	there := map[string]bool{}
	for _, e := range entries {
		id := e.Name()
		if !e.IsDir() {
			continue
		}
		c := w.campaigns[id]
		if c == nil {
			if !results.IsCampaign(filepath.Join(w.dir, id)) {
				continue
			}
			c = &watched{ended: map[string]bool{}}
			w.campaigns[id] = c
		}
		there[id] = true
		if c.scan(filepath.Join(w.dir, id)) {
			changed = append(changed, id)
		}
	}
	for id := range w.campaigns {
		if !there[id] {
			delete(w.campaigns, id)
			changed = append(changed, id)
		}
	}
	slices.Sort(changed)
	return changed, nil
}

// scan reports whether a campaign has changed.
func (c *watched) scan(dir string) bool {
	files := map[string]fileState{}
	for _, name := range []string{"campaign.json", "bisect.jsonl", "pre", "post", "run"} {
		files[name] = stat(dir, name)
	}
	changed := false
	for name, now := range files {
		if c.files == nil || c.files[name] != now {
			changed = true
			if name == "pre" || name == "post" || name == "run" {
				c.open = nil // there are new runs
			}
		}
	}
	c.files = files
	if c.open == nil {
		c.list(dir)
	}
	for path, was := range c.open {
		now := runState(dir, path)
		if now == was {
			continue
		}
		changed = true
		c.open[path] = now
		if stat(dir, path, "run.json") != (fileState{}) {
			c.ended[path] = true
			delete(c.open, path)
		}
	}
	// A harness that is killed changes no file.
	if was := c.running; was || changed {
		c.running = results.Running(dir)
		changed = changed || was != c.running
	}
	return changed
}

// list finds the runs that have not ended.
func (c *watched) list(dir string) {
	c.open = map[string]fileState{}
	paths, err := results.RunPaths(dir)
	if err != nil {
		return // the campaign's page says so
	}
	for _, path := range paths {
		switch {
		case c.ended[path]:
		case stat(dir, path, "run.json") != (fileState{}):
			c.ended[path] = true
		default:
			c.open[path] = fileState{}
		}
	}
}

// runState is that of the two files that grow while a run is under way.
func runState(dir, path string) fileState {
	events, console := stat(dir, path, "run.jsonl"), stat(dir, path, "console.log")
	if events.time.Before(console.time) {
		events.time = console.time
	}
	return fileState{events.size + console.size, events.time}
}

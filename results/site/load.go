package site

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"patchproof/results"
)

// Names of files in a run's folder that this package looks at itself.
const (
	consoleName = "console.log"
	eventsName  = "run.jsonl"
	// baseLogName is the log of the saved machine that a run went on from.
	baseLogName = "console-base.log"
)

// campaign is a campaign as the pages need it.
type campaign struct {
	results.Campaign
	// ID is the name of the folder, which the record's ID need not be.
	ID string
	// Runs are in the order of their start, without what only their own pages
	// show: the text of reports, traces, the output of phases.
	Runs []results.Run
	// Open holds the IDs of the runs whose record has no end.
	Open map[string]bool
	// Running says that a process is writing to the campaign.
	Running bool
	// Problems names run folders that could not be read, and why.
	Problems []string
}

// inFlight reports whether a run is under way.
func (c *campaign) inFlight(r *results.Run) bool { return c.Running && c.Open[r.ID] }

// stamp tells whether a file has changed.
type stamp struct {
	size int64
	time time.Time
}

// stampOf returns the zero stamp for a file that is not there.
func stampOf(path string) stamp {
	info, err := os.Lstat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime()}
}

func (s stamp) String() string { return fmt.Sprintf("%d@%d", s.size, s.time.UnixNano()) }

// cacheRuns bounds the runs that the cache holds; without their texts they
// take a few KiB each.
const cacheRuns = 20000

// cache holds what was read of campaigns, so that a page of a campaign with
// many runs reads only those that have changed.
type cache struct {
	mu        sync.Mutex
	campaigns map[string]*cachedCampaign
	clock     int // counts uses
}

type cachedCampaign struct {
	stamp    stamp
	campaign *results.Campaign
	runs     map[string]cachedRun // by path, such as "pre/001"
	used     int
}

type cachedRun struct {
	stamp   stamp
	run     results.Run
	ended   bool
	problem string
}

func newCache() *cache { return &cache{campaigns: map[string]*cachedCampaign{}} }

// load reads a campaign's folder, or what has changed in it.
func (s *Site) load(id string) (*campaign, error) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	dir := filepath.Join(s.dir, id)
	cc, err := s.cache.get(dir, id)
	if err != nil {
		return nil, err
	}
	paths, err := results.RunPaths(dir)
	if err != nil {
		return nil, err
	}
	c := &campaign{Campaign: *cc.campaign, ID: id, Open: map[string]bool{}, Running: results.Running(dir)}
	fresh := make(map[string]cachedRun, len(paths))
	for _, path := range paths {
		fresh[path] = cc.run(dir, path)
		c.add(fresh[path])
	}
	cc.runs = fresh
	slices.SortStableFunc(c.Runs, func(a, b results.Run) int { return cmp.Compare(a.Index, b.Index) })
	s.cache.shrink(id)
	return c, nil
}

// record reads what a campaign's folder says of the campaign, without its runs.
func (s *Site) record(id string) (*results.Campaign, error) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	cc, err := s.cache.get(filepath.Join(s.dir, id), id)
	if err != nil {
		return nil, err
	}
	return cc.campaign, nil
}

// get returns a campaign of the cache with its record up to date.
func (k *cache) get(dir, id string) (*cachedCampaign, error) {
	if !results.IsCampaign(dir) {
		return nil, notFound(id)
	}
	cc := k.campaigns[id]
	if cc == nil {
		cc = &cachedCampaign{}
	}
	if now := stampOf(filepath.Join(dir, "campaign.json")); cc.campaign == nil || cc.stamp != now {
		c, err := results.LoadCampaign(dir)
		if err != nil {
			return nil, err
		}
		cc.stamp, cc.campaign = now, c
	}
	k.clock++
	k.campaigns[id], cc.used = cc, k.clock
	return cc, nil
}

// shrink forgets the campaigns that were not used for longest, but not keep.
func (k *cache) shrink(keep string) {
	total := 0
	for _, cc := range k.campaigns {
		total += len(cc.runs)
	}
	for total > cacheRuns && len(k.campaigns) > 1 {
		oldest := ""
		for id, cc := range k.campaigns {
			if id != keep && (oldest == "" || cc.used < k.campaigns[oldest].used) {
				oldest = id
			}
		}
		total -= len(k.campaigns[oldest].runs)
		delete(k.campaigns, oldest)
	}
}

func (cc *cachedCampaign) run(dir, path string) cachedRun {
	now := stampOf(filepath.Join(dir, path, eventsName))
	if known, ok := cc.runs[path]; ok && known.stamp == now {
		return known
	}
	r, ended, warning, err := results.ReadRun(dir, path)
	if err != nil {
		return cachedRun{stamp: now, problem: fmt.Sprintf("run folder %s skipped: %v", path, err)}
	}
	r.ID = runID(path)
	strip(&r)
	out := cachedRun{stamp: now, run: r, ended: ended}
	if warning != "" {
		out.problem = fmt.Sprintf("run folder %s: %s", path, warning)
	}
	return out
}

func (c *campaign) add(r cachedRun) {
	if r.problem != "" {
		c.Problems = append(c.Problems, r.problem)
	}
	if r.run.ID == "" {
		return
	}
	c.Runs = append(c.Runs, r.run)
	if !r.ended {
		c.Open[r.run.ID] = true
	}
}

// runID is the ID of the run in a folder such as "pre/001".
func runID(path string) string { return strings.ReplaceAll(filepath.ToSlash(path), "/", "-") }

// runPath is the inverse of runID.
func runPath(id string) string { return strings.Replace(id, "-", "/", 1) }

func strip(r *results.Run) {
	r.Command, r.Kernel.Provenance = nil, nil
	for i := range r.Phases {
		r.Phases[i].Stdout, r.Phases[i].Stderr = "", ""
	}
	for i := range r.Reports {
		r.Reports[i].Text, r.Reports[i].Trace = "", nil
	}
}

// logFiles are the names of a run's console logs, with what the site appends to
// the run's ID for each.
var logFiles = map[string]string{consoleName: logSuffix, baseLogName: baseLogSuffix}

// hasLog reports whether a run has the console log of that name.
func hasLog(dir, name string) bool {
	info, err := os.Lstat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular()
}

package site

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"patchproof/results"
	"patchproof/results/index"
)

// Written says what Write did.
type Written struct {
	// Index is the path of the first page.
	Index string `json:"index"`
	// Pages is the number of files of the site, Changed of those that were
	// written because they were new or had changed.
	Pages   int `json:"pages"`
	Changed int `json:"changed"`
	// Problems names campaigns that could not be written, and why.
	Problems []string `json:"problems"`
}

// manifestName is the file that says what a site's folder holds. Its presence
// is also what allows Write to change the folder.
const manifestName = ".patchproof-site.json"

// manifest remembers of every campaign what its pages were made from.
type manifest struct {
	// Generator is a digest of templates and assets.
	Generator string                    `json:"generator"`
	Campaigns map[string]campaignRecord `json:"campaigns"`
	Listed    int                       `json:"listed"` // pages of the index
}

type campaignRecord struct {
	Stamp string `json:"stamp"`
	// Files are the names of the campaign's files. Those of runs have the stamp
	// of what they were made from, others none.
	Files map[string]string `json:"files"`
}

// ErrForeign says that a folder holds something else than a site, or is none.
var ErrForeign = errors.New("it is not empty and holds no site of patchproof")

// Write writes the site of a results folder into the folder out, which is made
// when it is not there. Only what has changed is drawn and written again, and
// pages of campaigns that are gone are removed. A folder that holds something
// else is refused with ErrForeign.
func Write(ctx context.Context, dir, out string, o Options) (w Written, err error) {
	o.Live = false
	s, err := Open(ctx, dir, o)
	if err != nil {
		return Written{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := Check(out); err != nil {
		return Written{}, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return Written{}, fmt.Errorf("make the site's folder: %w", err)
	}
	sw := &siteWriter{Site: s, out: out}
	if err := sw.begin(); err != nil {
		return Written{}, err
	}
	if err := sw.write(ctx); err != nil {
		return Written{}, err
	}
	sw.done.Index = filepath.Join(out, indexName)
	return sw.done, nil
}

// Check says whether Write would refuse the folder out with ErrForeign. It
// changes nothing.
func Check(out string) error {
	info, err := os.Stat(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("site's folder: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s: %w: it is a file, name a folder", out, ErrForeign)
	}
	if _, err := os.Stat(filepath.Join(out, manifestName)); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		return fmt.Errorf("site's folder: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s: %w: choose another one", out, ErrForeign)
	}
	return nil
}

// siteWriter writes a site into a folder.
type siteWriter struct {
	*Site
	out      string
	old, now manifest
	done     Written
}

// begin reads the manifest of what is there.
func (w *siteWriter) begin() error {
	w.now = manifest{Generator: generator(w.o), Campaigns: map[string]campaignRecord{}}
	path := filepath.Join(w.out, manifestName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return w.end() // so that a Write that is broken off can be done again
	}
	if err != nil {
		return fmt.Errorf("site's folder: %w", err)
	}
	// A manifest that cannot be read costs time only: all pages are compared.
	if err := json.Unmarshal(data, &w.old); err != nil {
		w.old = manifest{}
	}
	return nil
}

// generator is a digest of all that pages depend on besides their campaign.
func generator(o Options) string {
	h := sha256.New()
	fmt.Fprintln(h, o.Version)
	err := fs.WalkDir(embedded, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := embedded.ReadFile(path)
		h.Write(data)
		return err
	})
	if err != nil {
		return "" // embedded files can be read
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

func (w *siteWriter) write(ctx context.Context) error {
	all, err := w.all(ctx)
	if err != nil {
		return err
	}
	nights := map[string]string{} // stamp of a matrix's last night so far
	for _, c := range slices.Backward(all) {
		stamp := w.stamp(c.ID, w.now.Generator)
		if c.Name != "" {
			// The pages of a night tell of those before it.
			stamp = digest(stamp, nights[c.Name])
			nights[c.Name] = stamp
		}
		if err := w.campaign(ctx, c.ID, stamp); err != nil {
			return err
		}
	}
	for _, name := range []string{"style.css", "site.js"} {
		if err := w.page(ctx, name, "", nil); err != nil {
			return err
		}
	}
	w.now.Listed = max(1, (len(all)+indexRows-1)/indexRows)
	for number := range w.now.Listed {
		if err := w.page(ctx, laterFile(number+1), "", nil); err != nil {
			return err
		}
	}
	if err := w.removeOld(); err != nil {
		return err
	}
	return w.end()
}

// end writes the manifest.
func (w *siteWriter) end() error {
	data, err := json.Marshal(w.now)
	if err != nil {
		return fmt.Errorf("manifest of the site: %w", err)
	}
	return results.ReplaceFile(filepath.Join(w.out, manifestName), bytes.NewReader(data), false)
}

// all lists the site's campaigns, newest first.
func (w *siteWriter) all(ctx context.Context) ([]index.Campaign, error) {
	list, err := w.index.Campaigns(ctx, index.Filter{})
	return slices.DeleteFunc(list, func(c index.Campaign) bool { return !w.shows(c.ID) }), err
}

// stamp is a digest of the times and sizes of all that a campaign's pages are
// made from.
func (w *siteWriter) stamp(id, generator string) string {
	dir := filepath.Join(w.dir, id)
	parts := []string{generator, fmt.Sprint(results.Running(dir))}
	for _, name := range []string{"campaign.json", "plan.yaml", "bisect.json", "bisect.jsonl"} {
		parts = append(parts, stampOf(filepath.Join(dir, name)).String())
	}
	paths, err := results.RunPaths(dir)
	if err != nil {
		parts = append(parts, err.Error()) // the pages will say more
	}
	for _, path := range paths {
		parts = append(parts, path, runStamp(dir, path))
	}
	return digest(parts...)
}

func runStamp(dir, path string) string {
	return stampOf(filepath.Join(dir, path, eventsName)).String() + " " + stampOf(filepath.Join(dir, path, consoleName)).String()
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// campaign writes the pages of a campaign, if anything of it has changed. That
// one cannot be read does not keep the others from being written.
func (w *siteWriter) campaign(ctx context.Context, id, stamp string) error {
	old := w.old.Campaigns[id]
	if old.Stamp == stamp && exists(filepath.Join(w.out, "c", id, indexName)) {
		w.now.Campaigns[id] = old
		w.done.Pages += len(old.Files)
		return nil
	}
	c, err := w.load(id)
	if err != nil {
		return w.problem(ctx, id, err)
	}
	if err := os.MkdirAll(filepath.Join(w.out, "c", id), 0o755); err != nil {
		return fmt.Errorf("site's folder: %w", err)
	}
	record := campaignRecord{Stamp: stamp, Files: map[string]string{}}
	for _, name := range w.names(c) {
		if err := w.page(ctx, "c/"+id+"/"+name, "", record.Files); err != nil {
			return w.problem(ctx, id, err)
		}
	}
	if err := w.runs(ctx, c, record.Files); err != nil {
		return w.problem(ctx, id, err)
	}
	w.now.Campaigns[id] = record
	return ctx.Err()
}

// problem notes that a campaign has no pages.
func (w *siteWriter) problem(ctx context.Context, id string, err error) error {
	if ctx.Err() != nil || errors.Is(err, errWrite) {
		return err
	}
	w.done.Problems = append(w.done.Problems, fmt.Sprintf("campaign %s: %v", id, err))
	return nil
}

// names lists the files of a campaign but those of its runs.
func (w *siteWriter) names(c *campaign) []string {
	names := []string{indexName}
	if len(c.Plan) > 0 {
		names = append(names, planName)
	}
	for _, id := range c.kernelIDs() {
		if w.hasConfig(id) {
			names = append(names, configFile(id))
		}
	}
	if c.Matrix != nil {
		for _, cell := range c.Matrix.Cells {
			names = append(names, cellFile(cell.Key))
		}
	}
	return names
}

// runs writes the pages and logs of a campaign's runs.
func (w *siteWriter) runs(ctx context.Context, c *campaign, files map[string]string) error {
	dir := filepath.Join(w.dir, c.ID)
	shared := digest(w.now.Generator, c.runContext())
	for _, r := range c.Runs {
		path := runPath(r.ID)
		older, newer := neighbours(dir, path)
		stamp := digest(shared, older.Href, newer.Href, runStamp(dir, path), fmt.Sprint(c.inFlight(&r), w.hasConfig(r.Kernel.ID)))
		if err := w.page(ctx, "c/"+c.ID+"/"+r.ID+".html", stamp, files); err != nil {
			return err
		}
		for name, suffix := range logFiles {
			if !hasLog(r.Dir, name) {
				continue
			}
			if err := w.page(ctx, "c/"+c.ID+"/"+r.ID+suffix, stamp, files); err != nil {
				return err
			}
		}
	}
	return nil
}

// runContext is what the pages of runs take from their campaign.
func (c *campaign) runContext() string {
	parts := append([]string{c.title(), c.Workload, string(c.Plan)}, c.Command...)
	for _, command := range c.commands() {
		parts = append(parts, command.Line)
	}
	if c.Matrix != nil {
		for _, command := range c.cellCommand("key") {
			parts = append(parts, command.Line)
		}
	}
	return digest(parts...)
}

// errWrite marks errors of the folder that is written to, which end the work.
var errWrite = errors.New("cannot write the site")

// page writes one file of the site. With a stamp, the file is not even drawn
// when it was made from the same. files notes what is written.
func (w *siteWriter) page(ctx context.Context, name, stamp string, files map[string]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.done.Pages++
	id, base := filepath.Base(filepath.Dir(name)), filepath.Base(name)
	path := filepath.Join(w.out, filepath.FromSlash(name))
	if files != nil {
		files[base] = stamp
		if stamp != "" && w.old.Campaigns[id].Files[base] == stamp && exists(path) {
			return nil
		}
	}
	f, err := w.Render(ctx, name)
	if err != nil {
		return err
	}
	changed, err := put(path, f)
	if err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	if changed {
		w.done.Changed++
	}
	return nil
}

// removeOld removes the files that an earlier Write made and that the site no
// longer has.
func (w *siteWriter) removeOld() error {
	root, err := os.OpenRoot(w.out)
	if err != nil {
		return fmt.Errorf("site's folder: %w", err)
	}
	defer root.Close()
	var gone []string
	for id, record := range w.old.Campaigns {
		for name := range record.Files {
			if _, ok := w.now.Campaigns[id].Files[name]; !ok {
				gone = append(gone, "c/"+id+"/"+name)
			}
		}
		if _, ok := w.now.Campaigns[id]; !ok {
			gone = append(gone, "c/"+id) // after its files
		}
	}
	for number := w.now.Listed + 1; number <= min(w.old.Listed, w.now.Listed+1000); number++ {
		gone = append(gone, laterFile(number))
	}
	for _, name := range gone {
		// What a user put into a campaign's folder keeps the folder there.
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return fmt.Errorf("remove an old page: %w", err)
		}
	}
	return nil
}

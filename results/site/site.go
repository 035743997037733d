package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"patchproof/results/index"
)

// Options of a site. The zero value is a site of all campaigns.
type Options struct {
	// Version is patchproof's; it stands at the foot of every page.
	Version string
	// Campaigns are the campaigns to show, as index.Find takes them; none means
	// all.
	Campaigns []string
	// Config returns the path of the full configuration of a kernel of the
	// cache, "" when it is not there any more. Nil: never there.
	Config func(kernelID string) string
	// Live makes pages that follow the server's events.
	Live bool
}

// Site draws the pages of a results folder. It is safe for use by several
// goroutines.
type Site struct {
	dir    string
	o      Options
	index  *index.Index
	chosen map[string]bool // nil: all
	cache  *cache
}

// Open opens the results folder dir and its index.
func Open(ctx context.Context, dir string, o Options) (*Site, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("results folder: %w", err)
	}
	idx, err := index.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	s := &Site{dir: dir, o: o, index: idx, cache: newCache()}
	for _, ref := range o.Campaigns {
		c, err := idx.Find(ctx, ref)
		if err != nil {
			return nil, errors.Join(err, idx.Close())
		}
		if s.chosen == nil {
			s.chosen = map[string]bool{}
		}
		s.chosen[c.ID] = true
	}
	return s, nil
}

// Close closes the index.
func (s *Site) Close() error { return s.index.Close() }

// Refresh brings the index up to date with the folders.
func (s *Site) Refresh(ctx context.Context) error { return s.index.Refresh(ctx) }

// shows reports whether the site has pages for a campaign.
func (s *Site) shows(id string) bool { return s.chosen == nil || s.chosen[id] }

// File is one file of the site.
type File struct {
	// Type is the media type.
	Type string
	// Body is the file's content, unless Source is set.
	Body []byte
	// Source is the path of a file whose content, byte for byte, is the file's.
	Source string
}

// Media types of the site's files.
const (
	typeHTML   = "text/html; charset=utf-8"
	typeText   = "text/plain; charset=utf-8"
	typeStyle  = "text/css; charset=utf-8"
	typeScript = "text/javascript; charset=utf-8"
)

const (
	indexName = "index.html"
	logSuffix = ".console.txt"
	// baseLogSuffix is that of the log of a saved machine.
	baseLogSuffix = ".console-base.txt"
	planName      = "plan.txt"
	configTail    = ".config.txt"
)

var (
	campaignID  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	runFileName = regexp.MustCompile(`^(pre|post|run)-([0-9]+)(\.html|\.console\.txt|\.console-base\.txt)$`)
	cellName    = regexp.MustCompile(`^cell-[0-9a-f]{12}\.html$`)
	kernelName  = regexp.MustCompile(`^kernel-([0-9a-f]{8,64})\.config\.txt$`)
	laterName   = regexp.MustCompile(`^campaigns-([0-9]{1,6})\.html$`)
)

// Render draws the file that has a name within the site, such as "index.html"
// or "c/CAMPAIGN/run-001.html". A name that the site does not have gives an
// error that wraps fs.ErrNotExist.
func (s *Site) Render(ctx context.Context, name string) (File, error) {
	if f, ok := asset(name); ok {
		return f, nil
	}
	if name == indexName {
		return s.indexPage(ctx, 1)
	}
	if m := laterName.FindStringSubmatch(name); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil || n < 2 {
			return File{}, notFound(name)
		}
		return s.indexPage(ctx, n)
	}
	rest, ok := strings.CutPrefix(name, "c/")
	id, file, found := strings.Cut(rest, "/")
	if !ok || !found || !campaignID.MatchString(id) || !s.shows(id) {
		return File{}, notFound(name)
	}
	return s.campaignFile(ctx, id, file)
}

func (s *Site) campaignFile(ctx context.Context, id, name string) (File, error) {
	if m := runFileName.FindStringSubmatch(name); m != nil {
		switch path := m[1] + "/" + m[2]; m[3] {
		case logSuffix:
			return s.logFile(id, path, consoleName)
		case baseLogSuffix:
			return s.logFile(id, path, baseLogName)
		default:
			return s.runPage(id, path)
		}
	}
	if m := kernelName.FindStringSubmatch(name); m != nil {
		if path := s.config(m[1]); path != "" {
			return File{Type: typeText, Source: path}, nil
		}
		return File{}, notFound(name)
	}
	c, err := s.load(id)
	if err != nil {
		return File{}, err
	}
	switch {
	case name == indexName && c.Matrix != nil:
		return s.matrixPage(ctx, c)
	case name == indexName:
		return s.campaignPage(c)
	case name == planName && len(c.Plan) > 0:
		return File{Type: typeText, Body: c.Plan}, nil
	case cellName.MatchString(name):
		return s.cellPage(ctx, c, name)
	}
	return File{}, notFound(name)
}

// logFile is a console log of a run, as it came from the guest.
func (s *Site) logFile(id, path, name string) (File, error) {
	source := filepath.Join(s.dir, id, path, name)
	f, _, err := openLog(source)
	if err != nil {
		return File{}, err
	}
	if f == nil {
		return File{}, notFound(source)
	}
	return File{Type: typeText, Source: source}, f.Close()
}

// config is the path of a kernel's configuration, or "".
func (s *Site) config(kernelID string) string {
	if s.o.Config == nil || kernelID == "" {
		return ""
	}
	return s.o.Config(kernelID)
}

func notFound(name string) error {
	return fmt.Errorf("no page %s: %w", name, fs.ErrNotExist)
}

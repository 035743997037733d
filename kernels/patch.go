package kernels

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// patchFile is one file of a series, read and parsed.
type patchFile struct {
	path   string
	sha256 string
	diffs  []diff
}

// diff is one patch of a patch file: a mail with a diff in it, or the file.
type diff struct {
	subject string
	text    []byte // what git apply gets
	files   []fileChange
}

// fileChange is one file of a diff.
type fileChange struct {
	old, new string // equal unless renamed or copied; "" for none
	hunks    []*gitdiff.TextFragment
	binary   bool
}

// errNoDiff says that a patch file has no diff in it.
var errNoDiff = errors.New("contains no diff: give a file made by git diff, git format-patch or b4 am")

// readPatch reads a patch file, whichever form it has.
func readPatch(name string) (*patchFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("patch %s: %w", name, bareError(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPatchBytes+1))
	if err != nil {
		return nil, fmt.Errorf("patch %s: %w", name, bareError(err))
	}
	if len(data) > maxPatchBytes {
		return nil, fmt.Errorf("patch %s is larger than %s: is it a patch?", name, formatBytes(maxPatchBytes))
	}
	diffs, err := parsePatch(data)
	if err != nil {
		return nil, fmt.Errorf("patch %s %w", name, err)
	}
	return &patchFile{path: name, sha256: hashBytes(data), diffs: diffs}, nil
}

// parsePatch finds the diffs in the content of a patch file.
func parsePatch(data []byte) ([]diff, error) {
	letters, err := splitLetters(data)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	var diffs []diff
	for _, l := range letters {
		files, _, err := gitdiff.Parse(bytes.NewReader(l.body))
		if err != nil {
			if l.subject != "" {
				return nil, fmt.Errorf("cannot be read: mail %q: %w", l.subject, err)
			}
			return nil, fmt.Errorf("cannot be read: %w", err)
		}
		if len(files) == 0 {
			continue // a cover letter
		}
		changes, err := fileChanges(files, l.body)
		if err != nil {
			return nil, err
		}
		diffs = append(diffs, diff{subject: l.subject, text: l.body, files: changes})
	}
	if len(diffs) == 0 {
		return nil, errNoDiff
	}
	return diffs, nil
}

// fileChanges lists the files of one diff by their names in the tree.
func fileChanges(files []*gitdiff.File, text []byte) ([]fileChange, error) {
	headers := bytes.Count(append([]byte("\n"), text...), []byte("\ndiff --git "))
	var out []fileChange
	for _, f := range files {
		c := fileChange{old: f.OldName, new: f.NewName, hunks: f.TextFragments, binary: f.IsBinary}
		// The parser strips a/ and b/ only from names in git's own headers. A
		// text with fewer of those than files has some of diff -u's.
		if headers == 0 || headers < len(files) && hasPrefixFolder(c) {
			c.old, c.new = stripFolder(c.old), stripFolder(c.new)
		}
		for _, name := range []string{c.old, c.new} {
			if name != "" && !safeName(name) {
				return nil, fmt.Errorf("names a file outside the tree: %q", name)
			}
		}
		if c.old == "" && c.new == "" {
			return nil, errors.New("has a diff without a file name")
		}
		out = append(out, c)
	}
	return out, nil
}

func hasPrefixFolder(c fileChange) bool {
	for _, name := range []string{c.old, c.new} {
		if strings.HasPrefix(name, "a/") || strings.HasPrefix(name, "b/") {
			return true
		}
	}
	return false
}

// stripFolder drops the first part of a path, as patch -p1 does.
func stripFolder(name string) string {
	if _, rest, ok := strings.Cut(name, "/"); ok {
		return rest
	}
	return name
}

// safeName accepts clean relative paths that stay below the tree and outside
// of git's own folder.
func safeName(name string) bool {
	if name != path.Clean(name) || path.IsAbs(name) || strings.ContainsAny(name, "\x00\n") {
		return false
	}
	first, _, _ := strings.Cut(name, "/")
	return first != ".." && first != "." && !strings.EqualFold(first, ".git")
}

// touched lists the files that the patch changes, sorted and without repeats.
func (p *patchFile) touched() []string {
	var out []string
	for _, d := range p.diffs {
		out = append(out, d.touched()...)
	}
	sort.Strings(out)
	return slices.Compact(out)
}

func (d *diff) touched() []string {
	var out []string
	for _, c := range d.files {
		for _, name := range []string{c.old, c.new} {
			if name != "" {
				out = append(out, name)
			}
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}

// info is what an image's provenance keeps of the patch.
func (p *patchFile) info() PatchInfo {
	i := PatchInfo{Path: p.path, SHA256: p.sha256, Files: p.touched()}
	for _, d := range p.diffs {
		if d.subject != "" {
			i.Subjects = append(i.Subjects, d.subject)
		}
	}
	return i
}

// readSeries reads the patch files of a series.
func readSeries(paths []string) ([]*patchFile, error) {
	var series []*patchFile
	for _, name := range paths {
		p, err := readPatch(name)
		if err != nil {
			return nil, err
		}
		series = append(series, p)
	}
	return series, nil
}

// PatchFiles lists the files that a series of patch files touches, both names
// of a renamed one, sorted and without repeats. No tree is needed.
func PatchFiles(paths []string) ([]string, error) {
	series, err := readSeries(paths)
	if err != nil {
		return nil, err
	}
	return seriesFiles(series), nil
}

func seriesFiles(series []*patchFile) []string {
	var out []string
	for _, p := range series {
		out = append(out, p.touched()...)
	}
	sort.Strings(out)
	return slices.Compact(out)
}

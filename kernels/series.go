package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sourceFile is a file of a source tree; absent means that there is none.
type sourceFile struct {
	data   []byte
	exec   bool
	absent bool
}

func (f sourceFile) equal(g sourceFile) bool {
	if f.absent || g.absent {
		return f.absent == g.absent
	}
	return f.exec == g.exec && bytes.Equal(f.data, g.data)
}

func (f sourceFile) mode() fs.FileMode {
	if f.exec {
		return 0o755
	}
	return 0o644
}

// fileSet holds the files in which a variant of a tree differs from its base.
// It is all that tells variants apart: whatever a variant needs, patched files
// today and files of our own tomorrow, is an entry here before the tree is
// switched.
type fileSet map[string]sourceFile

// absentFirst orders files for writing: those that go come before the others.
func (s fileSet) absentFirst(a, b string) int {
	if s[a].absent != s[b].absent {
		if s[a].absent {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

// originals gives the content that a file has in the tree before any patch.
type originals interface {
	original(ctx context.Context, name string) (sourceFile, error)
}

// PatchError says that a patch does not apply to a tree.
type PatchError struct {
	Patch   string // path of the patch file
	Subject string // of the mail in it, when it is one
	Tree    string // what it was applied to
	Before  int    // how many patches of the series were applied before it
	File    string
	Hunk    int // counted from 1; 0 when the file as a whole does not fit
	Hunks   int
	Header  string // "@@ -1,2 +3,4 @@ function" of the hunk
	Reason  string
}

func (e *PatchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "patch %s", e.Patch)
	if e.Subject != "" {
		fmt.Fprintf(&b, " (%s)", e.Subject)
	}
	fmt.Fprintf(&b, " does not apply to %s", e.Tree)
	switch {
	case e.Before == 1:
		b.WriteString(" after 1 earlier patch")
	case e.Before > 1:
		fmt.Fprintf(&b, " after %d earlier patches", e.Before)
	}
	if e.File != "" {
		fmt.Fprintf(&b, ": %s", e.File)
	}
	if e.Hunk > 0 {
		fmt.Fprintf(&b, " hunk %d of %d (%s)", e.Hunk, e.Hunks, e.Header)
	}
	fmt.Fprintf(&b, ": %s", e.Reason)
	return b.String()
}

// renderSeries computes what the touched files look like with the series
// applied. It works in a scratch folder, so that a patch that does not apply
// leaves the tree as it is, and so that only files whose content differs from
// the tree's present variant need to be written.
func (s *Store) renderSeries(ctx context.Context, base originals, treeName string, series []*patchFile) (fileSet, error) {
	files := seriesFiles(series)
	if len(files) == 0 {
		return fileSet{}, nil
	}
	scratch, err := os.MkdirTemp(s.path(tmpDir), "patch-*")
	if err != nil {
		return nil, fmt.Errorf("kernel cache: %w", err)
	}
	defer os.RemoveAll(scratch)
	for _, name := range files {
		f, err := base.original(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("%s in %s: %w", name, treeName, err)
		}
		if err := putFile(scratch, name, f, false); err != nil {
			return nil, err
		}
	}
	applied := 0
	for _, p := range series {
		for i := range p.diffs {
			d := &p.diffs[i]
			if err := applyDiff(ctx, scratch, d); err != nil {
				var pe *PatchError
				if errors.As(err, &pe) {
					pe.Patch, pe.Subject, pe.Tree, pe.Before = p.path, d.subject, treeName, applied
				}
				return nil, err
			}
		}
		applied++
	}
	out := fileSet{}
	for _, name := range files {
		if out[name], err = getFile(scratch, name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// applyDiff applies one diff in dir with git apply, which finds a hunk by its
// context wherever it has moved, but allows no difference in the context.
func applyDiff(ctx context.Context, dir string, d *diff) error {
	before := fileSet{}
	for _, name := range d.touched() {
		f, err := getFile(dir, name)
		if err != nil {
			return err
		}
		before[name] = f
	}
	_, err := gitApply(ctx, dir, d.text)
	var te *toolError
	if errors.As(err, &te) {
		_, rev := gitApply(ctx, dir, d.text, "--reverse", "--check")
		return explainApply(d, before, te.stderr, rev == nil)
	}
	if err != nil {
		return err
	}
	// git apply has been seen to skip every file and to succeed when it takes
	// the folder for a part of some repository, so the effect is checked.
	for _, c := range d.files {
		if len(c.hunks) == 0 {
			continue
		}
		name := c.new
		if name == "" {
			name = c.old
		}
		f, err := getFile(dir, name)
		if err != nil {
			return err
		}
		if f.equal(before[name]) {
			return &PatchError{File: name, Reason: "git apply reported success but did not change the file"}
		}
	}
	return nil
}

func gitApply(ctx context.Context, dir string, text []byte, options ...string) ([]byte, error) {
	return command{
		name: "git",
		args: append([]string{"apply", "-p1", "--whitespace=nowarn"}, append(options, "-")...),
		dir:  dir,
		// The folder must not be taken for a part of a repository above it.
		env:   append(privateGit(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir)),
		stdin: bytes.NewReader(text),
	}.output(ctx)
}

var (
	applyFailed  = regexp.MustCompile(`(?m)^error: patch failed: (.+):(\d+)$`)
	applyMissing = regexp.MustCompile(`(?m)^error: (.+): No such file or directory$`)
	applyExists  = regexp.MustCompile(`(?m)^error: (.+): already exists in working directory$`)
	applyCorrupt = regexp.MustCompile(`(?m)^error: (corrupt patch at line \d+|.*patch fragment without header.*)$`)
)

// explainApply turns git apply's messages into an error that names the hunk.
func explainApply(d *diff, before fileSet, stderr string, reverses bool) *PatchError {
	e := &PatchError{Reason: "git apply: " + firstLine(stderr)}
	if reverses {
		e.Reason = "the tree has this change already"
	}
	if m := applyFailed.FindStringSubmatch(stderr); m != nil {
		e.File = m[1]
		line, _ := strconv.ParseInt(m[2], 10, 64)
		e.setHunk(d, line)
		if !reverses {
			e.Reason = "the source differs from what the hunk expects there: rebase the patch on this tree"
		}
		return e
	}
	if m := applyMissing.FindStringSubmatch(stderr); m != nil && before[m[1]].absent {
		e.File = m[1]
		e.Reason = "the tree has no such file: rebase the patch on this tree (or make it with a/ and b/ prefixes, if it has none)"
		return e
	}
	if m := applyExists.FindStringSubmatch(stderr); m != nil {
		e.File = m[1]
		if !reverses {
			e.Reason = "the patch creates this file, but the tree has it already"
		}
		return e
	}
	if m := applyCorrupt.FindStringSubmatch(stderr); m != nil {
		e.Reason = m[1] + ": the patch file is damaged, for example by a mail program that wrapped lines"
	}
	return e
}

func (e *PatchError) setHunk(d *diff, line int64) {
	for _, c := range d.files {
		if c.old != e.File && c.new != e.File {
			continue
		}
		for n, h := range c.hunks {
			if h.OldPosition == line {
				e.Hunk, e.Hunks, e.Header = n+1, len(c.hunks), strings.TrimSpace(h.Header())
			}
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// getFile reads a file below dir. A symlink is refused: kernel patches change
// regular files, and following one could leave the tree.
func getFile(dir, name string) (sourceFile, error) {
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := noLinkAbove(dir, name); err != nil {
		return sourceFile{}, err
	}
	info, err := os.Lstat(p)
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) || err == nil && info.IsDir() {
		return sourceFile{absent: true}, nil
	}
	if err != nil {
		return sourceFile{}, err
	}
	if !info.Mode().IsRegular() {
		return sourceFile{}, fmt.Errorf("%s is not a regular file, and patches to such are not supported", p)
	}
	data, err := os.ReadFile(p)
	return sourceFile{data: data, exec: info.Mode()&0o100 != 0}, err
}

// putFile writes a file below dir, or removes it when it is absent, together
// with folders that this leaves empty. durable is for files that must outlive
// a loss of power.
func putFile(dir, name string, f sourceFile, durable bool) error {
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := noLinkAbove(dir, name); err != nil {
		return err
	}
	if f.absent {
		// Unlink and Rmdir, because os.Remove takes either for the other: a file
		// may be where a folder was, and the reverse.
		if err := unix.Unlink(p); err != nil && !errors.Is(err, fs.ErrNotExist) && !isNotDir(err) && err != unix.EISDIR {
			return &os.PathError{Op: "unlink", Path: p, Err: err}
		}
		for d := filepath.Dir(p); d != dir && unix.Rmdir(d) == nil; d = filepath.Dir(d) {
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	return replaceFile(p, f.data, f.mode(), durable)
}

// noLinkAbove refuses a file whose folder is reached through a symlink: it lies
// somewhere else, perhaps outside of the tree and among the user's own files.
func noLinkAbove(dir, name string) error {
	for above := path.Dir(name); above != "."; above = path.Dir(above) {
		p := filepath.Join(dir, filepath.FromSlash(above))
		if info, err := os.Lstat(p); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return &SourceError{fmt.Errorf("%s lies behind the symlink %s, and patches to such files are not supported", name, p)}
		}
	}
	return nil
}

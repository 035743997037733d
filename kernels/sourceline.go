package kernels

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// sourceLineContext is how many lines SourceLine gives after the one asked for:
// enough for a condition that is spread over several.
const sourceLineContext = 8

// sourceText is a source file as SourceLine has read it.
type sourceText struct {
	lines []string
	ok    bool
}

// maxSourceBytes bounds a source file; the largest in the kernel, generated
// register headers, have some 20 MB.
const maxSourceBytes = 64 << 20

// SourceLine returns a line of the image's sources as patched, followed by up
// to 8 more. file may be as a kernel log gives it: relative to the tree, or
// with the path of some build machine before that. ok is false when the
// sources are not at hand or have no such line.
func (i *Image) SourceLine(file string, line int) (text []string, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	src, seen := i.files[file]
	if !seen {
		src = i.readSource(file)
		if i.files == nil {
			i.files = map[string]sourceText{}
		}
		i.files[file] = src
	}
	if !src.ok || line < 1 || line > len(src.lines) {
		return nil, false
	}
	return src.lines[line-1 : min(line+sourceLineContext, len(src.lines))], true
}

// readSource finds a file in the sources by its longest suffix that exists.
func (i *Image) readSource(file string) sourceText {
	if i.Provenance.TreeDir == "" {
		return sourceText{}
	}
	// A file at the top of the tree would match any file of that name.
	for _, name := range suffixes(file) {
		if data, ok := i.sourceFile(name); ok {
			return sourceText{lines: strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), ok: true}
		}
	}
	return sourceText{}
}

// suffixes lists the relative paths that a file of a kernel log can mean, the
// longest first, each with at least one folder.
func suffixes(file string) []string {
	clean := path.Clean("/" + file)[1:]
	var out []string
	for strings.Contains(clean, "/") {
		if safeName(clean) {
			out = append(out, clean)
		}
		_, clean, _ = strings.Cut(clean, "/")
	}
	return out
}

// sourceFile reads one file as it was when the image was built: the patched
// copies in the image's folder first, then the original.
func (i *Image) sourceFile(name string) ([]byte, bool) {
	for _, t := range i.Provenance.Touched {
		if t.Path == name {
			return readBelow(filepath.Join(i.dir(), srcDir), name)
		}
	}
	tree := i.Provenance.TreeDir
	if i.Provenance.Source.Kind == SourceGit {
		return gitSourceFile(filepath.Join(tree, "tree"), i.Provenance.Source.Commit, name)
	}
	// The tree may be in another variant's state. A file's original is saved
	// before it is changed, so the saved one is looked for once more after a
	// file of the tree has been read.
	data, ok := readBelow(filepath.Join(tree, "tree"), name)
	state, err := readTreeState(tree)
	if err != nil {
		return nil, false
	}
	if absent, saved := state.Saved[name]; saved {
		if absent {
			return nil, false
		}
		return readBelow(filepath.Join(tree, "pristine"), name)
	}
	return data, ok
}

func gitSourceFile(tree, commit, name string) ([]byte, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	f, err := gitFile(ctx, tree, commit, name)
	return f.data, err == nil && !f.absent
}

// readBelow reads a regular file below a folder and follows no link out of it.
func readBelow(dir, name string) ([]byte, bool) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, false
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSourceBytes))
	return data, err == nil || errors.Is(err, io.EOF)
}

package kernels

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// sourceOf matches the line in which kbuild notes beside an object what it was
// compiled from (scripts/basic/fixdep.c).
var sourceOf = regexp.MustCompile(`(?m)^source_\S+ := (\S+)$`)

// dropStale removes the objects whose source file the tree does not have any
// more. make would not: without the source no rule matches, an object that is
// there needs none, and a makefile that still names it would get it into a
// kernel that cannot be built from its own sources.
func (b *buildDir) dropStale(sources string) error {
	err := filepath.WalkDir(b.out(), func(path string, d fs.DirEntry, err error) error {
		name, isNote := strings.CutSuffix(strings.TrimPrefix(filepath.Base(path), "."), ".cmd")
		if err != nil || !isNote || !d.Type().IsRegular() {
			return err
		}
		object := filepath.Join(filepath.Dir(path), name)
		if hasSource(sources, b.out(), object) {
			return nil
		}
		note, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		m := sourceOf.FindSubmatch(note)
		if m == nil || !strings.HasPrefix(string(m[1]), sources+"/") || exists(string(m[1])) {
			return nil // it was linked, or made from a generated file, or is as it should be
		}
		return errors.Join(remove(object), remove(path))
	})
	if err != nil {
		return fmt.Errorf("removing objects of files that are gone from build folder %s: %w", b.dir, err)
	}
	return nil
}

// hasSource finds the usual source file of an object, which saves reading what
// kbuild has noted of it.
func hasSource(sources, out, object string) bool {
	rel, err := filepath.Rel(out, object)
	if err != nil {
		return false
	}
	stem := filepath.Join(sources, strings.TrimSuffix(rel, filepath.Ext(rel)))
	return exists(stem+".c") || exists(stem+".S")
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// remove removes a file that need not be there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

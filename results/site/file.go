package site

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"patchproof/results"
)

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// put writes a file of the site to path, unless it is there already, and says
// whether it did.
func put(path string, f File) (changed bool, err error) {
	if f.Source != "" {
		return putSource(path, f.Source)
	}
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, f.Body) {
		return false, nil
	}
	return true, results.ReplaceFile(path, bytes.NewReader(f.Body), false)
}

// putSource makes path the same file as source, by a hard link where the file
// system allows one: console logs are many and never change once written.
func putSource(path, source string) (changed bool, err error) {
	from, err := os.Stat(source)
	if err != nil {
		return false, fmt.Errorf("copy into the site: %w", err)
	}
	to, err := os.Lstat(path)
	switch {
	case err == nil && os.SameFile(from, to):
		return false, nil
	case err == nil && to.Mode().IsRegular() && to.Size() == from.Size() && !to.ModTime().Before(from.ModTime()):
		return false, nil
	case err == nil:
		if err := os.Remove(path); err != nil {
			return false, fmt.Errorf("copy into the site: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("copy into the site: %w", err)
	}
	if os.Link(source, path) == nil {
		return true, nil
	}
	in, err := os.Open(source)
	if err != nil {
		return false, fmt.Errorf("copy into the site: %w", err)
	}
	defer in.Close()
	return true, results.ReplaceFile(path, in, false)
}

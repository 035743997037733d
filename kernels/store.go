package kernels

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// Store is the cache of kernel images, source trees and build folders. It may
// be used by several goroutines and processes at once.
type Store struct {
	dir    string
	hashes *hashCache
	// free reports the bytes that can be written below a path; tests replace it.
	free func(path string) (uint64, error)
}

// Names of the store's folders and files; the package comment describes them.
const (
	imagesDir = "images"
	treesDir  = "trees"
	buildsDir = "builds"
	logsDir   = "logs"
	tmpDir    = "tmp"

	imageFile   = "bzImage"
	vmlinuxFile = "vmlinux"
	configName  = "config"
	logFile     = "build.log"
	recordFile  = "image.json"
	srcDir      = "src"
	lockFile    = "lock"
	usedFile    = "used"
)

// OpenStore opens the store in dir and creates it when it does not exist.
func OpenStore(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("kernel cache %s: %w", dir, err)
	}
	for _, d := range []string{imagesDir, treesDir, buildsDir, logsDir, tmpDir} {
		if err := os.MkdirAll(filepath.Join(abs, d), 0o755); err != nil {
			return nil, fmt.Errorf("kernel cache %s cannot be created: %w; choose another cache folder", abs, bareError(err))
		}
	}
	// Symlinks are resolved because git compares its ceiling folders with
	// resolved paths, and make puts paths into dependency files.
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, fmt.Errorf("kernel cache %s: %w", abs, err)
	}
	if strings.ContainsAny(real, " \t:'\"$#") {
		return nil, fmt.Errorf("kernel cache %s: make cannot build in a path with spaces, colons, quotes, $ or #; choose another cache folder", real)
	}
	return &Store{dir: real, hashes: newHashCache(filepath.Join(real, "hashes.json")), free: freeBytes}, nil
}

// Dir returns the store's folder.
func (s *Store) Dir() string { return s.dir }

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// record is image.json: the image with what is needed to notice a change of
// its file without reading all of it.
type record struct {
	Format  int       `json:"format"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mtime"`
	Image   *Image    `json:"image"`
}

// recordFormat is part of every image's address, so that a new layout of the
// image folder never meets an old one.
const recordFormat = 1

// errNoImage says that the store has no image under an ID.
var errNoImage = errors.New("no such image in the cache")

// load reads one image and checks that its file is still what was stored.
func (s *Store) load(id string) (*Image, error) {
	dir := s.path(imagesDir, id)
	data, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", id, errNoImage)
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, recordFile), err)
	}
	if r.Format != recordFormat || r.Image == nil || r.Image.ID != id {
		return nil, fmt.Errorf("%s: not a record of image %s", filepath.Join(dir, recordFile), id)
	}
	img := r.Image
	img.relocate(dir)
	info, err := os.Stat(img.Path)
	if err != nil {
		return nil, err
	}
	if info.Size() == r.Size && info.ModTime().Equal(r.ModTime) {
		return img, nil
	}
	sum, err := hashFile(img.Path)
	if err != nil {
		return nil, err
	}
	if sum != img.SHA256 {
		return nil, fmt.Errorf("%s has changed since it was stored", img.Path)
	}
	return img, nil
}

// has says whether there is an image under an ID, without reading it.
func (s *Store) has(id string) bool {
	_, err := os.Stat(s.path(imagesDir, id, recordFile))
	return err == nil
}

// relocate sets the paths for the folder that the image was found in: the
// cache may have been moved. A companion outside the folder is left as it is.
func (i *Image) relocate(dir string) {
	i.Path = filepath.Join(dir, imageFile)
	for _, f := range []struct {
		field *string
		name  string
	}{
		{&i.Vmlinux, vmlinuxFile}, {&i.Config, configName}, {&i.Provenance.BuildLog, logFile},
	} {
		p := filepath.Join(dir, f.name)
		if _, err := os.Stat(p); err == nil {
			*f.field = p
		}
	}
	root := filepath.Dir(filepath.Dir(dir))
	for _, f := range []struct {
		field *string
		name  string
	}{
		{&i.Provenance.TreeDir, treesDir}, {&i.Provenance.BuildDir, buildsDir},
	} {
		if *f.field != "" {
			*f.field = filepath.Join(root, f.name, filepath.Base(*f.field))
		}
	}
}

// List returns all images of the store, the most recently used last. An image
// folder that cannot be read is left out: Build will replace it.
func (s *Store) List() ([]*Image, error) {
	entries, err := os.ReadDir(s.path(imagesDir))
	if err != nil {
		return nil, fmt.Errorf("kernel cache: %w", err)
	}
	var images []*Image
	used := map[*Image]time.Time{}
	for _, e := range entries {
		img, err := s.load(e.Name())
		if err != nil {
			continue
		}
		images = append(images, img)
		used[img] = lastUsed(img.dir())
	}
	sort.SliceStable(images, func(a, b int) bool { return used[images[a]].Before(used[images[b]]) })
	return images, nil
}

// publish moves a finished folder below tmp/ to its place among the images.
// When another process was faster, its image is kept and ours is dropped.
func (s *Store) publish(tmp string, img *Image) (*Image, error) {
	info, err := os.Stat(filepath.Join(tmp, imageFile))
	if err != nil {
		return nil, fmt.Errorf("storing image %s: %w", img.ID, err)
	}
	data, err := json.MarshalIndent(record{recordFormat, info.Size(), info.ModTime(), img}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("storing image %s: %w", img.ID, err)
	}
	if err := writeFileAtomic(filepath.Join(tmp, recordFile), append(data, '\n'), 0o644); err != nil {
		return nil, fmt.Errorf("storing image %s: %w", img.ID, err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return nil, fmt.Errorf("storing image %s: %w", img.ID, err)
	}
	touch(filepath.Join(tmp, usedFile))
	final := s.path(imagesDir, img.ID)
	if err := os.Rename(tmp, final); err != nil {
		if got, lerr := s.load(img.ID); lerr == nil {
			os.RemoveAll(tmp)
			return got, nil
		}
		// What is there cannot be loaded: a damaged image, which ours replaces.
		os.RemoveAll(final)
		if err := os.Rename(tmp, final); err != nil {
			return nil, fmt.Errorf("storing image %s: %w", img.ID, err)
		}
	}
	return s.load(img.ID)
}

// lastUsed is the time of the last use of a folder of the store.
func lastUsed(dir string) time.Time {
	if info, err := os.Stat(filepath.Join(dir, usedFile)); err == nil {
		return info.ModTime()
	}
	if info, err := os.Stat(dir); err == nil {
		return info.ModTime()
	}
	return time.Time{}
}

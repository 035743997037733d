package kernels

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// hashCache remembers the sha256 of large files by path, size, times and inode,
// so that a source tarball is read once and not at every start. Size and
// modification time alone are not enough: packages that are built reproducibly
// give both to different kernels, and cp -p and tar keep them.
type hashCache struct {
	path string
	mu   sync.Mutex
}

type hashEntry struct {
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mtime"`
	Changed time.Time `json:"ctime"` // of the inode, which no program can set
	Inode   uint64    `json:"inode"`
	SHA256  string    `json:"sha256"`
}

// statEntry is the entry of a file whose hash is not known yet.
func statEntry(path string) (hashEntry, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return hashEntry{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return hashEntry{Size: st.Size, ModTime: time.Unix(st.Mtim.Unix()), Changed: time.Unix(st.Ctim.Unix()), Inode: st.Ino}, nil
}

// sameFile says that neither the file nor its content has changed since e.
func (e hashEntry) sameFile(now hashEntry) bool {
	return e.Size == now.Size && e.ModTime.Equal(now.ModTime) && e.Changed.Equal(now.Changed) && e.Inode == now.Inode
}

func newHashCache(path string) *hashCache { return &hashCache{path: path} }

// racyWindow is how old a file must be before its modification time can be
// trusted: a younger one can change again within the clock's granularity.
const racyWindow = 2 * time.Second

// sum returns the sha256 of the file at path.
func (c *hashCache) sum(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	now, err := statEntry(abs)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := map[string]hashEntry{}
	if data, err := os.ReadFile(c.path); err == nil {
		// A damaged cache is the same as an empty one.
		if json.Unmarshal(data, &entries) != nil {
			entries = map[string]hashEntry{}
		}
	}
	if e, ok := entries[abs]; ok && e.sameFile(now) {
		return e.SHA256, nil
	}
	sum, err := hashFile(abs)
	if err != nil {
		return "", err
	}
	if time.Since(now.ModTime) < racyWindow || time.Since(now.Changed) < racyWindow {
		return sum, nil
	}
	now.SHA256 = sum
	entries[abs] = now
	data, err := json.Marshal(entries)
	if err == nil {
		err = writeFileAtomic(c.path, data, 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("kernel cache: %w", err)
	}
	return sum, nil
}

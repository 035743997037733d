package kernels

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// hashCache remembers the sha256 of large files by path, size and modification
// time, so that a source tarball is read once and not at every start.
type hashCache struct {
	path string
	mu   sync.Mutex
}

type hashEntry struct {
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mtime"`
	SHA256  string    `json:"sha256"`
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
	info, err := os.Stat(abs)
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
	if e, ok := entries[abs]; ok && e.Size == info.Size() && e.ModTime.Equal(info.ModTime()) {
		return e.SHA256, nil
	}
	sum, err := hashFile(abs)
	if err != nil {
		return "", err
	}
	if time.Since(info.ModTime()) < racyWindow {
		return sum, nil
	}
	entries[abs] = hashEntry{info.Size(), info.ModTime(), sum}
	data, err := json.Marshal(entries)
	if err == nil {
		err = writeFileAtomic(c.path, data, 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("kernel cache: %w", err)
	}
	return sum, nil
}

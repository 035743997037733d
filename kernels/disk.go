package kernels

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Space that a step needs before it starts, in bytes. They were measured with
// 6.1 and rounded up; a kernel with debug information needs about ten times
// the space of one without.
const (
	treeBytes       = 1800 << 20
	buildBytes      = 1200 << 20
	buildDebugBytes = 10 << 30
	rebuildBytes    = 300 << 20
)

// freeBytes is the space that an unprivileged process can still write below path.
func freeBytes(path string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// needSpace fails when fewer than need bytes are free in the store.
func (s *Store) needSpace(what string, need uint64) error {
	have, err := s.free(s.dir)
	if err != nil {
		return err
	}
	if have < need {
		return fmt.Errorf("no space to %s: %s has %s free and %s are needed: free some with patchproof kernel gc, or choose another cache folder",
			what, s.dir, formatBytes(have), formatBytes(need))
	}
	return nil
}

func formatBytes(n uint64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// diskUsage is the space that a folder takes on the disk. Files that vanish
// while it counts are skipped.
func diskUsage(dir string) uint64 {
	var sum uint64
	filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil {
			sum += uint64(st.Blocks) * 512
		}
		return nil
	})
	return sum
}

package guestimage

import (
	"context"
	"fmt"
	"path/filepath"
	"sort"

	"github.com/u-root/u-root/pkg/ldd"
)

// libraryClosure returns the loaders and shared libraries that the programs
// need, as the host's own loader resolves them, sorted.
func libraryClosure(ctx context.Context, tools []tool) ([]string, error) {
	seen := map[string]bool{}
	for _, t := range tools {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("guest image: %w", err)
		}
		libs, err := ldd.List(t.path)
		if err != nil {
			return nil, fmt.Errorf("guest image: libraries of %s: %w (run ldd %s to see which is missing)", t.path, err, t.path)
		}
		for _, lib := range libs {
			// The loader prints "libx.so => not found" for a missing one.
			if !filepath.IsAbs(lib) {
				return nil, fmt.Errorf("guest image: %s lacks a library (run ldd %s to see which, and reinstall its package)", t.path, t.path)
			}
			seen[lib] = true
		}
	}
	libs := make([]string, 0, len(seen))
	for lib := range seen {
		libs = append(libs, lib)
	}
	sort.Strings(libs)
	return libs, nil
}

package kernels

import (
	"os"
	"path/filepath"
)

// ConfigFile returns the path of the full configuration of an image of the
// store, or "" when the store does not have it (any more).
func (s *Store) ConfigFile(id string) string {
	if id == "" || filepath.Base(id) != id {
		return ""
	}
	path := s.path(imagesDir, id, configName)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}

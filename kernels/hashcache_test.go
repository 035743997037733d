package kernels

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestHashOfAnotherFileOfTheSameSizeAndTime: two builds of a package that is
// built reproducibly.
func TestHashOfAnotherFileOfTheSameSizeAndTime(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	path := filepath.Join(t.TempDir(), "bzImage")
	old := time.Now().Add(-time.Hour)
	sum := func() string {
		t.Helper()
		got, err := s.hashes.sum(path)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	put(t, path, "one kernel")
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	time.Sleep(racyWindow) // only then is the sum kept
	if got := sum(); got != hashBytes([]byte("one kernel")) || sum() != got {
		t.Errorf("sum %s", got)
	}
	put(t, path+".new", "two kernel")
	if err := errors.Join(os.Chtimes(path+".new", old, old), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
	if got := sum(); got != hashBytes([]byte("two kernel")) {
		t.Errorf("sum %s is that of the file before", got)
	}
}

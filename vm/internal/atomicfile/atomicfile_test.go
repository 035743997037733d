package atomicfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWriteJSON(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	for _, want := range []string{"1\n", "2\n"} {
		if err := WriteJSON(path, ".a-*", int(want[0]-'0')); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("file holds %q, %v, want %q", got, err, want)
		}
	}
	// What cannot be written leaves the old content and no temporary file.
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for target, v := range map[string]any{path: func() {}, filepath.Join(dir, "folder"): 3} {
		if err := WriteJSON(target, ".a-*", v); err == nil {
			t.Errorf("writing %T to %s did not fail", v, target)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "2\n" {
		t.Errorf("after a failure the file holds %q, %v", got, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".a-*")); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

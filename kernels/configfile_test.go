package kernels

import (
	"os"
	"path/filepath"
	"testing"
)

func TestConfigFile(t *testing.T) {
	s, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := s.path(imagesDir, "0123abcd")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := s.ConfigFile("0123abcd"); got != "" {
		t.Errorf("an image without a configuration has %q", got)
	}
	want := filepath.Join(dir, configName)
	if err := os.WriteFile(want, []byte("CONFIG_X=y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.ConfigFile("0123abcd"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, id := range []string{"", "..", "../images/0123abcd", "nosuch"} {
		if got := s.ConfigFile(id); got != "" {
			t.Errorf("%q has %q", id, got)
		}
	}
}

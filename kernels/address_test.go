package kernels

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// TestAddress: the address that is known before a build is the image's.
func TestAddress(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	ctx := context.Background()
	image := filepath.Join(t.TempDir(), "vmlinuz")
	put(t, image, string(fakeHeader("6.12.1 (a@b) #1")))
	modules := filepath.Join(t.TempDir(), "modules")
	put(t, filepath.Join(modules, "a.ko"), "")
	built := Spec{Tarball: fakeTarball(t, fakeTree(t), "linux-source-6.1.tar.gz"), Make: fakeCompiler(t)}
	ids := map[string]string{}
	for name, spec := range map[string]Spec{"image": {Image: image}, "image with modules": {Image: image, Modules: modules}, "tarball": built} {
		id, cached, err := s.Address(ctx, spec)
		if err != nil || cached {
			t.Errorf("%s before it is there: %v, %v", name, cached, err)
		}
		img, err := s.Build(ctx, spec, BuildOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, cached, err := s.Address(ctx, spec)
		if img.ID != id || again != id || !cached || err != nil {
			t.Errorf("%s: address %s, then %s (in the cache: %v, %v), image %s", name, id, again, cached, err, img.ID)
		}
		if img.Modules != spec.Modules {
			t.Errorf("%s: modules in %q", name, img.Modules)
		}
		ids[id] = name
	}
	if len(ids) != 3 {
		t.Errorf("addresses are shared: %v", ids)
	}
}

func TestAddressErrors(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	image := filepath.Join(t.TempDir(), "vmlinuz")
	put(t, image, string(fakeHeader("6.12.1 (a@b) #1")))
	text := filepath.Join(t.TempDir(), "text")
	put(t, text, "text")
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{}, "no source"},
		{Spec{Image: text}, "text"},
		{Spec{Image: image, Modules: filepath.Join(t.TempDir(), "none")}, "lib/modules/RELEASE"},
		{Spec{Image: image, Modules: text}, "not a folder"},
		{Spec{Tarball: text, Modules: t.TempDir()}, "belongs to a ready image"},
	} {
		if _, _, err := s.Address(context.Background(), c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.want)
		}
	}
}

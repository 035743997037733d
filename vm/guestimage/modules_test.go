package guestimage

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeModule makes an ELF file with nothing but a section .modinfo.
func fakeModule(info ...string) []byte {
	const headerSize, sectionSize = 64, 64
	modinfo := strings.Join(info, "\x00") + "\x00"
	names := "\x00.modinfo\x00.shstrtab\x00"
	offset := uint64(headerSize + len(modinfo) + len(names))
	var b bytes.Buffer
	le := binary.LittleEndian
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, le, v) // a buffer takes everything
		}
	}
	put(uint16(1), uint16(62), uint32(1), uint64(0), uint64(0), offset, uint32(0),
		uint16(headerSize), uint16(0), uint16(0), uint16(sectionSize), uint16(3), uint16(2))
	b.WriteString(modinfo + names)
	section := func(name, kind uint32, at, size int) {
		put(name, kind, uint64(0), uint64(0), uint64(at), uint64(size), uint32(0), uint32(0), uint64(1), uint64(0))
	}
	section(0, 0, 0, 0)
	section(1, 1, headerSize, len(modinfo))             // SHT_PROGBITS
	section(10, 3, headerSize+len(modinfo), len(names)) // SHT_STRTAB
	return b.Bytes()
}

// moduleDir writes modules, by their path, and packs those that end in .xz.
func moduleDir(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		plain, isPacked := strings.CutSuffix(path, ".xz")
		if err := os.WriteFile(plain, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if !isPacked {
			continue
		}
		if out, err := exec.Command("xz", plain).CombinedOutput(); err != nil {
			t.Fatalf("xz: %v %s", err, out)
		}
	}
	return dir
}

func TestModules(t *testing.T) {
	dir := moduleDir(t, map[string][]byte{
		"kernel/fs/btrfs/btrfs.ko.xz":           fakeModule("license=GPL", "depends=xor,raid6-pq", "name=btrfs"),
		"kernel/lib/raid6/raid6_pq.ko.xz":       fakeModule("depends="),
		"kernel/crypto/xor.ko":                  fakeModule("depends=raid6_pq"),
		"kernel/drivers/net/virtio-net.ko":      fakeModule("depends=net_failover"),
		"kernel/drivers/block/virtio_blk.ko.xz": fakeModule("depends="),
		"kernel/crypto/crc32c_generic.ko":       fakeModule("depends="),
		"kernel/fs/ext4/ext4.ko":                fakeModule("depends="),
	})
	m := Modules{Dir: dir, FileSystems: []string{"btrfs"}}
	found, err := m.find(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.name)
	}
	want := []string{"virtio_blk", "virtio_net", "crc32c_generic", "raid6_pq", "xor", "btrfs"}
	if !slices.Equal(names, want) {
		t.Errorf("modules %v, want %v", names, want)
	}

	img, err := Build(context.Background(), t.TempDir(), Spec{Modules: m})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(img.Path)
	if err != nil {
		t.Fatal(err)
	}
	records := entries(t, data)
	list := string(content(t, records[modulesList]))
	if want := "/lib/modules/virtio_blk.ko\n/lib/modules/virtio_net.ko\n"; !strings.HasPrefix(list, want) {
		t.Errorf("%s:\n%s", modulesList, list)
	}
	if got := content(t, records["lib/modules/raid6_pq.ko"]); !bytes.Equal(got, fakeModule("depends=")) {
		t.Error("raid6_pq.ko is not the module, unpacked")
	}
}

func TestModulesAndCache(t *testing.T) {
	ctx, cache := context.Background(), t.TempDir()
	dir := moduleDir(t, map[string][]byte{"virtio_blk.ko": fakeModule("depends=")})
	build := func(m Modules) string {
		t.Helper()
		img, err := Build(ctx, cache, Spec{Modules: m})
		if err != nil {
			t.Fatal(err)
		}
		return img.ID
	}
	without, with := build(Modules{}), build(Modules{Dir: dir})
	if without == with {
		t.Error("modules make no difference")
	}
	if err := os.WriteFile(filepath.Join(dir, "virtio_blk.ko"), fakeModule("depends=", "version=2"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again := build(Modules{Dir: dir}); again == with {
		t.Error("a changed module does not change the image")
	}
	// Two builds of a package have their files' times from its changelog.
	file := filepath.Join(dir, "virtio_blk.ko")
	old := time.Now().Add(-time.Hour)
	replace := func(module []byte) {
		t.Helper()
		if err := os.WriteFile(file, module, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	replace(fakeModule("depends=", "version=3"))
	third := build(Modules{Dir: dir})
	replace(fakeModule("depends=", "version=4"))
	if fourth := build(Modules{Dir: dir}); fourth == third {
		t.Error("a module of the same size and time is taken for the one before")
	}
}

func TestModulesErrors(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"no modules":    {map[string][]byte{"modules.dep": nil}, "no kernel modules in"},
		"not a module":  {map[string][]byte{"virtio_blk.ko": []byte(strings.Repeat("text", 64))}, "virtio_blk.ko: bad magic number"},
		"not packed":    {map[string][]byte{"virtio_blk.ko.gz": []byte("text")}, "virtio_blk.ko.gz: gzip"},
		"a missing dir": {nil, "no such file or directory"},
	} {
		dir := filepath.Join(t.TempDir(), "missing")
		if c.files != nil {
			dir = moduleDir(t, c.files)
		}
		_, err := Modules{Dir: dir}.find(context.Background())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzModuleDepends(f *testing.F) {
	f.Add(fakeModule("depends=a,b"))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		depends, err := moduleDepends(data)
		if err != nil && depends != nil {
			t.Fatalf("%v with %v", depends, err)
		}
	})
}

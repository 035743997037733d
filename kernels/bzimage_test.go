package kernels

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const fakeVersion = "6.1.99-test (builder@host) #1 SMP PREEMPT"

// payloadImage is a bzImage of protocol 2.15 with a payload.
func payloadImage(version string, payload []byte) []byte {
	b := fakeHeader(version)
	le := binary.LittleEndian
	le.PutUint16(b[offProtocol:], 0x20f)
	le.PutUint32(b[offPayloadOffset:], 16)
	le.PutUint32(b[offPayloadLength:], uint32(len(payload)))
	b = append(b, make([]byte, 16)...)
	return append(append(b, payload...), "the end"...)
}

// kernelWithConfig is what a payload decompresses to.
func kernelWithConfig(t testing.TB, config string) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("code IKCFG_ST is also a string\x00")
	b.Write(ikconfigStart)
	b.Write(gzipped(t, config))
	b.Write(ikconfigEnd)
	b.WriteString("more code")
	return b.Bytes()
}

func gzipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeImage(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bzImage")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	h, err := Identify(writeImage(t, payloadImage(fakeVersion, []byte("payload"))))
	want := Header{Version: fakeVersion, Release: "6.1.99-test", Protocol: 0x20f, PayloadOffset: 1024 + 16, PayloadLength: 7}
	if err != nil || h != want {
		t.Errorf("%+v, %v\nwant %+v", h, err, want)
	}
}

func TestIdentifyOtherFiles(t *testing.T) {
	t.Parallel()
	at := func(off int, magic string) string {
		return strings.Repeat("\x01", off) + magic + strings.Repeat("\x01", 700)
	}
	for _, tc := range []struct{ name, data, want string }{
		{"empty", "", "an empty file"},
		{"vmlinux", at(0, "\x7fELF"), "an ELF file (vmlinux"},
		{"gzip", at(0, "\x1f\x8b"), "gzip data"},
		{"xz", at(0, "\xfd7zXZ\x00"), "xz data"},
		{"zstd", at(0, "\x28\xb5\x2f\xfd"), "zstd data"},
		{"arm64", at(0x38, "ARMd"), "an arm64 Image"},
		{"efi", at(0, "MZ"), "an EFI or DOS program"},
		{"tar", at(257, "ustar"), "a tar archive"},
		{"cpio", at(0, "070701"), "a cpio archive"},
		{"script", "#!/bin/sh\necho\n", "a script"},
		{"text", "CONFIG_X=y\n", "a text file"},
		{"text cut in a rune", strings.Repeat("a", headerBytes-1) + "é", "a text file"},
		{"zeros", strings.Repeat("\x00", 2000), "all zero bytes"},
		{"noise", strings.Repeat("\x80\x01", 1000), "some other kind of file"},
		{"short", string(fakeHeader(fakeVersion)[:0x210]), "some other kind of file"},
		{"zImage", string(zImage()), "a zImage"},
	} {
		path := writeImage(t, []byte(tc.data))
		_, err := Identify(path)
		var not *NotBzImageError
		if !errors.As(err, &not) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	if _, err := Identify(t.TempDir()); err == nil || !strings.Contains(err.Error(), "a folder") {
		t.Errorf("folder: %v", err)
	}
	if _, err := Identify("/nonexistent/bzImage"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func zImage() []byte {
	b := fakeHeader(fakeVersion)
	b[offLoadFlags] = 0
	return b
}

func TestIdentifyDamagedImages(t *testing.T) {
	t.Parallel()
	whole := payloadImage(fakeVersion, make([]byte, 5000))
	noEnd := bytes.Clone(fakeHeader(strings.Repeat("a", 600)))
	odd := fakeHeader("6.1\x1b[31m")
	far := fakeHeader(fakeVersion)
	binary.LittleEndian.PutUint16(far[offKernelVersion:], 0xfff0)
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"cut short", whole[:3000], "cut short"},
		{"endless version", noEnd, "has no end"},
		{"escapes", odd, "is not text"},
		{"pointer", far, "beyond the end"},
	} {
		if _, err := Identify(writeImage(t, tc.data)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestEmbeddedConfig(t *testing.T) {
	t.Parallel()
	kernel := kernelWithConfig(t, "CONFIG_BTRFS_FS=y\n# CONFIG_X is not set\n")
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(kernel)))
	payloads := map[string][]byte{"gzip": gzipped(t, string(kernel)), "none": append([]byte("\x7fELF"), kernel...)}
	for name, args := range map[string][]string{
		"xz": {"xz", "--check=crc32", "-c"}, "lzma": {"xz", "--format=lzma", "-c"}, "zstd": {"zstd", "-q", "-c"},
		"lz4": {"lz4", "-l", "-q", "-c"}, "bzip2": {"bzip2", "-c"},
	} {
		if _, err := exec.LookPath(args[0]); err != nil {
			continue
		}
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = bytes.NewReader(kernel)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		payloads[name] = append(out, size...)
	}
	for name, payload := range payloads {
		path := writeImage(t, payloadImage(fakeVersion, payload))
		h, err := Identify(path)
		if err != nil {
			t.Fatal(err)
		}
		config, err := embeddedConfig(context.Background(), path, h)
		if err != nil || !strings.HasPrefix(string(config), "CONFIG_BTRFS_FS=y\n") {
			t.Errorf("%s: %q, %v", name, config, err)
		}
	}
}

func TestReadyImage(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	ctx := context.Background()
	with := writeImage(t, payloadImage(fakeVersion, gzipped(t, string(kernelWithConfig(t, "CONFIG_BTRFS_FS=y\nCONFIG_NR_CPUS=32\n")))))
	without := writeImage(t, payloadImage(fakeVersion, gzipped(t, "no config in here")))
	config := filepath.Join(t.TempDir(), "config")
	put(t, config, "CONFIG_EXT4_FS=m\n")
	for _, tc := range []struct {
		name         string
		spec         Spec
		symbol, want string
		known        bool
	}{
		{"embedded", Spec{Image: with}, "NR_CPUS", "32", true},
		{"embedded, not set", Spec{Image: with}, "EXT4_FS", "n", true},
		{"none", Spec{Image: without}, "NR_CPUS", "", false},
		{"given", Spec{Image: without, Config: config}, "CONFIG_EXT4_FS", "m", true},
	} {
		img, err := s.Build(ctx, tc.spec, BuildOptions{})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if v, known := img.Option(tc.symbol); v != tc.want || known != tc.known {
			t.Errorf("%s: %s = %q, %v", tc.name, tc.symbol, v, known)
		}
		if img.Release != "6.1.99-test" || img.Provenance.Source.Kind != SourceImage {
			t.Errorf("%s: %+v", tc.name, img)
		}
		if _, ok := img.SourceLine("fs/btrfs/inode.c", 1); ok {
			t.Errorf("%s: a ready image has source lines", tc.name)
		}
	}
	a, _ := s.Build(ctx, Spec{Image: with}, BuildOptions{})
	b, _ := s.Build(ctx, Spec{Image: with}, BuildOptions{})
	if err := SameImage(a, b); err == nil || !strings.Contains(err.Error(), "two different images") {
		t.Errorf("the same ready image twice: %v", err)
	}
	empty(t, s.path(tmpDir))
}

func TestReadyImageWithTheWrongVmlinux(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	img := writeImage(t, payloadImage(fakeVersion, gzipped(t, "x")))
	_, err := s.Build(context.Background(), Spec{Image: img, Vmlinux: img}, BuildOptions{})
	var source *SourceError // whoever named the file has made a mistake
	if !errors.As(err, &source) || !strings.Contains(err.Error(), "is not an ELF file") {
		t.Error(err)
	}
	// Any ELF file that is not this kernel.
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Build(context.Background(), Spec{Image: img, Vmlinux: exe}, BuildOptions{})
	if !errors.As(err, &source) || !strings.Contains(err.Error(), "does not belong to the image") {
		t.Error(err)
	}
	empty(t, s.path(tmpDir))
}

func FuzzReadHeader(f *testing.F) {
	f.Add(fakeHeader(fakeVersion))
	f.Add(payloadImage(fakeVersion, []byte("payload")))
	f.Add([]byte("\x7fELF"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readHeader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		if h.PayloadOffset < 0 || h.PayloadOffset+h.PayloadLength > int64(len(data)) {
			t.Errorf("payload %d+%d outside of %d bytes", h.PayloadOffset, h.PayloadLength, len(data))
		}
		if strings.ContainsAny(h.Version, "\x00\x1b\n") {
			t.Errorf("version %q", h.Version)
		}
	})
}

package guestimage

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/u-root/u-root/pkg/cpio"
	"golang.org/x/crypto/ssh"
)

// entries reads one cpio archive and returns its records by name. It checks
// that each entry's folder comes before it, without which the kernel drops it.
func entries(t *testing.T, archive []byte, known ...string) map[string]cpio.Record {
	t.Helper()
	records := map[string]cpio.Record{}
	dirs := map[string]bool{".": true}
	for _, d := range known {
		dirs[d] = true
	}
	err := cpio.ForEachRecord(cpio.Newc.Reader(bytes.NewReader(archive)), func(r cpio.Record) error {
		if !dirs[filepath.Dir(r.Name)] {
			t.Errorf("%s comes before its folder", r.Name)
		}
		if r.Mode&cpio.S_IFMT == cpio.S_IFDIR {
			dirs[r.Name] = true
		}
		if r.UID != 0 || r.GID != 0 || r.MTime != 0 {
			t.Errorf("%s: owner %d:%d, time %d; want all 0", r.Name, r.UID, r.GID, r.MTime)
		}
		records[r.Name] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func content(t *testing.T, r cpio.Record) []byte {
	t.Helper()
	data, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBuild(t *testing.T) {
	ctx := context.Background()
	cache := filepath.Join(t.TempDir(), "new")
	img, err := Build(ctx, cache, Spec{Tools: []string{"true", "/usr/bin/env"}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(img.Path)
	if err != nil {
		t.Fatal(err)
	}
	if len(data)%segmentAlign != 0 {
		t.Errorf("length %d is not a multiple of %d", len(data), segmentAlign)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != img.ID {
		t.Error("ID is not the archive's hash")
	}
	records := entries(t, data)
	for name, perm := range map[string]uint64{
		"init": 0o755, "root": 0o700, "root/.ssh": 0o700, "tmp": 0o1777, "etc/passwd": 0o644,
		"dev/console": 0o600, "dev/kmsg": 0o644, "lib64/ld-linux-x86-64.so.2": 0o755,
	} {
		if r, ok := records[name]; !ok || r.Mode&0o7777 != perm {
			t.Errorf("%s: present %v, mode %o; want %o", name, ok, r.Mode, perm)
		}
	}
	for _, tool := range []string{"busybox", "dropbear", "sftp-server", "sysbench", "btrfs", "mkfs.btrfs", "true", "env"} {
		path, ok := img.Tools[tool]
		if !ok {
			t.Errorf("no tool %s in %v", tool, img.Tools)
			continue
		}
		host, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := records[strings.TrimPrefix(path, "/")]; !ok || !bytes.Equal(content(t, r), host) {
			t.Errorf("%s is not the host's", path)
		}
	}
	if sh := string(content(t, records["bin/sh"])); sh != img.Tools["busybox"] {
		t.Errorf("bin/sh leads to %q", sh)
	}
	again, err := Build(ctx, cache, Spec{Tools: []string{"true", "/usr/bin/env"}})
	if err != nil || again.ID != img.ID || again.Path != img.Path {
		t.Errorf("second build: %+v, %v", again, err)
	}
}

// TestLibraryClosure checks that everything that a program of the image needs is
// in the image, by the programs' own headers.
func TestLibraryClosure(t *testing.T) {
	img, err := Build(context.Background(), t.TempDir(), Spec{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(img.Path)
	if err != nil {
		t.Fatal(err)
	}
	records := entries(t, data)
	present := map[string]bool{}
	for name := range records {
		present[filepath.Base(name)] = true
	}
	checked := 0
	for name, r := range records {
		if r.Mode&cpio.S_IFMT != cpio.S_IFREG {
			continue
		}
		f, err := elf.NewFile(bytes.NewReader(content(t, r)))
		if err != nil {
			continue
		}
		needed, err := f.ImportedLibraries()
		if err != nil {
			t.Fatal(err)
		}
		for _, lib := range needed {
			checked++
			if !present[lib] {
				t.Errorf("%s needs %s, which is not in the image", name, lib)
			}
		}
	}
	if checked == 0 {
		t.Error("no program of the image needs a library: the test sees nothing")
	}
}

func TestCacheNoticesChanges(t *testing.T) {
	ctx := context.Background()
	cache, dir := t.TempDir(), t.TempDir()
	tool := filepath.Join(dir, "tool")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(tool, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	build := func() *Image {
		t.Helper()
		img, err := Build(ctx, cache, Spec{Tools: []string{tool}})
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	write("echo one")
	first := build()
	write("echo three")
	second := build()
	if first.ID == second.ID {
		t.Error("a changed tool did not change the image")
	}
	if err := os.Truncate(second.Path, 512); err != nil {
		t.Fatal(err)
	}
	if third := build(); third.ID != second.ID {
		t.Error("rebuilding a damaged image made another one")
	} else if st, err := os.Stat(third.Path); err != nil || st.Size() == 512 {
		t.Errorf("a damaged image was used: %v", err)
	}
	indexes, _ := filepath.Glob(filepath.Join(cache, "*.json"))
	if len(indexes) != 1 {
		t.Fatalf("indexes: %v, want one", indexes)
	}
	if err := os.WriteFile(indexes[0], []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if fourth := build(); fourth.ID != second.ID {
		t.Error("a damaged index made another image")
	}
	if left, _ := filepath.Glob(filepath.Join(cache, ".guest-*")); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

func TestBuildRefuses(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/usr/bin/python3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for tool, word := range map[string]string{
		"no-such-program":   "no-such-program",
		"/nonexistent/tool": "/nonexistent/tool",
		"a/b":               "a/b",
		script:              "python3",
		dir:                 dir,
	} {
		cache := filepath.Join(t.TempDir(), "cache")
		_, err := Build(context.Background(), cache, Spec{Tools: []string{tool}})
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("tool %s: %v, want an error that names %s", tool, err, word)
		}
		if left, _ := os.ReadDir(cache); len(left) != 0 {
			t.Errorf("tool %s: left in the cache: %v", tool, left)
		}
	}
}

func TestMissingPackages(t *testing.T) {
	_, err := resolve([]candidate{
		{name: "busybox", pkg: "busybox-static"},
		{name: "no-such-server", pkg: "server-package"},
		{name: "no-such-tool", pkg: "tool-package"},
		{name: "no-such-extra", optional: true},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, word := range []string{"no-such-server", "apt-get install server-package", "apt-get install tool-package"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v: want %q", err, word)
		}
	}
	for _, word := range []string{"busybox", "no-such-extra"} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("%v: names %s, which is not missing", err, word)
		}
	}
}

func TestBuildCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cache := t.TempDir()
	if _, err := Build(ctx, cache, Spec{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if left, _ := os.ReadDir(cache); len(left) != 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

func TestPerRun(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = PerRun(&b, "0123456789abcdef", Keys{Host: key, Authorized: []byte("ssh-ed25519 AAAA x\n")},
		map[string][]byte{"/opt/deep/script": []byte("x"), "../outside": []byte("y")})
	if err != nil {
		t.Fatal(err)
	}
	if b.Len()%segmentAlign != 0 {
		t.Errorf("length %d is not a multiple of %d", b.Len(), segmentAlign)
	}
	records := entries(t, b.Bytes(), "etc", "etc/dropbear", "root", "root/.ssh")
	for name, perm := range map[string]uint64{
		"etc/dropbear/dropbear_ed25519_host_key": 0o600, "root/.ssh/authorized_keys": 0o600,
		"opt/deep/script": 0o700, "outside": 0o700,
	} {
		if r, ok := records[name]; !ok || r.Mode&0o7777 != perm {
			t.Errorf("%s: present %v, mode %o; want %o", name, ok, r.Mode, perm)
		}
	}
	if got := string(content(t, records["root/.ssh/authorized_keys"])); got != "ssh-ed25519 AAAA x\n" {
		t.Errorf("authorized_keys: %q", got)
	}
	if err := PerRun(io.Discard, "n", Keys{}, nil); err == nil {
		t.Error("no host key, and no error")
	}
	if err := PerRun(io.Discard, "n", Keys{Host: key}, map[string][]byte{"/": nil}); err == nil {
		t.Error("the root folder was taken for a file")
	}
}

// TestDropbearKey lets dropbear itself read the key.
func TestDropbearKey(t *testing.T) {
	dropbearkey, ok := locate("dropbearkey")
	if !ok {
		t.Fatal("no dropbearkey: apt-get install dropbear-bin")
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, dropbearKey(key), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(dropbearkey, "-y", "-f", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	if !strings.Contains(string(out), want) {
		t.Errorf("dropbear reads another key:\n%swant %s", out, want)
	}
}

// TestProbe checks the program by its headers alone: it resets machines, so no
// test runs it outside of a guest.
func TestProbe(t *testing.T) {
	var b bytes.Buffer
	if err := Probe(&b); err != nil {
		t.Fatal(err)
	}
	records := entries(t, b.Bytes())
	if r := records["init"]; r.Mode&0o111 == 0 {
		t.Error("init cannot be executed")
	}
	program := content(t, records["init"])
	checkProgram(t, program, elf.PF_R|elf.PF_X)
	if !bytes.HasSuffix(program, []byte(ProbeMessage+"\n")) {
		t.Error("the message is not at the program's end")
	}
}

// TestReseed checks the headers and the data: what the program does takes a
// guest, or root on the host.
func TestReseed(t *testing.T) {
	program := Reseed()
	checkProgram(t, program, elf.PF_R|elf.PF_W|elf.PF_X)
	pool := program[len(program)-8-ReseedBytes:]
	if bits, size := binary.LittleEndian.Uint32(pool), binary.LittleEndian.Uint32(pool[4:]); bits != 8*ReseedBytes || size != ReseedBytes {
		t.Errorf("the program credits %d bits for %d bytes", bits, size)
	}
}

func checkProgram(t *testing.T, program []byte, rights elf.ProgFlag) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_EXEC || f.Machine != elf.EM_X86_64 || len(f.Progs) != 1 {
		t.Fatalf("unexpected program: %+v", f.FileHeader)
	}
	segment := f.Progs[0]
	if segment.Filesz != uint64(len(program)) || f.Entry <= segment.Vaddr || f.Entry >= segment.Vaddr+segment.Memsz || segment.Flags != rights {
		t.Errorf("entry %#x, segment %+v, file %d bytes", f.Entry, segment.ProgHeader, len(program))
	}
}

// TestInitScript checks the script with the shell that will run it.
func TestInitScript(t *testing.T) {
	busybox, ok := locate("busybox")
	if !ok {
		t.Fatal("no busybox: apt-get install busybox-static")
	}
	cmd := exec.Command(busybox, "sh", "-n")
	cmd.Stdin = bytes.NewReader(initScript)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

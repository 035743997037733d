package guestimage

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"sort"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
)

// The few files that user space looks up by name.
const (
	passwd   = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
	group    = "root:x:0:\nnogroup:x:65534:\n"
	nsswitch = "passwd: files\ngroup: files\nhosts: files\n"
	shells   = "/bin/sh\n"
	hosts    = "127.0.0.1 localhost\n"
)

// segmentAlign is what a segment's length is padded to. The kernel wants the
// next archive to begin at a multiple of 4; 512 is what cpio(1) uses.
const segmentAlign = 512

// writeArchive writes the base image and returns its SHA-256 in hex.
func writeArchive(ctx context.Context, w io.Writer, tools []tool, libs []string, modules []module) (string, error) {
	hash := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(w, hash), 1<<20)
	seg := newSegment(buffered)
	seg.skeleton()
	if err := applets(ctx, seg, tools); err != nil {
		return "", err
	}
	for _, lib := range libs {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		seg.hostFile(lib)
	}
	for _, t := range tools {
		seg.hostFile(t.path)
		if t.name == "sftp-server" {
			// Where dropbear looks for it.
			seg.symlink("usr/lib/sftp-server", t.path)
		}
	}
	seg.modules(modules)
	if err := seg.close(); err != nil {
		return "", err
	}
	if err := buffered.Flush(); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// applets links busybox's commands. They live in /bin, which is last in the
// guest's PATH, so that a real tool of the same name wins.
func applets(ctx context.Context, seg *segment, tools []tool) error {
	for _, t := range tools {
		if t.name != "busybox" {
			continue
		}
		out, err := exec.CommandContext(ctx, t.path, "--list").Output()
		if err != nil {
			return fmt.Errorf("%s --list: %w", t.path, err)
		}
		names := strings.Fields(string(out))
		sort.Strings(names)
		for _, name := range names {
			if name != "busybox" && !strings.ContainsRune(name, '/') {
				seg.symlink("bin/"+name, t.path)
			}
		}
	}
	return nil
}

// segment writes one cpio archive. The first error sticks and is returned by
// close.
type segment struct {
	out  io.Writer
	size int64
	rec  cpio.RecordWriter
	dirs map[string]bool
	err  error
}

func newSegment(w io.Writer) *segment {
	s := &segment{out: w, dirs: map[string]bool{".": true, "/": true}}
	s.rec = cpio.Newc.Writer(s)
	return s
}

// Write counts what the cpio writer emits.
func (s *segment) Write(p []byte) (int, error) {
	n, err := s.out.Write(p)
	s.size += int64(n)
	return n, err
}

// skeleton writes the folders, device nodes and small files of every guest.
func (s *segment) skeleton() {
	for _, d := range []string{"bin", "dev", "etc", "etc/dropbear", "mnt", "proc", "run", "sbin", "sys", "usr", "usr/lib", "usr/local", "var", "var/log"} {
		s.dir(d, 0o755)
	}
	s.dir("root", 0o700)
	s.dir("root/.ssh", 0o700)
	s.dir("tmp", 0o1777)
	s.symlink("var/run", "/run")
	for _, n := range []struct {
		name         string
		perm         uint64
		major, minor uint64
	}{
		{"console", 0o600, 5, 1}, {"tty", 0o666, 5, 0}, {"ttyS0", 0o600, 4, 64}, {"ptmx", 0o666, 5, 2},
		{"null", 0o666, 1, 3}, {"zero", 0o666, 1, 5},
		{"random", 0o666, 1, 8}, {"urandom", 0o666, 1, 9}, {"kmsg", 0o644, 1, 11},
	} {
		s.add(cpio.CharDev("dev/"+n.name, n.perm, n.major, n.minor))
	}
	s.file("init", initScript, 0o755)
	s.file("etc/passwd", []byte(passwd), 0o644)
	s.file("etc/group", []byte(group), 0o644)
	s.file("etc/nsswitch.conf", []byte(nsswitch), 0o644)
	s.file("etc/shells", []byte(shells), 0o644)
	s.file("etc/hosts", []byte(hosts), 0o644)
	s.symlink("etc/mtab", "/proc/mounts")
}

// hostFile copies a file of the host, links followed, to the same path.
func (s *segment) hostFile(name string) {
	if s.err != nil {
		return
	}
	f, err := os.Open(name)
	if err != nil {
		s.err = err
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		s.err = err
		return
	}
	rel := strings.TrimPrefix(path.Clean(name), "/")
	s.parents(rel)
	s.add(cpio.Record{
		ReaderAt: io.NewSectionReader(f, 0, st.Size()),
		Info:     cpio.Info{Name: rel, Mode: cpio.S_IFREG | uint64(st.Mode().Perm()&0o755), FileSize: uint64(st.Size())},
	})
}

func (s *segment) file(name string, data []byte, perm uint64) {
	s.parents(name)
	s.add(cpio.StaticFile(name, string(data), perm))
}

func (s *segment) symlink(name, target string) {
	s.parents(name)
	s.add(cpio.Symlink(name, target))
}

func (s *segment) dir(name string, perm uint64) {
	s.dirs[name] = true
	s.add(cpio.Directory(name, perm))
}

// parents writes the folders above name that are not there yet; the kernel
// drops a file whose folder it has not seen.
func (s *segment) parents(name string) {
	d := path.Dir(name)
	if s.dirs[d] {
		return
	}
	s.parents(d)
	s.dir(d, 0o755)
}

func (s *segment) add(r cpio.Record) {
	if s.err == nil {
		s.err = s.rec.WriteRecord(r)
	}
}

// close writes the trailer and the padding.
func (s *segment) close() error {
	s.add(cpio.TrailerRecord)
	if s.err != nil {
		return s.err
	}
	if rest := s.size % segmentAlign; rest != 0 {
		_, s.err = s.Write(make([]byte, segmentAlign-rest))
	}
	return s.err
}

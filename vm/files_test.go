package vm

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCopyDisk copies a disk with holes from several goroutines at once, as
// several guests do.
func TestCopyDisk(t *testing.T) {
	dir := t.TempDir()
	from, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	const size = 64 << 20
	want := map[int64][]byte{0: []byte("begin"), 20 << 20: bytes.Repeat([]byte("middle"), 100_000), size - 3: []byte("end")}
	for at, data := range want {
		if _, err := from.WriteAt(data, at); err != nil {
			t.Fatal(err)
		}
	}
	for name, copyTo := range map[string]func(string) (*os.File, error){
		"any way": func(dir string) (*os.File, error) { return copyDisk(from, dir) },
		"by hand": func(dir string) (*os.File, error) {
			to, err := unnamedFile(dir)
			if err == nil {
				err = copySparse(to, from)
			}
			return to, err
		},
	} {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				to, err := copyTo(dir)
				if err != nil {
					t.Error(name, err)
					return
				}
				defer to.Close()
				sameDisk(t, name, from, to)
			})
		}
		wg.Wait()
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func sameDisk(t *testing.T, name string, a, b *os.File) {
	var sums [2][]byte
	var used [2]int64
	for i, f := range []*os.File{a, b} {
		data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
		if err != nil {
			t.Error(name, err)
			return
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			t.Error(name, err)
		}
		sums[i], used[i] = data, st.Blocks
	}
	if !bytes.Equal(sums[0], sums[1]) {
		t.Errorf("%s: the copy has other bytes", name)
	}
	if used[1] > used[0]+1024 {
		t.Errorf("%s: the copy takes %d blocks, the disk %d: holes were filled", name, used[1], used[0])
	}
}

func TestCopyDiskToNowhere(t *testing.T) {
	dir := t.TempDir()
	from, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if _, err := copyDisk(from, filepath.Join(dir, "none")); err == nil {
		t.Error("a copy in a folder that is not there")
	}
}

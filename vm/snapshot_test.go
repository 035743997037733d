package vm

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// fakeSnapshot writes the files of a snapshot without a machine in them.
func fakeSnapshot(t *testing.T, change func(*snapshotRecord)) string {
	t.Helper()
	dir := t.TempDir()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	r := snapshotRecord{Format: snapshotFormat, Disks: 1, Client: make([]byte, ed25519.SeedSize), Host: host.Marshal(),
		Machine: MachineKey(Spec{Disks: []Disk{{SizeMiB: 64}}})}
	change(&r)
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{snapshotFile: data, memoryFile: []byte("memory"), diskName(0): nil} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenSnapshot(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*snapshotRecord)
		remove string
		want   string // in the error
	}{
		{"complete", func(*snapshotRecord) {}, "", ""},
		{"another format", func(r *snapshotRecord) { r.Format++ }, "", "not of format"},
		{"no client key", func(r *snapshotRecord) { r.Client = nil }, "", "not of format"},
		{"a broken host key", func(r *snapshotRecord) { r.Host = r.Host[1:] }, "", "host key"},
		{"a disk is missing", func(r *snapshotRecord) { r.Disks = 2 }, "", "disk1.img"},
		{"no record", func(*snapshotRecord) {}, snapshotFile, snapshotFile},
		{"no memory", func(*snapshotRecord) {}, memoryFile, memoryFile},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := fakeSnapshot(t, test.change)
			if test.remove != "" {
				if err := os.Remove(filepath.Join(dir, test.remove)); err != nil {
					t.Fatal(err)
				}
			}
			s, err := OpenSnapshot(dir)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
					t.Errorf("%v: want an error with %q and the folder", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.fits(Spec{Disks: []Disk{{SizeMiB: 64}}, Append: []string{"quiet"}}); err != nil {
				t.Error(err)
			}
			for _, other := range []Spec{{}, {Disks: []Disk{{SizeMiB: 64}}, VCPUs: 2}, {Disks: []Disk{{SizeMiB: 64}}, MemoryMiB: 64}, {Disks: []Disk{{SizeMiB: 128}}}} {
				if err := s.fits(other); err == nil {
					t.Errorf("%+v fits", other)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWakeScript(t *testing.T) {
	got := wakeScript(time.Unix(1764110000, 999), []byte{0, '%', '\'', 255}, "abcd", "echo 7 >/seed")
	want := `set -e
echo 'patchproof abcd canary begin' >/dev/kmsg
date -s @1764110000 >/dev/null
printf '\000\045\047\377' | /usr/sbin/patchproof-reseed >/dev/urandom
echo 7 >/seed`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestHasConnections(t *testing.T) {
	forward := "  TCP[HOST_FORWARD]  13       127.0.0.1 40123       10.0.2.15    22     0     0\r\n"
	for state, want := range map[string]bool{"ESTABLISHED": true, "FIN_WAIT_2": true, "TIME_WAIT": false, "CLOSED": false} {
		line := "  TCP[" + state + "]   14       127.0.0.1 40123       10.0.2.15    22     0     0\r\n"
		if got := hasConnections(usernetHeader + line + forward); got != want {
			t.Errorf("%s: %v", state, got)
		}
	}
	if hasConnections(usernetHeader+forward) || hasConnections("") {
		t.Error("a forwarded port alone is no connection")
	}
}

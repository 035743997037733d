package vm

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"patchproof/vm/internal/atomicfile"
)

// Snapshot is a machine that was stopped in the middle of its life, kept in a
// folder by Guest.Save. Any number of guests can go on from it, each with its
// own writes, see Spec.Fork. It is open: the folder may be removed meanwhile.
type Snapshot struct {
	record snapshotRecord
	keys   *runKeys
	memory *os.File
	disks  []*os.File
}

// snapshotFormat changes when older snapshots can no longer be gone on from.
const snapshotFormat = 1

// Names of a snapshot's files; its disks are named by diskName.
const (
	snapshotFile = "snapshot.json"
	memoryFile   = "memory"
)

func diskName(index int) string { return fmt.Sprintf("disk%d.img", index) }

// snapshotRecord is snapshot.json. It holds a key, so only its owner reads it.
type snapshotRecord struct {
	Format int `json:"format"`
	// Machine is what MachineKey says of the saved machine.
	Machine string `json:"machine"`
	Disks   int    `json:"disks"`
	// Client is the seed of the client's private key, Host the server's
	// public key in its wire format.
	Client []byte `json:"client"`
	Host   []byte `json:"host"`
}

// MachineKey identifies the virtual hardware of a guest: QEMU loads a state
// into the same hardware only. Kernel, ramdisk and command line are in the
// state itself and say nothing about it; the disks' sizes, which QEMU reads from
// the images, do.
func MachineKey(spec Spec) string {
	spec.Kernel, spec.Initrd, spec.Append = "kernel", "initrd", nil
	words := Arguments(spec, Wiring{})
	for _, d := range spec.Disks {
		words = append(words, fmt.Sprintf("%d MiB", d.SizeMiB))
	}
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return hex.EncodeToString(sum[:])
}

// OpenSnapshot opens what Guest.Save has left in dir. The error says what of it
// is missing or damaged.
func OpenSnapshot(dir string) (*Snapshot, error) {
	s := &Snapshot{}
	if err := s.open(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("saved machine in %s: %w", dir, err), s.Close())
	}
	return s, nil
}

func (s *Snapshot) open(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, snapshotFile))
	if err != nil {
		return err
	}
	r := &s.record
	if err := json.Unmarshal(data, r); err != nil {
		return fmt.Errorf("%s: %w", snapshotFile, err)
	}
	if r.Format != snapshotFormat || len(r.Client) != ed25519.SeedSize {
		return fmt.Errorf("%s is not of format %d", snapshotFile, snapshotFormat)
	}
	host, err := ssh.ParsePublicKey(r.Host)
	if err != nil {
		return fmt.Errorf("%s: host key: %w", snapshotFile, err)
	}
	client := ed25519.NewKeyFromSeed(r.Client)
	signer, err := ssh.NewSignerFromKey(client)
	if err != nil {
		return fmt.Errorf("%s: client key: %w", snapshotFile, err)
	}
	s.keys = &runKeys{hostPublic: host, client: signer, clientKey: client}
	if s.memory, err = os.Open(filepath.Join(dir, memoryFile)); err != nil {
		return err
	}
	for i := range r.Disks {
		f, err := os.Open(filepath.Join(dir, diskName(i)))
		if err != nil {
			return err
		}
		s.disks = append(s.disks, f)
	}
	return nil
}

// Close closes the snapshot's files. Guests that have started from it go on.
func (s *Snapshot) Close() error {
	var errs []error
	for _, f := range append([]*os.File{s.memory}, s.disks...) {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// fits says why a guest cannot go on from the snapshot, or nil.
func (s *Snapshot) fits(spec Spec) error {
	if s.record.Machine != MachineKey(spec.withDefaults()) {
		return errors.New("the saved machine has other hardware: boot, and save it again")
	}
	return nil
}

// reopen opens a file once more, so that readers have a position each.
func reopen(f *os.File) (*os.File, error) { return os.Open(procFD(int(f.Fd()))) }

// Save stops the guest, writes its state to Spec.SaveDir, where its disks are,
// and ends it. Commands must have ended. When it returns nil, the folder is
// complete and on the disk, and the guest is gone without a failure of its own;
// otherwise the folder is of no use.
func (g *Guest) Save(ctx context.Context) error {
	if g.spec.SaveDir == "" {
		return fmt.Errorf("guest %s: it was not started to be saved", g.spec.Name)
	}
	err := g.save(ctx)
	g.mu.Lock()
	g.ev.asked = true
	g.mu.Unlock()
	g.Kill()
	if err == nil {
		err = g.writeSnapshot()
	}
	if err == nil {
		return nil
	}
	// What became of the machine explains the error better than its symptom.
	if f := g.Failure(); f != nil && f.Kind != FailureKilled {
		return f
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("guest %s: saving its state: %w", g.spec.Name, err)
}

func (g *Guest) save(ctx context.Context) error {
	// The copies shall not be born with sessions that have no other end.
	g.link.close()
	g.awaitDisconnected(ctx)
	if err := g.Pause(); err != nil {
		return err
	}
	return g.monitor.saveMemory(ctx, filepath.Join(g.spec.SaveDir, memoryFile))
}

// writeSnapshot completes the folder of a saved guest that is gone.
func (g *Guest) writeSnapshot() error {
	dir := g.spec.SaveDir
	names := []string{memoryFile}
	for i := range g.spec.Disks {
		names = append(names, diskName(i))
	}
	for _, name := range names {
		if err := syncFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	path := filepath.Join(dir, snapshotFile)
	err := atomicfile.WriteJSON(path, ".snapshot-*", snapshotRecord{
		Format: snapshotFormat, Machine: MachineKey(g.spec), Disks: len(g.spec.Disks),
		Client: g.keys.clientKey.Seed(), Host: g.keys.hostPublic.Marshal(),
	})
	if err != nil {
		return err
	}
	return syncFile(path)
}

// syncFile makes a file survive the host's crash.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

package orchestrator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/vm"
)

const (
	// stateFile is the record of a saved machine in its folder: a
	// results.ForkRecord without the key.
	stateFile = "state.json"
	// baseDir is the folder of the logs of the guest that was saved.
	baseDir = "base"
	// markSaved is the last mark of such a guest.
	markSaved = "canary saved"
	// baseSeed starts the perturbation of guests that are going to be saved;
	// the runs that go on from them get seeds of their own.
	baseSeed = 1
	// stateFormat is part of every key: it changes when machines must be made
	// again.
	stateFormat = 1
)

// base is a guest on its way to become a saved machine.
type base struct {
	harness *Harness
	machine *machine
	subject *subject
	forks   *forks
	number  int // of the kernel's saved machines, from 0
	task    string
	begin   time.Time
}

func (b *base) spec(dir string) vm.Spec {
	spec := b.machine.spec(b.subject, baseSeed)
	spec.Name = "base-" + filepath.Base(b.subject.image.ID)
	spec.Dir = filepath.Join(dir, baseDir)
	spec.SaveDir = dir
	return spec
}

// key identifies everything that the saved machine depends on.
func (b *base) key() string {
	m := b.machine
	spec := b.spec("")
	id := struct {
		Format              int
		Kernel, Guest, QEMU string
		Host                string // the guest has measured its processor's clock
		Hardware            string
		Append              []string
		Phases              [][]string
		Salt                string
		Number              int
	}{stateFormat, b.subject.image.SHA256, m.initrd(b.subject).ID, m.host().QEMU, vm.HostBoot(), vm.MachineKey(spec), spec.Append, nil, b.harness.stateSalt, b.number}
	for _, s := range b.subject.steps[:b.forks.steps] {
		id.Phases = append(id.Phases, append([]string{s.Name, s.Command}, s.Checks...))
	}
	data, err := json.Marshal(id)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:32]
}

// baseFault says that the kernel, or the workload on it, is why no machine can be
// saved, and not the host.
type baseFault struct{ error }

// Unwrap returns the cause.
func (f *baseFault) Unwrap() error { return f.error }

// blame makes a baseFault of a guest's failure that the host is not to blame for.
func blame(err error) error {
	var failure *vm.Failure
	if errors.As(err, &failure) && !slices.Contains(hostFailures, failure.Kind) {
		return &baseFault{err}
	}
	return err
}

// make boots the machine, walks it through its phases and saves it in dir.
func (b *base) make(ctx context.Context, dir string) error {
	b.stage(0, "boot")
	guest, err := vm.Start(ctx, b.spec(dir))
	if err != nil {
		return err
	}
	defer guest.Kill()
	record := results.ForkRecord{After: "boot", Made: time.Now()}
	if err := guest.WaitReady(ctx); err != nil {
		return blame(err)
	}
	r := &runner{harness: b.harness, machine: b.machine, subject: b.subject, id: b.task}
	for i, step := range b.subject.steps[:b.forks.steps] {
		b.stage(i+1, step.Name)
		result, err := r.phase(ctx, guest, step)
		if err != nil {
			return blame(err)
		}
		if result.Error != "" {
			return &baseFault{fmt.Errorf("phase %s: %s", step.Name, result.Error)}
		}
		record.After = step.Name
		record.Phases = append(record.Phases, result)
	}
	b.stage(b.forks.steps+1, "save")
	if err := guest.Mark(ctx, markSaved); err != nil {
		return err
	}
	if err := guest.Save(ctx); err != nil {
		return err
	}
	if err := b.clean(dir, guest.Nonce()); err != nil {
		return &baseFault{err}
	}
	if err := b.try(ctx, dir); err != nil {
		return fmt.Errorf("the saved machine does not go on: %w", err)
	}
	return writeState(dir, record)
}

// try lets one guest go on from the machine: what QEMU has saved without a word
// it need not be able to load.
func (b *base) try(ctx context.Context, dir string) error {
	snapshot, err := vm.OpenSnapshot(dir)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	spec := b.spec(dir)
	spec.Name, spec.SaveDir, spec.Dir = "trial", "", filepath.Join(dir, "trial")
	spec.Fork, spec.OnWake = snapshot, b.machine.perturb.reseed(baseSeed)
	defer os.RemoveAll(spec.Dir)
	guest, err := vm.Start(ctx, spec)
	if err != nil {
		return err
	}
	defer guest.Kill()
	return guest.WaitReady(ctx)
}

func (b *base) stage(step int, name string) {
	b.harness.emit(Event{Task: b.task, Stage: name, Done: step, Total: b.forks.steps + 2})
}

// ended says how the wish for a machine ended.
func (b *base) ended(message string) {
	b.harness.emit(Event{Task: b.task, Finished: true, Elapsed: time.Since(b.begin), Message: message})
}

// clean refuses a machine whose log is not whole or holds a report: what a
// kernel has printed before it was saved would be missing in each of its runs,
// and what it has done may be why they fail.
func (b *base) clean(dir, nonce string) error {
	log, err := os.ReadFile(filepath.Join(dir, baseDir, consoleFile))
	if err != nil {
		return err
	}
	return cleanLog(log, nonce, b.machine.match)
}

func cleanLog(log []byte, nonce string, match matcher) error {
	marks := findMarks(log, nonce)
	if n := len(marks); n == 0 || marks[0].text != markBegin || marks[n-1].text != markSaved || !bytes.HasSuffix(log, []byte("\n")) {
		return errors.New("the console log of the machine is not whole")
	}
	reports, err := dmesg.Parse(bytes.NewReader(log))
	if err != nil {
		return err
	}
	for _, rec := range match.records(reports, phaseWindows(marks)) {
		if rec.Benign == "" {
			return fmt.Errorf("its kernel has printed a report already in phase %s: %s", rec.PhaseName, dmesg.Sanitize(rec.Title))
		}
	}
	return nil
}

func readState(dir string) (results.ForkRecord, error) {
	var record results.ForkRecord
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err == nil {
		err = json.Unmarshal(data, &record)
	}
	if err == nil && record.After == "" {
		err = errors.New("no phase in it")
	}
	if err != nil {
		return record, fmt.Errorf("record of a saved machine: %w", err)
	}
	return record, nil
}

// writeState writes the record into a folder that nobody else knows yet.
func writeState(dir string, record results.ForkRecord) (err error) {
	data, err := json.MarshalIndent(record, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, stateFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

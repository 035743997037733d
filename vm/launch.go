package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"patchproof/vm/guestimage"
)

// firstFD is the number that exec.Cmd gives to its first extra file.
const firstFD = 3

// belongings are the open files of one guest on their way to QEMU: those that
// it boots from, or those of the state that it goes on from.
type belongings struct {
	socket *qmpSocket
	initrd *os.File
	memory *stateFeed
	disks  []*os.File
}

// gather makes a guest's files. None of them has a name when it returns.
func gather(spec Spec, nonce string, keys *runKeys) (_ *belongings, err error) {
	b := &belongings{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.socket, err = newQMPSocket(); err != nil {
		return b, err
	}
	if spec.Fork != nil {
		return b, b.restore(spec.Fork, spec.Dir)
	}
	b.initrd, err = runInitrd(spec, nonce, guestimage.Keys{Host: keys.host, Authorized: keys.authorized})
	if err != nil {
		return b, err
	}
	for i := range spec.Disks {
		f, err := guestDisk(spec, i)
		if err != nil {
			return b, err
		}
		b.disks = append(b.disks, f)
	}
	return b, nil
}

// restore takes the files of a saved machine. Its disks are copied, for a disk
// with an overlay is slower in places, and races notice.
func (b *belongings) restore(s *Snapshot, dir string) (err error) {
	if b.memory, err = newStateFeed(s.memory); err != nil {
		return err
	}
	for _, d := range s.disks {
		f, err := copyDisk(d, dir)
		if err != nil {
			return err
		}
		b.disks = append(b.disks, f)
	}
	return nil
}

// files lists them in the order in which QEMU inherits them.
func (b *belongings) files() []*os.File {
	second := b.initrd
	if b.memory != nil {
		second = b.memory.far
	}
	return append([]*os.File{b.socket.listener, second}, b.disks...)
}

// wiring tells QEMU about them.
func (b *belongings) wiring(nonce string) Wiring {
	w := Wiring{MonitorFD: firstFD, Nonce: nonce}
	if b.memory != nil {
		w.StateFD = firstFD + 1
	} else {
		w.Initrd = procFD(firstFD + 1)
	}
	for i := range b.disks {
		w.Disks = append(w.Disks, procFD(firstFD+2+i))
	}
	return w
}

// close closes the harness's descriptors; QEMU has its own by then. Were the
// listening socket kept, a QEMU that dies early would leave the connection
// waiting for ever.
func (b *belongings) close() error {
	var errs []error
	if b.socket != nil {
		errs = append(errs, b.socket.listener.Close())
	}
	if b.memory != nil {
		errs = append(errs, b.memory.close())
	}
	for _, f := range append([]*os.File{b.initrd}, b.disks...) {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// launch starts QEMU and the console pump.
func (g *Guest) launch(ctx context.Context, qemu string) error {
	keys, err := g.spec.keys()
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := writeByHand(g.spec, qemu); err != nil {
		return err
	}
	b, err := gather(g.spec, g.nonce, keys)
	if err != nil {
		return err
	}
	err = g.spawn(qemu, b)
	if err != nil {
		err = errors.Join(err, b.socket.mon.Disconnect())
	}
	g.keys, g.socket = keys, b.socket
	return errors.Join(err, b.close())
}

// spawn starts the process with its output going to the logs.
func (g *Guest) spawn(qemu string, b *belongings) (err error) {
	qemuLog, err := os.Create(filepath.Join(g.spec.Dir, "qemu.log"))
	if err != nil {
		return err
	}
	defer qemuLog.Close()
	consoleLog, err := os.Create(filepath.Join(g.spec.Dir, "console.log"))
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return errors.Join(err, consoleLog.Close())
	}
	defer w.Close()
	cmd := exec.Command(qemu, Arguments(g.spec, b.wiring(g.nonce))...)
	cmd.Stdout, cmd.Stderr = w, qemuLog
	cmd.ExtraFiles = b.files()
	g.started = time.Now()
	g.console = &consolePump{
		in: r, log: consoleLog, extra: g.spec.Console, start: g.started, done: make(chan struct{}),
		onError: func(err error) {
			g.decide(FailureDiskFull, err.Error()+"; make room and run again", err)
		},
		scan: newScanner(g.nonce, g.onConsole),
	}
	if g.load, err = startLoad(g.spec.Load); err != nil {
		return errors.Join(err, consoleLog.Close(), r.Close())
	}
	if g.proc, err = startProcess(cmd); err != nil {
		endAll(g.load)
		return errors.Join(err, consoleLog.Close(), r.Close())
	}
	if b.memory != nil {
		g.fed = b.memory.run()
	}
	go g.console.run()
	return nil
}

// attach shakes hands with QEMU and learns which port leads to the guest.
func (g *Guest) attach(ctx context.Context) error {
	patience := qmpTimeout
	if g.spec.Fork != nil {
		patience += statePatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := g.socket.connect(ctx, g.onQMP)
	if err != nil {
		return errors.Join(err, g.socket.mon.Disconnect())
	}
	g.monitor = m
	g.mu.Lock()
	g.ev.connected = true
	g.mu.Unlock()
	if g.spec.Fork != nil {
		if err := m.resume(ctx); err != nil {
			return err
		}
		close(g.saidReady) // before it was saved
	}
	port := 0
	if g.spec.NoNetwork {
		g.link = &sshLink{config: g.keys.config(port)}
		return nil
	}
	text, err := m.human(ctx, "info usernet")
	if err != nil {
		return err
	}
	if port, err = parseUsernet(text); err != nil {
		return err
	}
	g.link = &sshLink{config: g.keys.config(port)}
	return nil
}

// keys are the saved machine's, which are in its memory, or new ones.
func (s Spec) keys() (*runKeys, error) {
	if s.Fork != nil {
		return s.Fork.keys, nil
	}
	return newRunKeys()
}

// FindQEMU returns the path of the emulator: the one given, or the one in PATH.
func FindQEMU(given string) (string, error) {
	path, err := exec.LookPath(first(given, "qemu-system-x86_64"))
	if err != nil {
		return "", fmt.Errorf("%w (apt-get install qemu-system-x86, or name the program)", err)
	}
	return filepath.Abs(path)
}

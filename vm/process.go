package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a QEMU that cannot outlive the harness.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	// err is cmd.Wait's answer, valid once exited is closed.
	err error
}

// startProcess starts cmd in a process group of its own, so that a terminal's
// Ctrl-C reaches only the harness, which then ends its guests in order.
//
// The child asks the kernel for SIGKILL at its parent's death. That parent is a
// thread, not a process (prctl(2), PR_SET_PDEATHSIG), and Go ends threads as it
// likes; hence the goroutine that keeps its thread until the child is reaped.
func startProcess(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the whole process group. It does nothing to one that is reaped.
func (p *process) kill() {
	select {
	case <-p.exited:
		return
	default:
	}
	// The group may have members that QEMU started; Process.Kill is safe
	// against a reused process id, the group is not, hence the order.
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
	_ = p.cmd.Process.Kill()
}

// exit is how the process ended.
type exit struct {
	code   int
	signal syscall.Signal // 0 when it ended by itself
}

// status is valid once exited is closed.
func (p *process) status() exit {
	var ee *exec.ExitError
	if !errors.As(p.err, &ee) {
		return exit{}
	}
	if ws, ok := ee.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return exit{signal: ws.Signal()}
	}
	return exit{code: ee.ExitCode()}
}

// stopped tells whether the process is stopped by a signal (state T in
// /proc/PID/stat, proc(5)); such a QEMU cannot even say that it is.
func (p *process) stopped() bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	return err == nil && statState(string(data)) == 'T'
}

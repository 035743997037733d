package vm

import (
	"fmt"
	"os/exec"
)

// maxLoad bounds Spec.Load: more busy processes than that measure nothing but
// the host's scheduler.
const maxLoad = 64

// startLoad starts processes that do nothing but keep a processor busy. They
// have the priority of whoever starts them, which is the guest's too.
func startLoad(n int) ([]*process, error) {
	var load []*process
	for range n {
		p, err := startProcess(exec.Command("sh", "-c", "while :; do :; done"))
		if err != nil {
			endAll(load)
			return nil, fmt.Errorf("busy process beside the guest: %w", err)
		}
		load = append(load, p)
	}
	return load, nil
}

// endAll kills processes and returns when they are reaped.
func endAll(list []*process) {
	for _, p := range list {
		p.kill()
	}
	for _, p := range list {
		<-p.exited
	}
}

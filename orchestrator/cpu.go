package orchestrator

import (
	"errors"
	"time"

	"patchproof/vm"
)

// errRunLimit is why a run was cut, see machine.cpuLimit.
var errRunLimit = errors.New("its limit of processor time is used up")

const (
	// cpuLook is how often a limited run's processor time is looked at.
	cpuLook = 100 * time.Millisecond
	// idleFactor is how much longer than its processor time allows a limited run
	// may take by the clock: one that only waits does not go on for ever.
	idleFactor = 4
)

// limitCPU cuts the run when its guest has taken more than the machine allows.
// stop ends the watch.
func (r *runner) limitCPU(guest *vm.Guest) (stop func()) {
	limit := time.Duration(r.machine.cpuLimit * float64(time.Second))
	if limit <= 0 {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(cpuLook)
		defer tick.Stop()
		for guest.CPUTime() < limit && time.Since(r.begin) < idleFactor*limit {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
		r.cut(errRunLimit)
	}()
	return func() {
		close(quit)
		<-done
	}
}

// recordCPU records what a guest that has ended took.
func (r *runner) recordCPU(guest *vm.Guest) {
	r.cpu.Total = guest.CPUTime().Seconds()
	r.keep(r.record.CPU(r.cpu))
}

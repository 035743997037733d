package orchestrator

import (
	"path/filepath"
	"sync"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/vm/statecache"
)

// Harness holds what all commands share: where things are kept, which QEMU to
// use, and who wants to see the progress. The zero value of an optional field
// means the default.
type Harness struct {
	// CacheDir keeps kernels, guest images, saved machines and the
	// accelerator's answer.
	CacheDir string
	// ResultsDir keeps a folder for each campaign.
	ResultsDir string
	// QEMU is the emulator; empty means qemu-system-x86_64 from PATH.
	QEMU string
	// PerturbSeed is where the seeds of perturbed runs come from; 0 means a
	// random one.
	PerturbSeed uint64
	// Fork says whether runs may go on from saved machines.
	Fork ForkMode
	// Version of patchproof and Command line, for the record.
	Version string
	Command []string
	// Events gets the progress; calls do not overlap. It may be nil.
	Events func(Event)
	// BeforeShell is called when the guest of Shell is about to take over the
	// terminal: a progress display must end there. It may be nil.
	BeforeShell func()

	eventMu sync.Mutex
	// stateSalt, unless empty, sets saved machines apart from all others of the
	// cache, so that they are made anew.
	stateSalt string
}

// OpenKernels opens the kernel cache.
func (h *Harness) OpenKernels() (*kernels.Store, error) {
	return kernels.OpenStore(filepath.Join(h.CacheDir, "kernels"))
}

// ForkMode says where runs begin.
type ForkMode string

// The modes. The zero value is ForkOff.
const (
	ForkAuto ForkMode = "auto" // from a saved machine where that is possible
	ForkOff  ForkMode = "off"  // with a boot
)

// OpenStates opens the cache of saved machines.
func (h *Harness) OpenStates() (*statecache.Cache, error) {
	return statecache.Open(filepath.Join(h.CacheDir, "states"), 0)
}

// OpenResults opens the store of campaigns.
func (h *Harness) OpenResults() (*results.Store, error) {
	return results.OpenStore(h.ResultsDir)
}

// InputError is a mistake in what the user gave: a plan, a flag, a path. It is
// found before any guest boots.
type InputError struct{ Err error }

// Error implements error.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

func inputError(err error) error {
	if err == nil {
		return nil
	}
	return &InputError{Err: err}
}

package orchestrator

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"patchproof/results"
	"patchproof/vm"
	"patchproof/workloads"
)

// JobsKey is what the number of guests at a time that gets most done depends on.
type JobsKey struct {
	CPU       string `json:"cpu"` // name of the host's processor
	Cores     int    `json:"cores"`
	Accel     string `json:"accel"`
	VCPUs     int    `json:"vcpus"` // of a guest
	MemoryMiB int    `json:"memory_mib"`
}

// String is the guest that the number is for.
func (k JobsKey) String() string {
	return fmt.Sprintf("guests of %s under %s", size(k.VCPUs, k.MemoryMiB), k.Accel)
}

// mostJobs is more guests than any host is asked to run at a time.
const mostJobs = 1024

// thisHost is the key of guests on this host.
func thisHost(accel vm.Accelerator, g workloads.Guest) JobsKey {
	return JobsKey{CPU: vm.HostCPU(), Cores: runtime.NumCPU(), Accel: string(accel), VCPUs: g.VCPUs, MemoryMiB: g.MemoryMiB()}
}

func (h *Harness) jobsFolder() string { return filepath.Join(h.CacheDir, "jobs") }

// jobsFile is named after the key, so that a measurement for other guests or of
// another host is not found.
func (h *Harness) jobsFile(k JobsKey) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %q %d %d", k.CPU, k.Cores, k.Accel, k.VCPUs, k.MemoryMiB))
	return filepath.Join(h.jobsFolder(), hex.EncodeToString(sum[:8])+".json")
}

// readJobs reads a measurement from the cache.
func readJobs(path string) (*JobsBench, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var b JobsBench
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if b.Jobs < 1 || b.Jobs > mostJobs {
		return nil, fmt.Errorf("%s: %d guests at a time", path, b.Jobs)
	}
	return &b, nil
}

// keepJobs puts a measurement into the cache.
func (h *Harness) keepJobs(b *JobsBench) error {
	data, err := json.MarshalIndent(b, "", "  ")
	if err == nil {
		err = os.MkdirAll(h.jobsFolder(), 0o755)
	}
	if err == nil {
		err = results.ReplaceFile(h.jobsFile(b.JobsKey), bytes.NewReader(append(data, '\n')), true)
	}
	if err != nil {
		return fmt.Errorf("keeping the number of guests at a time: %w", err)
	}
	return nil
}

// measuredJobs returns what was measured for such guests on this host, 0 when
// nothing was. The accelerator is the one that guests get as far as is known
// without booting one. A file that cannot be used counts as none, and a line
// says so.
func (h *Harness) measuredJobs(ctx context.Context, g workloads.Guest) int {
	if _, err := os.Stat(h.jobsFolder()); err != nil {
		return 0
	}
	probe, err := vm.ProbeAccelerator(ctx, vm.ProbeOptions{QEMU: h.QEMU, CacheDir: h.CacheDir, Force: forced(g.Accel)})
	if err != nil {
		return 0 // whoever starts a guest will say it
	}
	key := thisHost(probe.Accel, g)
	b, err := readJobs(h.jobsFile(key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0
	case err == nil && b.JobsKey != key:
		err = errors.New("it is of another host or other guests")
	}
	if err != nil {
		h.note(fmt.Sprintf("the measured number of guests at a time is not used: %v; 'patchproof bench jobs' measures it anew", err))
		return 0
	}
	return b.Jobs
}

// defaultJobs is how many guests run at a time when nobody says: what was
// measured, or as many as have cores and memory of their own; always one.
func (h *Harness) defaultJobs(ctx context.Context, g workloads.Guest) int {
	all := h.capacity(0)
	jobs := cmp.Or(h.measuredJobs(ctx, g), all.cpus/max(1, g.VCPUs))
	return max(1, min(jobs, all.memMiB/max(1, g.MemoryMiB())))
}

// needs returns what a run takes from the host, for every guest. jobs is the
// number of guests at a time that was asked for, or 0.
func (h *Harness) needs(ctx context.Context, jobs int) func(workloads.Guest) room {
	measured := map[JobsKey]int{}
	return func(g workloads.Guest) room {
		r := room{memMiB: g.MemoryMiB(), diskMiB: g.DiskMiB(), guests: 1}
		atOnce := jobs
		if atOnce == 0 {
			key := thisHost(vm.Accelerator(g.Accel), g)
			if _, known := measured[key]; !known {
				measured[key] = h.measuredJobs(ctx, g)
			}
			atOnce = measured[key]
		}
		if atOnce == 0 {
			r.cpus = g.VCPUs
		} else {
			r.share = 1 / float64(atOnce)
		}
		return r
	}
}

// checkJobs says what the host's measurements are.
func (h *Harness) checkJobs() Finding {
	f := Finding{Name: "guests at a time"}
	files, err := filepath.Glob(filepath.Join(h.jobsFolder(), "*.json"))
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	for _, file := range files {
		b, err := readJobs(file)
		text := ""
		switch {
		case err != nil:
			text = "not used: " + err.Error()
		case b.CPU != vm.HostCPU() || b.Cores != runtime.NumCPU():
			continue
		default:
			f.OK = true
			text = fmt.Sprintf("%d for %v, measured %s", b.Jobs, b.JobsKey, b.Measured.Format("2006-01-02"))
		}
		if f.Detail != "" {
			f.Detail += "; "
		}
		f.Detail += text
	}
	if f.Detail == "" {
		f.Detail = "not measured, so as many as have processors of their own: 'patchproof bench jobs PLAN' finds how many get most done"
	}
	return f
}

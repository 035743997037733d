package orchestrator

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/vm"
	"patchproof/workloads"
)

// DefaultShare is the part of the function boundaries at which a perturbed
// kernel yields when nothing else is said; docs/perturb.md has the
// measurements.
const DefaultShare = workloads.Share(0.125)

// shareUnits is the hook's unit of a share: it yields at N in 65536 calls.
const shareUnits = 65536

// perturbation is how the kernels of a campaign are perturbed.
type perturbation struct {
	paths []string
	share workloads.Share
	seed  uint64
	// only is a seed that every run gets; 0 means that each gets its own.
	only uint64
}

// newPerturbation fills in what a plan leaves open. auto finds the folders
// when the plan names none.
func newPerturbation(p *workloads.Perturb, seed uint64, auto func() ([]string, error)) (*perturbation, error) {
	if p == nil {
		return nil, nil
	}
	if p.Preempt != nil && !*p.Preempt {
		return nil, inputError(errors.New("perturb: preempt: false cannot be built: without a preemptible kernel nothing tells where a task may yield"))
	}
	out := &perturbation{paths: p.Paths, share: p.Share, seed: seed}
	if out.share == 0 {
		out.share = DefaultShare
	}
	if len(out.paths) == 0 {
		var err error
		if out.paths, err = auto(); err != nil {
			return nil, err
		}
	}
	if out.seed == 0 {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, fmt.Errorf("seed for perturbed kernels: %w", err)
		}
		// Seeds stay below 2^31 so that every tool and shell can hold them.
		out.seed = binary.LittleEndian.Uint64(b[:])>>33 + 1
	}
	return out, nil
}

// ParsePerturb reads --perturb: "off", "auto", or folders and C files with
// commas between them; the last two may end in ":SHARE", such as ":1/8". The
// result is nil for "off".
func ParsePerturb(text string) (*workloads.Perturb, error) {
	names, share, hasShare := strings.Cut(text, ":")
	p := &workloads.Perturb{}
	if hasShare {
		var err error
		if p.Share, err = workloads.ParseShare(share); err != nil {
			return nil, inputError(fmt.Errorf("--perturb: %w", err))
		}
	}
	switch {
	case names == "off" && !hasShare:
		return nil, nil
	case names == "" || names == "off":
		return nil, inputError(fmt.Errorf("--perturb: expected auto, off, or folders such as fs/btrfs:1/4, got %q", text))
	case names != "auto":
		for _, name := range strings.Split(names, ",") {
			p.Paths = append(p.Paths, path.Clean(strings.TrimSpace(name)))
		}
	}
	return p, nil
}

// runSeed is the seed of the run with the given number: splitmix64 (Steele,
// Lea and Flood, 2014) over the campaign's seed, so that runs differ and a
// campaign can be repeated.
func (p *perturbation) runSeed(index int) uint64 {
	if p == nil {
		return 0
	}
	if p.only != 0 {
		return p.only
	}
	z := p.seed + uint64(index)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (z^z>>31)>>33 + 1
}

// words are the kernel command line's, for one run.
func (p *perturbation) words(seed uint64) []string {
	if p == nil {
		return nil
	}
	units := max(1, int(float64(p.share)*shareUnits+0.5))
	return []string{fmt.Sprintf("patchproof_perturb.share=%d", units), fmt.Sprintf("patchproof_perturb.seed=%d", seed)}
}

// reseed is the command line that gives a machine that has booted the seed that
// words gives to one that boots.
func (p *perturbation) reseed(seed uint64) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("echo %d >/sys/module/patchproof_perturb/parameters/seed", seed)
}

// shape is the part of a machine's name that keeps perturbed and plain runs
// out of one statistic.
func (p *perturbation) shape() string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf(", perturbed %s at %v", strings.Join(p.paths, " "), p.share)
}

func (p *perturbation) record() *results.Perturbation {
	if p == nil {
		return nil
	}
	return &results.Perturbation{Paths: p.paths, Share: float64(p.share), Seed: p.seed}
}

func (p *perturbation) spec() *kernels.Perturb {
	if p == nil {
		return nil
	}
	return &kernels.Perturb{Paths: p.paths}
}

// pathsOf chooses what to perturb from the files that change: the C files among
// them, and their folder when there is one only. The other side of a race has a
// window too, and a patch to one file says nothing of where that is.
func pathsOf(files []string) ([]string, error) {
	var paths []string
	for _, f := range files {
		if kernels.Perturbable(f) {
			paths = append(paths, f)
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	if len(paths) == 1 {
		paths[0] = path.Dir(paths[0])
	}
	if len(files) == 0 {
		return nil, inputError(errors.New("perturb: auto takes the files that patches change, and no patch is given: name folders that the race runs through"))
	}
	if len(paths) == 0 {
		return nil, inputError(fmt.Errorf("perturb: none of the files that the patch changes can be perturbed (%s): name folders that the race runs through", strings.Join(files, ", ")))
	}
	return paths, nil
}

// perturbStats reads what the hook has counted in a guest.
func perturbStats(ctx context.Context, guest *vm.Guest) (results.PerturbStats, error) {
	var stats results.PerturbStats
	out, err := guest.Run(ctx, "cd /sys/module/patchproof_perturb/parameters && cat calls yields")
	if err != nil {
		return stats, err
	}
	fields := strings.Fields(string(out.Stdout))
	if out.Status != 0 || len(fields) != 2 {
		return stats, errNoHook
	}
	if stats.Calls, err = strconv.ParseUint(fields[0], 10, 64); err == nil {
		stats.Yields, err = strconv.ParseUint(fields[1], 10, 64)
	}
	if err != nil {
		return stats, errNoHook
	}
	return stats, nil
}

var errNoHook = errors.New("the kernel has no hook of patchproof, or no /sys: it is not perturbed")

// checkPerturbed records what a perturbed kernel did. A run in which it never
// yielded is the run of a plain kernel.
func (r *runner) checkPerturbed(ctx context.Context, guest *vm.Guest) (invalid string) {
	if r.machine.perturb == nil {
		return ""
	}
	stats, err := perturbStats(ctx, guest)
	if errors.Is(err, errNoHook) {
		return err.Error()
	}
	if err != nil {
		return r.failed(ctx, err)
	}
	r.keep(r.record.Perturb(stats))
	if stats.Yields == 0 {
		return fmt.Sprintf("the perturbed kernel never yielded (%d function boundaries): the workload does not reach the perturbed folders, or the share is too small", stats.Calls)
	}
	return ""
}

// patchedPaths finds what to perturb in a pair of kernels: the files of all
// their patches, or what changed between two revisions.
func patchedPaths(ctx context.Context, pre, post kernels.Spec) ([]string, error) {
	var files []string
	if post.Tree != "" && pre.Tree == post.Tree && pre.Rev != post.Rev {
		changed, err := kernels.ChangedFiles(ctx, post.Tree, pre.Rev, post.Rev)
		if err != nil {
			return nil, inputError(err)
		}
		files = changed
	}
	patched, err := kernels.PatchFiles(append(slices.Clone(pre.Patches), post.Patches...))
	if err != nil {
		return nil, inputError(err)
	}
	return pathsOf(append(files, patched...))
}

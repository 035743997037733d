package orchestrator

import (
	"slices"
	"strings"
	"testing"

	"patchproof/workloads"
)

func TestParsePerturb(t *testing.T) {
	for _, tt := range []struct {
		text  string
		paths []string
		share workloads.Share
		off   bool
		fails bool
	}{
		{text: "off", off: true},
		{text: "auto"},
		{text: "auto:1/8", share: 0.125},
		{text: "fs/btrfs", paths: []string{"fs/btrfs"}},
		{text: "fs/btrfs/,mm/shmem.c:1/4", paths: []string{"fs/btrfs", "mm/shmem.c"}, share: 0.25},
		{text: "", fails: true},
		{text: ":1/4", fails: true},
		{text: "off:1/4", fails: true},
		{text: "fs/btrfs:much", fails: true},
	} {
		p, err := ParsePerturb(tt.text)
		if (err != nil) != tt.fails {
			t.Errorf("ParsePerturb(%q): %v", tt.text, err)
			continue
		}
		if tt.fails {
			continue
		}
		if (p == nil) != tt.off {
			t.Errorf("ParsePerturb(%q) = %+v", tt.text, p)
			continue
		}
		if p != nil && (!slices.Equal(p.Paths, tt.paths) || p.Share != tt.share) {
			t.Errorf("ParsePerturb(%q) = %+v, want %v at %v", tt.text, p, tt.paths, tt.share)
		}
	}
}

func TestRunSeeds(t *testing.T) {
	p := &perturbation{paths: []string{"fs/btrfs"}, share: 0.25, seed: 7}
	seen := map[uint64]bool{}
	for i := range 1000 {
		s := p.runSeed(i)
		if s == 0 || s > 1<<31 || seen[s] {
			t.Fatalf("seed %d of run %d is zero, too large or not new", s, i)
		}
		if s != p.runSeed(i) {
			t.Fatal("a run's seed is not the same twice")
		}
		seen[s] = true
	}
	p.only = 99
	if p.runSeed(1) != 99 || p.runSeed(2) != 99 {
		t.Error("a seed given by the user is not used")
	}
	if got := p.words(99); !slices.Equal(got, []string{"patchproof_perturb.share=16384", "patchproof_perturb.seed=99"}) {
		t.Errorf("words = %q", got)
	}
	var plain *perturbation
	if plain.runSeed(1) != 0 || plain.words(1) != nil || plain.shape() != "" || plain.spec() != nil || plain.record() != nil {
		t.Error("a plain kernel has a trace of perturbation")
	}
}

func TestPathsOf(t *testing.T) {
	got, err := pathsOf([]string{"fs/btrfs/inode.c", "fs/btrfs/ctree.h", "fs/btrfs/file.c", "fs/btrfs/inode.c", "Documentation/x.rst", "arch/x86/mm/fault.c", "include/linux/fs.h"})
	if err != nil || !slices.Equal(got, []string{"fs/btrfs/file.c", "fs/btrfs/inode.c"}) {
		t.Errorf("paths = %q, %v", got, err)
	}
	got, err = pathsOf([]string{"mm/shmem.c", "mm/internal.h"})
	if err != nil || !slices.Equal(got, []string{"mm"}) {
		t.Errorf("paths of one file = %q, %v", got, err)
	}
	if _, err := pathsOf([]string{"arch/x86/mm/fault.c", "include/linux/fs.h"}); err == nil {
		t.Error("a patch without a file that can be perturbed was accepted")
	}
	if _, err := pathsOf(nil); err == nil || !strings.Contains(err.Error(), "no patch is given") {
		t.Errorf("no patch at all: %v", err)
	}
}

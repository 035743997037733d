package results

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"patchproof/results/judge"
)

// IsCampaign reports whether a folder is, or was about to become, the folder of
// a campaign: whether any of the files and folders is there that Create makes.
func IsCampaign(dir string) bool {
	for _, name := range []string{campaignFile, planFile, string(judge.Pre), string(judge.Post), string(Single)} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// RunPaths lists a campaign's run folders relative to it, such as "pre/001", by
// side and number. What is in them is not looked at.
func RunPaths(dir string) ([]string, error) {
	var paths []string
	for _, side := range allSides {
		entries, err := os.ReadDir(filepath.Join(dir, string(side)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the %s runs: %w", side, err)
		}
		for _, e := range entries {
			if e.IsDir() {
				paths = append(paths, filepath.Join(string(side), e.Name()))
			}
		}
	}
	return paths, nil
}

// ReadRun reads one run folder, path being as RunPaths has it. ended is false
// for a run whose record has no end: one in flight, or one that was broken off.
// warning is about damage that could be made up for.
func ReadRun(dir, path string) (r Run, ended bool, warning string, err error) {
	r, ended, warning, err = readRun(filepath.Join(dir, path))
	if side := judge.Side(filepath.Dir(path)); err == nil && r.Side != side {
		err = fmt.Errorf("its record is of a run of side %q", r.Side)
	}
	return r, ended, warning, err
}

// Counted reports whether a run takes part in statistics: it has ended, and was
// not stopped from outside before it had shown anything.
func Counted(r *Run) bool { return r.Outcome != "" && r.counts() }

// Sides lists the sides that a run can be of, which are also the names of the
// folders that runs are in.
func Sides() []judge.Side { return slices.Clone(allSides) }

package results

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// unit is what is compared with itself: a cell, or a side of a verification, in
// guests of one shape and accelerator, since the rate of a race depends on both.
type unit struct{ cell, guests string }

// tally holds the runs that count, by unit: before in [0], after in [1].
type tally struct {
	units map[unit]*[2][]Seen
	apart []string
}

func newTally(before []Observed, after Observed) *tally {
	t := &tally{units: map[unit]*[2][]Seen{}}
	for _, r := range before {
		t.add(0, r.Runs)
	}
	t.add(1, after.Runs)
	skipped := map[string]string{}
	for _, r := range append(slices.Clone(before), after) {
		if r.Campaign.Matrix != nil {
			for _, cell := range r.Campaign.Matrix.Cells {
				skipped[cell.Key] = cmp.Or(cell.Skipped, skipped[cell.Key])
			}
		}
	}
	for _, u := range t.sorted() {
		runs := t.units[u]
		if len(runs[0]) > 0 && len(runs[1]) > 0 {
			continue
		}
		where := "only before"
		if len(runs[0]) == 0 {
			where = "only after"
		}
		reason := fmt.Sprintf("%s (%s): runs %s", line(u.cell), u.guests, where)
		if why := skipped[u.cell]; why != "" {
			reason += ", " + line(why)
		}
		t.apart = append(t.apart, reason)
		delete(t.units, u)
	}
	return t
}

func (t *tally) add(side int, runs []Seen) {
	for _, r := range runs {
		u := unit{cell: r.Cell, guests: r.Guests}
		if t.units[u] == nil {
			t.units[u] = new([2][]Seen)
		}
		t.units[u][side] = append(t.units[u][side], r)
	}
}

func (t *tally) sorted() []unit {
	return slices.SortedFunc(maps.Keys(t.units), func(a, b unit) int {
		return cmp.Or(cmp.Compare(a.cell, b.cell), cmp.Compare(a.guests, b.guests))
	})
}

// finding is a Finding in the making.
type finding struct {
	Finding
	tables []judge.Table
	// ran and showed are the kernel images of the runs, before in [0]: those that
	// were able to show it, and those that did, with their cells.
	ran, showed [2]map[image]bool
}

// image is a kernel image in a cell.
type image struct{ cell, sha string }

// cellFindings returns a finding for each unit and kind of failure seen in it.
func (t *tally) cellFindings() []*finding {
	var out []*finding
	for _, u := range t.sorted() {
		kinds := map[string]*kindOfFailure{}
		var order []string
		for _, runs := range t.units[u] {
			for i := range runs {
				for _, seen := range runs[i].Reports {
					k := kinds[seen.Fingerprint]
					if k == nil {
						k = &kindOfFailure{seen: seen}
						kinds[seen.Fingerprint] = k
						order = append(order, seen.Fingerprint)
					}
					k.seen.Phase = min(k.seen.Phase, seen.Phase)
					k.seen.Signature = k.seen.Signature || seen.Signature
					k.of = cmp.Or(k.of, runs[i].Kinds[seen.Fingerprint])
				}
			}
		}
		for _, print := range order {
			out = append(out, kinds[print].finding(u, t.units[u]))
		}
	}
	return out
}

// kindOfFailure is one fingerprint, with the first phase that it came in.
type kindOfFailure struct {
	seen judge.SeenReport
	of   dmesg.Kind // empty when it is a failure without a report
}

// finding counts the runs of a unit that showed it, and those that were able to.
func (k *kindOfFailure) finding(u unit, runs *[2][]Seen) *finding {
	f := &finding{Finding: Finding{Fingerprint: line(k.seen.Fingerprint), Title: line(k.seen.Title), Signature: k.seen.Signature, Cell: line(u.cell)}}
	for side, share := range []*Share{&f.Before, &f.After} {
		f.ran[side], f.showed[side] = map[image]bool{}, map[image]bool{}
		for i := range runs[side] {
			o := &runs[side][i]
			shows := slices.ContainsFunc(o.Reports, func(r judge.SeenReport) bool { return r.Fingerprint == k.seen.Fingerprint })
			if !shows && !o.Could(k.seen.Fingerprint, k.of, k.seen.Phase) {
				continue
			}
			share.Able++
			at := image{u.cell, o.KernelSHA}
			f.ran[side][at] = true
			if shows {
				share.Seen++
				f.showed[side][at] = true
			}
		}
	}
	f.tables = []judge.Table{{Events1: f.Before.Seen, Runs1: f.Before.Able, Events2: f.After.Seen, Runs2: f.After.Able}}
	return f
}

// overallFindings joins the findings of cells by kind of failure. Cells that
// never showed it take no part: they hold no information on whether its rate has
// changed, and the exact test gives the same answer with them.
func (t *tally) overallFindings(cells []*finding) []*finding {
	var out []*finding
	at := map[string]*finding{}
	for _, f := range cells {
		all := at[f.Fingerprint]
		if all == nil {
			all = &finding{Finding: Finding{Fingerprint: f.Fingerprint, Title: f.Title}}
			for side := range all.ran {
				all.ran[side], all.showed[side] = map[image]bool{}, map[image]bool{}
			}
			at[f.Fingerprint] = all
			out = append(out, all)
		}
		all.Signature = all.Signature || f.Signature
		all.Before.Seen, all.Before.Able = all.Before.Seen+f.Before.Seen, all.Before.Able+f.Before.Able
		all.After.Seen, all.After.Able = all.After.Seen+f.After.Seen, all.After.Able+f.After.Able
		all.tables = append(all.tables, f.tables...)
		for side := range all.ran {
			maps.Copy(all.ran[side], f.ran[side])
			maps.Copy(all.showed[side], f.showed[side])
		}
	}
	return out
}

func (f *finding) exact() float64 { return judge.StratifiedExact(f.tables) }

// moreOften says whether the failure is seen more often after, compared with
// what each cell's runs would give at equal rates.
func (f *finding) moreOften() bool {
	excess := 0.0
	for _, t := range f.tables {
		if n := t.Runs1 + t.Runs2; n > 0 {
			excess += float64(t.Events2) - float64(t.Events1+t.Events2)*float64(t.Runs2)/float64(n)
		}
	}
	return excess > 0
}

// flaky reports whether a kernel image that did not show the failure on one side
// has shown it on the other, or, as far as is known, in another campaign.
func (f *finding) flaky(shown func(cell, kernelSHA, fingerprint string) bool) bool {
	clean, other := 0, 1
	if f.Before.Seen > 0 {
		clean, other = 1, 0
	}
	for at := range f.ran[clean] {
		if at.sha != "" && (f.showed[other][at] || shown != nil && shown(at.cell, at.sha, f.Fingerprint)) {
			return true
		}
	}
	return false
}

// sameKernel reports whether all runs were of the same kernel images, cell by
// cell.
func (f *finding) sameKernel() bool {
	for at := range f.ran[0] {
		if at.sha == "" {
			return false
		}
	}
	return maps.Equal(f.ran[0], f.ran[1])
}

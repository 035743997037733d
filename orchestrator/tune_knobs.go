package orchestrator

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm"
	"patchproof/workloads"
)

// knob is one thing that a tuning turns: a variable of the workload, or one of
// workloads.TuneKnobs.
type knob struct {
	name string
	// field is where a variable stands in the workload; empty for other knobs and
	// for variables that stand elsewhere.
	field  string
	values []string
	start  int // index of the start's value
}

// knobKeep is the start's value of workloads.KnobPreempt.
const knobKeep = "keep"

// The fields of a sysbench phase that make good knobs.
const (
	fieldThreads   = "threads"
	fieldFiles     = "files"
	fieldTotalSize = "total_size"
	fieldBlockSize = "block_size"
	fieldEvents    = "events"
)

// variableKnobs are the knobs that are variables of the workload, by name. Those
// that w.Tune says nothing of are turned when their field is known; what a number
// in a shell command means is anybody's guess.
func variableKnobs(plan *workloads.Plan, w *workloads.Workload) []knob {
	fields, variables := plan.VariableFields(w), plan.Tunable(w)
	var out []knob
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		k := knob{name: name, field: fields[name]}
		given, asked := w.Tune[name]
		if asked {
			k.take(given, variables[name])
		} else {
			k.take(defaultValues(k.field, variables[name]), variables[name])
		}
		out = append(out, k)
	}
	return slices.DeleteFunc(out, func(k knob) bool { return len(k.values) < 2 })
}

// take gives a knob its values and the start's among them.
func (k *knob) take(values []string, start string) {
	k.values = slices.Clone(values)
	if len(values) > 0 && !slices.Contains(values, start) {
		k.values = append([]string{start}, values...)
	}
	k.start = max(0, slices.Index(k.values, start))
}

// defaultValues are those to try of a variable in a field, the smallest first;
// nil for fields that are not known and for values that make no sense there.
func defaultValues(field, start string) []string {
	switch field {
	case fieldThreads:
		return around(start, 2, 128, func(n int64) []int64 { return []int64{n / 4, n, 4 * n, 8 * n} })
	case fieldFiles:
		return around(start, 8, 1<<20, func(n int64) []int64 { return []int64{n / 16, n / 4, n} })
	case fieldEvents:
		return around(start, 100, 1<<40, func(n int64) []int64 {
			return append(below(n, 300, 1000, 3000, 10_000, 30_000, 100_000), n)
		})
	case fieldTotalSize:
		return sizesAround(start, workloads.MiB, func(n int64) []int64 {
			return append(below(n, int64(workloads.MiB), int64(4*workloads.MiB), int64(64*workloads.MiB), int64(workloads.GiB)), n)
		})
	case fieldBlockSize:
		return sizesAround(start, 4*workloads.KiB, func(n int64) []int64 { return []int64{n / 4, n, 4 * n} })
	}
	return nil
}

// around makes values from the start's; those outside of the bounds are left out,
// but never the start's own.
func around(start string, least, most int64, values func(int64) []int64) []string {
	n, err := strconv.ParseInt(start, 10, 64)
	if err != nil || n <= 0 {
		return nil
	}
	return spell(values(n), n, least, most, func(v int64) string {
		if v == n {
			return start
		}
		return strconv.FormatInt(v, 10)
	})
}

func sizesAround(start string, least workloads.Size, values func(int64) []int64) []string {
	n, err := workloads.ParseSize(start)
	if err != nil || n <= 0 {
		return nil
	}
	return spell(values(int64(n)), int64(n), int64(least), 1<<62, func(v int64) string {
		if v == int64(n) {
			return start
		}
		return workloads.Size(v).String()
	})
}

func spell(values []int64, start, least, most int64, text func(int64) string) []string {
	slices.Sort(values)
	var out []string
	for _, v := range slices.Compact(values) {
		if v == start || v >= least && v <= most {
			out = append(out, text(v))
		}
	}
	return out
}

func below(n int64, values ...int64) []int64 {
	return slices.DeleteFunc(values, func(v int64) bool { return v >= n })
}

// vcpuValues are some below and above the number of the host's processors.
func vcpuValues(start int) []string {
	values := []int64{1, 2, 4, int64(start)}
	return spell(values, int64(start), 1, int64(max(2, 2*runtime.NumCPU())), func(v int64) string { return strconv.FormatInt(v, 10) })
}

// perturbShares are the shares to try; docs/perturb.md has what is known of them.
var perturbShares = [...]workloads.Share{1. / 16, 1. / 8}

func perturbValues(start string) []string {
	values := []string{"off"}
	for _, s := range perturbShares {
		values = append(values, s.String())
	}
	if !slices.Contains(values, start) {
		values = append(values, start)
	}
	return values
}

// otherKnobs are those that are no variables, as far as the plan and the host
// have room for them; t.unturned says why one is left alone.
func (t *tuning) otherKnobs(w *workloads.Workload, image bool) []knob {
	guest := w.Defaults.Over(workloads.FallbackGuest())
	var out []knob
	add := func(name, start string, defaults []string) {
		values, asked := w.Tune[name]
		if !asked {
			values = defaults
		}
		k := knob{name: name}
		k.take(values, start)
		if len(k.values) > 1 {
			out = append(out, k)
		}
	}
	unturned := func(name, why string) { t.unturned = append(t.unturned, name+": "+why) }
	add(workloads.KnobVCPUs, strconv.Itoa(guest.VCPUs), vcpuValues(guest.VCPUs))
	switch {
	case image:
		unturned(workloads.KnobPerturb+" and "+workloads.KnobPreempt, "a ready kernel image is not built anew")
	case len(t.perturbPaths) > 0:
		add(workloads.KnobPerturb, t.startPerturb, perturbValues(t.startPerturb))
	}
	if t.base.probe.Accel == vm.AccelTCG {
		add(workloads.KnobIcount, onOff(guest.CountsInstructions()), []string{"off", "on"})
	} else {
		unturned(workloads.KnobIcount, fmt.Sprintf("only %s can count a guest's instructions, and this is %s", vm.AccelTCG, t.base.probe.Accel))
	}
	add(workloads.KnobLoad, strconv.Itoa(guest.Load), []string{strconv.Itoa(guest.Load), strconv.Itoa(guest.Load + 1)})
	if _, asked := w.Tune[workloads.KnobPreempt]; !image && (asked || t.budget >= preemptBudget) {
		add(workloads.KnobPreempt, knobKeep, workloads.PreemptModels())
	} else if !image {
		unturned(workloads.KnobPreempt, fmt.Sprintf("each model is a kernel of its own to build; a budget of %v or --knob preempt=none,full turns it", workloads.Duration(preemptBudget)))
	}
	return out
}

// preemptBudget is from when on a tuning has the time to build kernels for the
// preemption models.
const preemptBudget = time.Hour

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// knobSpace is the settings that the knobs make. valid is asked for each. With
// isLong, the start's runs are long, and chance does not draw what makes them so:
// its amount of data and of requests. Kernels that are built for a preemption
// model alone are left to neighbours of settings that have proved good, unless
// there is nothing else to turn.
func knobSpace(knobs []knob, isLong bool, valid func([]int) bool) judge.TuneSpace {
	s := judge.TuneSpace{Valid: valid}
	for _, k := range knobs {
		isModel := k.name == workloads.KnobPreempt
		axis := judge.TuneAxis{Values: len(k.values), Start: k.start, Unordered: isModel}
		for v := range k.values {
			if isLong && k.isAmount() && v == k.start || isModel && v != k.start && len(knobs) > 1 {
				axis.Unlikely = append(axis.Unlikely, v)
			}
		}
		s.Axes = append(s.Axes, axis)
	}
	return s
}

// settingKey names a setting by what it has other than the start.
func settingKey(knobs []knob, setting []int) string {
	var words []string
	for i, k := range knobs {
		if setting[i] != k.start {
			words = append(words, k.name+"="+k.values[setting[i]])
		}
	}
	return cmp.Or(strings.Join(words, " "), results.TuneStart)
}

func settingValues(knobs []knob, setting []int) map[string]string {
	out := map[string]string{}
	for i, k := range knobs {
		out[k.name] = k.values[setting[i]]
	}
	return out
}

// corners are settings that one would think of: the smallest working set with
// few and with all threads, perturbed on one processor, and plain on all.
func corners(knobs []knob) [][]int {
	small := map[string]string{fieldTotalSize: "first", fieldFiles: "first"}
	perturbed := map[string]string{workloads.KnobVCPUs: "1", workloads.KnobPerturb: "last"}
	plain := map[string]string{workloads.KnobVCPUs: "last", workloads.KnobPerturb: "off"}
	var out [][]int
	for _, c := range []struct {
		how             map[string]string
		threads, events string
	}{
		{perturbed, "", "3000"}, {perturbed, "last", "3000"}, {plain, "last", "10000"},
		{perturbed, "", "10000"}, {plain, "last", "3000"}, {perturbed, "last", "1000"},
	} {
		setting := make([]int, len(knobs))
		for i, k := range knobs {
			want := cmp.Or(small[k.field], c.how[k.name])
			switch k.field {
			case fieldThreads:
				want = c.threads
			case fieldEvents:
				want = c.events
			}
			setting[i] = k.pick(want)
		}
		out = append(out, setting)
	}
	return out
}

// pick is the index of a value, of the first or the last one; of the start's when
// the knob does not have it.
func (k knob) pick(want string) int {
	switch want {
	case "first":
		return 0
	case "last":
		return len(k.values) - 1
	}
	if i := slices.Index(k.values, want); i >= 0 {
		return i
	}
	return k.start
}

// unknownKnob refuses a knob of the command line that there is not.
func unknownKnob(plan *workloads.Plan, w *workloads.Workload, name string) error {
	variables := plan.Tunable(w)
	if _, ok := variables[name]; ok || slices.Contains(workloads.TuneKnobs(), name) {
		return nil
	}
	return inputError(fmt.Errorf("--knob: workload %s has no variable %s (knobs: %s)", w.Name, name, strings.Join(append(slices.Sorted(maps.Keys(variables)), workloads.TuneKnobs()...), ", ")))
}

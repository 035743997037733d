package workloads

import "slices"

// The values of Stop.
const (
	StopNever = "never"
	StopFirst = "first"
)

var stopValues = []string{StopNever, StopFirst}

// Bounds of a matrix. More cells than these are a mistake in the axes.
const (
	maxCells  = 10_000
	maxRepeat = 100_000
)

func (m *Matrix) check() *PositionError {
	switch {
	case !isName(m.Name):
		return m.errorf("name", "expected a name of lower case letters, digits and - . _ (at most 64), got %s", shorten(m.Name))
	case *m.Retries < 0 || *m.Retries > 100:
		return m.errorf("retries", "expected 0 to 100 retries, got %d", *m.Retries)
	case m.MaxRuns < 0:
		return m.errorf("max_runs", "expected 1 run or more (or 0: no limit), got %d", m.MaxRuns)
	case m.Jobs < 0 || m.Jobs > 1024:
		return m.errorf("jobs", "expected 1 to 1024 jobs (or 0: what the host allows), got %d", m.Jobs)
	}
	if err := m.checkRepeat("", m.Repeat, m.Confidence, m.Stop); err != nil {
		return err
	}
	if err := m.Guest.check(&m.src, "guest"); err != nil {
		return err
	}
	if err := checkBenign(&m.src, "benign", m.Benign); err != nil {
		return err
	}
	if err := m.checkKernels(); err != nil {
		return err
	}
	if err := m.checkWorkloads(); err != nil {
		return err
	}
	if err := m.checkAxes(); err != nil {
		return err
	}
	return m.checkRules()
}

// checkRepeat checks the fields that the plan and a rule both have.
func (m *Matrix) checkRepeat(at string, repeat int, confidence float64, stop string) *PositionError {
	switch {
	case repeat < 1 || repeat > maxRepeat:
		return m.errorf(join(at, "repeat"), "expected 1 to %d runs, got %d", maxRepeat, repeat)
	case !(confidence >= minConfidence && confidence <= MaxConfidence):
		return m.errorf(join(at, "confidence"), "expected a confidence from %v to %v, got %v", minConfidence, MaxConfidence, confidence)
	case stop != "" && !slices.Contains(stopValues, stop):
		return m.errorf(join(at, "stop"), "expected %s, got %s%s", oneOf(stopValues), shorten(stop), didYouMean(stop, stopValues))
	}
	return nil
}

func (m *Matrix) checkKernels() *PositionError {
	if m.Kernel != nil {
		if err := m.Kernel.check(&m.src, "kernel"); err != nil {
			return err
		}
	}
	if len(m.Kernels) == 0 {
		return m.errorf("kernels", "a matrix needs at least one kernel")
	}
	seen := map[string]bool{}
	for i := range m.Kernels {
		k, at := &m.Kernels[i], indexed("kernels", i)
		if err := k.check(&m.src, at); err != nil {
			return err
		}
		switch {
		case k.Name == "":
			return m.errorf(at, "a kernel of a matrix needs a name")
		case seen[k.Name]:
			return m.errorf(at+".name", "two kernels are called %s", k.Name)
		case k.Ref != "" && k.Rev != "":
			return m.errorf(at+".ref", "give either rev (a fixed revision) or ref (one that moves), not both")
		}
		seen[k.Name] = true
		if err := checkSource(&m.src, at, "kernel "+k.Name, m.kernel(i)); err != nil {
			return err
		}
	}
	return nil
}

// kernel is the kernel with number i over what all share.
func (m *Matrix) kernel(i int) KernelSpec {
	k := m.Kernels[i]
	own := k.KernelSpec
	own.Rev = cmpOr(own.Rev, k.Ref)
	shared := KernelSpec{}
	if m.Kernel != nil {
		shared = *m.Kernel
	}
	if own.Image != "" {
		shared.Perturb = nil // only what is built here can be perturbed
	}
	return own.over(shared)
}

func (m *Matrix) checkWorkloads() *PositionError {
	if len(m.Workloads) == 0 {
		return m.errorf("workloads", "a matrix needs at least one workload")
	}
	seen := map[string]bool{}
	for i := range m.Workloads {
		w, at := &m.Workloads[i], indexed("workloads", i)
		switch {
		case !isName(w.Name):
			return m.errorf(at+".name", "expected a name of lower case letters, digits and - . _ (at most 64), got %s", shorten(w.Name))
		case seen[w.Name]:
			return m.errorf(at, "two workloads are called %s; give one a name of its own", w.Name)
		}
		seen[w.Name] = true
		if err := w.Guest.check(&m.src, at+".guest"); err != nil {
			return err
		}
		if inline := w.Workload.Inline; inline != nil {
			inline.src = source{file: m.src.file, prefix: at + ".workload.", at: m.src.at}
			if err := inline.check(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Matrix) checkRules() *PositionError {
	for i, rule := range m.Cells {
		at := indexed("cells", i)
		repeat, confidence := rule.Repeat, rule.Confidence
		if _, given := m.src.at[at+".repeat"]; !given {
			repeat = m.Repeat
		}
		if _, given := m.src.at[at+".confidence"]; !given {
			confidence = m.Confidence
		}
		if err := m.checkRepeat(at, repeat, confidence, rule.Stop); err != nil {
			return err
		}
		if err := rule.Guest.check(&m.src, at+".guest"); err != nil {
			return err
		}
		if err := m.checkMatch(at+".when", rule.When, true); err != nil {
			return err
		}
	}
	for i, match := range m.Exclude {
		if err := m.checkMatch(indexed("exclude", i), match, true); err != nil {
			return err
		}
	}
	for i, match := range m.Include {
		if err := m.checkMatch(indexed("include", i), match, false); err != nil {
			return err
		}
	}
	return nil
}

package orchestrator

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/workloads"
)

// trial is a setting made ready for runs.
type trial struct {
	key     string
	setting []int
	machine *machine
	pre     *subject
	post    *subject // nil until the setting is checked
}

// kernelKind is what a setting says of its kernels.
type kernelKind struct {
	perturbed bool
	preempt   string // knobKeep, or one of workloads.PreemptModels
}

// planFor is the plan with a setting.
func (t *tuning) planFor(setting []int) (*workloads.Plan, error) {
	r := t.request
	r.Variables = maps.Clone(r.Variables)
	if r.Variables == nil {
		r.Variables = map[string]string{}
	}
	perturb, preempt := "", knobKeep
	for i, k := range t.knobs {
		if setting[i] == k.start {
			continue // as the plan has it
		}
		value := k.values[setting[i]]
		switch k.name {
		case workloads.KnobVCPUs:
			r.Guest.VCPUs, _ = strconv.Atoi(value) // checked with the knob
		case workloads.KnobIcount:
			counts := value == "on"
			r.Guest.Icount = &counts
		case workloads.KnobLoad:
			r.Guest.Load, _ = strconv.Atoi(value)
		case workloads.KnobPerturb:
			perturb = value
		case workloads.KnobPreempt:
			preempt = value
		default:
			r.Variables[k.name] = value
		}
	}
	plan, err := r.Plan()
	if err != nil {
		return nil, err
	}
	if err := t.setPerturb(plan, perturb); err != nil {
		return nil, err
	}
	if preempt != knobKeep {
		addFragment(plan, workloads.ShippedPrefix+"kernel/preempt-"+preempt+".config")
	}
	return plan, nil
}

// setPerturb perturbs both kernels of a plan in the way that the tuning's
// perturbed settings have in common; an empty value leaves them as they are.
func (t *tuning) setPerturb(plan *workloads.Plan, value string) error {
	switch value {
	case "":
		return nil
	case "off":
		SetPerturb(plan, nil)
		return nil
	}
	share, err := workloads.ParseShare(value)
	if err != nil {
		return inputError(err)
	}
	SetPerturb(plan, &workloads.Perturb{Paths: t.perturbPaths, Share: share})
	return nil
}

// addFragment puts a fragment behind those of both kernels.
func addFragment(plan *workloads.Plan, fragment string) {
	kernel := workloads.KernelSpec{}
	if plan.Kernel != nil {
		kernel = *plan.Kernel
	}
	kernel.Fragments = append(slices.Clone(kernel.Fragments), fragment)
	plan.Kernel = &kernel
}

// value is a setting's value of a knob, or the default where there is no such knob.
func (t *tuning) value(setting []int, name, without string) string {
	for i, k := range t.knobs {
		if k.name == name {
			return k.values[setting[i]]
		}
	}
	return without
}

func (t *tuning) kind(setting []int) kernelKind {
	kind := kernelKind{preempt: t.value(setting, workloads.KnobPreempt, knobKeep)}
	kind.perturbed = t.value(setting, workloads.KnobPerturb, t.startPerturb) != "off"
	return kind
}

// valid says whether a setting can be tried: whether its values go together.
func (t *tuning) valid(setting []int) bool {
	kind := t.kind(setting)
	if kind.perturbed && kind.preempt != knobKeep {
		return false // perturbed kernels are preemptible ones
	}
	plan, err := t.planFor(setting)
	if err != nil {
		return false
	}
	_, err = plan.OpenWorkload(shipped())
	return err == nil
}

// trial returns a setting ready for runs on the pre kernel, which is built when
// it is the first with its kind of kernel.
func (t *tuning) trial(ctx context.Context, setting []int) (*trial, error) {
	key := settingKey(t.knobs, setting)
	if tr := t.trials[key]; tr != nil {
		return tr, nil
	}
	plan, err := t.planFor(setting)
	if err != nil {
		return nil, err
	}
	w, err := plan.OpenWorkload(shipped())
	if err != nil {
		return nil, inputError(err)
	}
	pair, err := t.kernels(ctx, plan, t.kind(setting))
	if err != nil {
		return nil, err
	}
	m := *t.base
	m.workload, m.guest, m.perturb = w, w.Defaults.Over(workloads.FallbackGuest()), pair.perturb
	if m.perturb != nil {
		// The share is a word on the command line: one kernel serves all.
		own := *pair.perturb
		pre, _, err := plan.Expand()
		if err != nil {
			return nil, inputError(err)
		}
		own.share = cmp.Or(pre.Perturb.Share, DefaultShare)
		m.perturb = &own
	}
	tr := &trial{key: key, setting: setting, machine: &m}
	if tr.pre, err = t.subject(&m, pair.pre); err != nil {
		return nil, err
	}
	t.trials[key] = tr
	return tr, nil
}

// subject is newSubject for one of the tuning's kernels. What modules a kernel
// needs does not depend on the setting.
func (t *tuning) subject(m *machine, k builtKernel) (*subject, error) {
	s, err := newSubject(m, k.name, k.image, t.oldest)
	if err == nil {
		s.guest = t.guests[k.image.SHA256]
	}
	return s, err
}

// check makes a trial ready for runs on the post kernel too.
func (t *tuning) check(ctx context.Context, tr *trial) error {
	if tr.post != nil {
		return nil
	}
	plan, err := t.planFor(tr.setting)
	if err != nil {
		return err
	}
	kind := t.kind(tr.setting)
	pair, err := t.kernels(ctx, plan, kind)
	if err != nil {
		return err
	}
	if pair.post.image == nil {
		if pair.post.image, err = t.h.buildKernel(ctx, t.store, "post kernel", pair.postSpec, 0); err != nil {
			return err
		}
		if err := inputError(kernels.SameImage(pair.pre.image, pair.post.image)); err != nil {
			return err
		}
	}
	tr.post, err = t.subject(tr.machine, pair.post)
	return err
}

// kernelPair are the kernels of one kind; the image of post is nil until it is
// needed.
type kernelPair struct {
	pre, post builtKernel
	postSpec  kernels.Spec
	perturb   *perturbation
}

// kernels returns the pair of a kind, and builds its pre kernel.
func (t *tuning) kernels(ctx context.Context, plan *workloads.Plan, kind kernelKind) (*kernelPair, error) {
	if pair := t.pairs[kind]; pair != nil {
		return pair, nil
	}
	pair := &kernelPair{}
	preSpec, postSpec, perturb, err := t.h.pairSpecs(ctx, plan, &pair.pre, &pair.post)
	if err != nil {
		return nil, err
	}
	pair.postSpec, pair.perturb = postSpec, perturb
	if pair.pre.image, err = t.h.buildKernel(ctx, t.store, "pre kernel", preSpec, 0); err != nil {
		return nil, err
	}
	t.pairs[kind] = pair
	return pair, nil
}

// settingRecord is a setting for the campaign's record.
func (t *tuning) settingRecord(tr *trial, rung int) results.TuneSetting {
	return results.TuneSetting{Key: tr.key, Values: settingValues(t.knobs, tr.setting), Shape: tr.machine.shape(), Rung: rung}
}

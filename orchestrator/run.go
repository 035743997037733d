package orchestrator

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"patchproof/dmesg"
	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm"
	"patchproof/vm/guestimage"
	"patchproof/workloads"
)

// machine is what all runs of a campaign have in common. Runs on different
// machines never share a statistic.
type machine struct {
	qemu     string
	probe    vm.ProbeResult
	image    *guestimage.Image
	guest    workloads.Guest
	tools    workloads.Tools // of the image; the kernel's version is not in it
	workload *workloads.Workload
	match    matcher
	// perturb is nil on plain kernels.
	perturb *perturbation
	// version is what QEMU says of itself, see qemuVersion.
	version string
	// forked says that runs go on from saved machines, see Harness.fork.
	forked bool
	// cpuLimit is the processor time, in seconds, after which a run is cut; 0 is
	// no limit.
	cpuLimit float64
}

// shape names the machine for the record: runs on different machines are never
// counted together.
func (m *machine) shape() string {
	shape := size(m.guest.VCPUs, m.guest.MemoryMiB()) + m.perturb.shape()
	if m.guest.CountsInstructions() {
		shape += ", icount"
	}
	if m.guest.Load > 0 {
		shape += fmt.Sprintf(", host load %d", m.guest.Load)
	}
	if m.forked {
		shape += ", forked"
	}
	return shape
}

// size says how large a guest is.
func size(vcpus, memoryMiB int) string {
	plural := "s"
	if vcpus == 1 {
		plural = ""
	}
	return fmt.Sprintf("%d vCPU%s, %d MiB", vcpus, plural, memoryMiB)
}

// host describes where the machine runs, for the record.
func (m *machine) host() results.Host {
	return results.Host{Accel: string(m.probe.Accel), CPUs: runtime.NumCPU(), Slowdown: m.probe.Slowdown,
		Kernel: vm.HostRelease(), QEMU: m.version}
}

// qemuVersion is empty when QEMU does not say its version: runs will say more.
func qemuVersion(qemu string) string {
	version, err := vm.QEMUVersion(context.Background(), qemu)
	if err != nil {
		return ""
	}
	return version
}

// subject is one of the kernels under test, with the workload compiled for it.
type subject struct {
	name   string // of the kernel in its plan; empty when it is the only one
	image  *kernels.Image
	steps  []workloads.Step
	record results.KernelRecord
	// guest is the guest image with the kernel's modules; nil for the machine's.
	guest *guestimage.Image
	// forks is nil when runs boot; state is the saved machine of one run.
	forks *forks
	state *savedState
}

// Bounds of what is kept of a command's output in a run's record; the workload
// checks see all of it.
const maxKeptOutput = 16 << 10

// execute does one run and records it. The error is about the record: what
// goes wrong in the guest is an outcome.
func (h *Harness) execute(ctx context.Context, w *results.RunWriter, m *machine, s *subject) (results.Run, error) {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	r := &runner{harness: h, record: w, machine: m, subject: s, id: w.Run().ID, begin: time.Now(), cut: cut}
	invalid := r.wake(ctx)
	if invalid == "" {
		invalid = r.walk(ctx)
	}
	r.release()
	complete, reading := false, time.Now()
	if err := r.readLog(&complete); err != nil && invalid == "" {
		invalid = err.Error()
	}
	if invalid == "" && !complete {
		invalid = "the console log is not whole: its first or last canary line is missing"
	}
	r.timing.Log = time.Since(reading).Seconds()
	if ctx.Err() != nil {
		w.MarkStopped()
		invalid = stoppedReason(ctx)
	}
	if r.walked {
		r.keep(w.Timing(r.timing))
	}
	run, err := w.Finish(complete && r.walked, invalid)
	if err != nil {
		return run, fmt.Errorf("recording run %s: %w", r.id, err)
	}
	h.emit(Event{Task: r.id, Run: true, Finished: true, Elapsed: time.Since(r.begin), Message: runLine(run)})
	return run, r.recordErr
}

// runner is the state of one run.
type runner struct {
	harness   *Harness
	record    *results.RunWriter
	machine   *machine
	subject   *subject
	id        string
	begin     time.Time
	nonce     string
	walked    bool  // all phases ended as they should
	recordErr error // the first failure to write the record
	cut       context.CancelCauseFunc
	cpu       results.CPUTime
	timing    results.Timing
}

func (r *runner) keep(err error) {
	if r.recordErr == nil && err != nil {
		r.recordErr = fmt.Errorf("recording run %s: %w", r.id, err)
	}
}

func (r *runner) stage(step int, name string) {
	r.harness.emit(Event{Task: r.id, Run: true, Stage: name, Done: step, Total: len(r.subject.steps) + 2})
}

// walk brings the guest up, goes through the phases and powers it off. It
// returns why the run cannot count, or "".
func (r *runner) walk(ctx context.Context) (invalid string) {
	r.stage(0, r.beginning())
	r.keep(r.keepBaseConsole())
	guest, err := vm.Start(ctx, r.spec())
	if err != nil {
		return r.failed(ctx, err)
	}
	defer r.recordCPU(guest)
	defer guest.Kill()
	defer r.limitCPU(guest)()
	r.keep(r.record.Command(guest.Command()))
	r.nonce = guest.Nonce()
	if err := guest.WaitReady(ctx); err != nil {
		return r.failed(ctx, err)
	}
	r.timing.Ready = time.Since(r.begin).Seconds()
	r.cpu.Ready = guest.CPUTime().Seconds()
	invalid = r.phases(ctx, guest)
	if guest.Failure() != nil {
		return invalid
	}
	if invalid == "" {
		invalid = r.checkPerturbed(ctx, guest)
	}
	r.stage(len(r.subject.steps)+1, "power off")
	ending := time.Now()
	// The last mark follows everything that the phases made the kernel print.
	if err := guest.Mark(ctx, markEnd); err != nil {
		return cmp.Or(invalid, r.failed(ctx, err))
	}
	if err := guest.PowerOff(ctx); err != nil {
		return cmp.Or(invalid, r.failed(ctx, err))
	}
	r.timing.PowerOff = time.Since(ending).Seconds()
	r.walked = invalid == ""
	return invalid
}

func (r *runner) spec() vm.Spec {
	seed := r.record.Run().Seed
	spec := r.machine.spec(r.subject, seed)
	spec.Name, spec.Dir = r.id, r.record.Dir()
	if state := r.subject.state; state != nil {
		spec.Fork, spec.OnWake = state.snapshot, r.machine.perturb.reseed(seed)
	}
	return spec
}

// spec is the guest of one kernel, without a name and a folder.
func (m *machine) spec(s *subject, seed uint64) vm.Spec {
	limits := vm.DefaultLimits().Scale(m.probe.Slowdown)
	if s.guest != nil {
		limits.Boot *= slowStart
	}
	return vm.Spec{
		Kernel:    s.image.Path,
		Initrd:    m.initrd(s).Path,
		Append:    append(m.perturb.words(seed), m.guest.Append...),
		MemoryMiB: m.guest.MemoryMiB(),
		VCPUs:     m.guest.VCPUs,
		Disks:     []vm.Disk{{SizeMiB: m.guest.DiskMiB()}},
		Accel:     m.probe.Accel,
		Icount:    m.guest.CountsInstructions(),
		Load:      m.guest.Load,
		QEMU:      m.qemu,
		Limits:    limits,
	}
}

// phases walks through the steps and stops at the first that fails.
func (r *runner) phases(ctx context.Context, guest *vm.Guest) (invalid string) {
	for i, step := range r.subject.steps {
		if i < r.subject.skip() {
			continue // before the machine was saved
		}
		r.stage(i+1, step.Name)
		result, err := r.phase(ctx, guest, step)
		if err != nil {
			invalid = r.failed(ctx, err)
			result.Error = invalid
		} else if result.Error != "" {
			invalid = fmt.Sprintf("phase %s: %s", step.Name, result.Error)
		}
		r.keep(r.record.Phase(result))
		if invalid != "" {
			return invalid
		}
	}
	return ""
}

// phase runs one step between its marks. The error is the guest's failure; a
// step that did not do its work is in the result.
func (r *runner) phase(ctx context.Context, guest *vm.Guest, step workloads.Step) (results.PhaseResult, error) {
	result := results.PhaseResult{Index: step.Phase, Name: step.Name}
	if err := guest.Mark(ctx, phaseBegin(step.Phase, step.Name)); err != nil {
		return result, err
	}
	limit := scale(step.Timeout, r.machine.probe.Slowdown)
	phaseCtx, cancel := context.WithTimeoutCause(ctx, limit, errPhaseTimeout)
	defer cancel()
	out, err := guest.Run(phaseCtx, step.Command)
	result.ElapsedSeconds = out.Duration.Seconds()
	result.Status = out.Status
	result.Stdout, result.Stderr = clip(out.Stdout), clip(out.Stderr)
	if err != nil {
		if errors.Is(context.Cause(phaseCtx), errPhaseTimeout) && ctx.Err() == nil {
			r.showBlocked(ctx, guest)
			return result, &vm.Failure{Kind: vm.FailureHang, Guest: r.id,
				Detail: fmt.Sprintf("phase %s ran longer than its limit of %v; give it a longer timeout if it was still at work, and see in its console log which tasks were blocked", step.Name, limit.Round(time.Second))}
		}
		return result, err
	}
	if step.Check != nil {
		if err := step.Check(workloads.Output{Stdout: string(out.Stdout), Stderr: string(out.Stderr), Status: out.Status, Duration: out.Duration}); err != nil {
			result.Error = err.Error()
			return result, nil
		}
	}
	return result, guest.Mark(ctx, phaseEnd(step.Phase, step.Name))
}

var errPhaseTimeout = errors.New("the phase's time limit")

func scale(d time.Duration, factor float64) time.Duration {
	if factor <= 1 {
		return d
	}
	return time.Duration(float64(d) * factor)
}

func clip(b []byte) string {
	if len(b) > maxKeptOutput {
		// The end of an output is where programs say how it went.
		b = append([]byte("[...]\n"), b[len(b)-maxKeptOutput:]...)
	}
	return dmesg.Sanitize(string(bytes.ToValidUTF8(b, []byte("?"))))
}

// failed records how a guest ended and returns the reason for the run's record.
func (r *runner) failed(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return stoppedReason(ctx)
	}
	var failure *vm.Failure
	if !errors.As(err, &failure) {
		return err.Error()
	}
	r.keep(r.record.Failure(results.GuestFailure{
		Kind:   string(failure.Kind),
		Detail: failure.Detail,
		Kernel: kernelToBlame(failure.Kind),
	}))
	return fmt.Sprintf("%s: %s", failure.Kind, failure.Detail)
}

func stoppedReason(ctx context.Context) string {
	return "stopped before its end: " + context.Cause(ctx).Error()
}

// kernelToBlame separates ends that the kernel under test brings about from
// those of the host and the harness. A guest that only stops answering is not
// among them: from outside, a deadlock looks like a host that is too slow. A
// kernel that notices its deadlock prints a report, and that counts.
func kernelToBlame(kind vm.FailureKind) bool {
	return kind == vm.FailurePanic || kind == vm.FailureReboot
}

// readLog finds the reports in the finished console log and records them with
// phase and meaning. complete is set when both canaries are in the log.
func (r *runner) readLog(complete *bool) error {
	path := filepath.Join(r.record.Dir(), consoleFile)
	log, err := os.ReadFile(path)
	if err != nil {
		if r.nonce == "" {
			return nil // never started: its failure is the reason
		}
		return fmt.Errorf("reading console log of guest %s: %w", r.id, err)
	}
	marks := findMarks(log, r.nonce)
	begin, end := canaries(marks)
	*complete = begin && end
	reports, err := dmesg.Parse(bytes.NewReader(log))
	if err != nil {
		return fmt.Errorf("reading console log of guest %s: %w", r.id, err)
	}
	dmesg.Annotate(reports, r.subject.image)
	windows := append(r.subject.before(), phaseWindows(marks)...)
	records := r.machine.match.records(reports, windows)
	r.machine.blameEmulator(records)
	for _, record := range records {
		r.keep(r.record.Report(record))
	}
	if *complete && messagesDropped(log, marks) {
		*complete = false
		return errors.New("the console log is not whole: the kernel dropped messages because the console could not keep up")
	}
	return nil
}

// consoleFile is the name that package vm gives the console log.
const consoleFile = "console.log"

// runLine is what a progress display says of a finished run.
func runLine(run results.Run) string {
	line := string(run.Outcome)
	if what := cmp.Or(run.Cell, run.Setting); what != "" {
		line = what + ": " + line
	}
	if run.Setting != "" && run.Stopped && run.Outcome == judge.Invalid && run.CPU != nil {
		return fmt.Sprintf("%s: cut after %.0f CPU-seconds", run.Setting, run.CPU.Total)
	}
	if run.InvalidReason != "" {
		return line + ": " + run.InvalidReason
	}
	matched := 0
	for _, rep := range run.Reports {
		if rep.Signature != "" {
			matched++
		}
	}
	if n := len(run.Reports); n > 0 {
		line += fmt.Sprintf(", %d kernel reports, %d of them match", n, matched)
	}
	return line
}

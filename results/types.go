package results

import (
	"encoding/json"
	"time"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// KernelRecord names the kernel of one side.
type KernelRecord struct {
	ID      string `json:"id,omitempty"`      // of the image in the kernel store
	Release string `json:"release,omitempty"` // as the kernel states it
	SHA256  string `json:"sha256,omitempty"`
	// Label is what a reader calls it: "v6.1 + base.patch", a commit, a path.
	Label string `json:"label,omitempty"`
	// Provenance is kernels.Provenance as JSON; results does not look inside.
	Provenance json.RawMessage `json:"provenance,omitempty"`
}

// Host describes where a campaign ran.
type Host struct {
	Kernel   string  `json:"kernel,omitempty"`
	QEMU     string  `json:"qemu,omitempty"`
	Accel    string  `json:"accel,omitempty"`
	CPUs     int     `json:"cpus,omitempty"`
	Slowdown float64 `json:"slowdown,omitempty"` // as measured by vm's probe
}

// Campaign is all that is known of a campaign apart from its runs.
type Campaign struct {
	// Format is the version of the folder's layout, FormatVersion when written.
	Format int    `json:"format"`
	ID     string `json:"id"`
	// Kind is what the campaign is; empty in folders of the first versions,
	// which had verifications and single runs only.
	Kind    Kind      `json:"kind,omitempty"`
	Command []string  `json:"command"`
	Version string    `json:"version,omitempty"` // of patchproof
	Started time.Time `json:"started"`
	// ElapsedSeconds is set once the campaign has ended.
	ElapsedSeconds float64      `json:"elapsed_seconds,omitempty"`
	Host           Host         `json:"host"`
	Workload       string       `json:"workload"`
	Shape          string       `json:"shape,omitempty"` // "4 vCPUs, 1024 MiB"
	Pre            KernelRecord `json:"pre"`
	Post           KernelRecord `json:"post"`
	// PatchTitle is the subject of the patch, for the block to paste.
	PatchTitle string            `json:"patch_title,omitempty"`
	Signatures []dmesg.Signature `json:"signatures,omitempty"`
	Rules      judge.Rules       `json:"rules"`
	// Perturb is set when both kernels were perturbed.
	Perturb *Perturbation `json:"perturb,omitempty"`
	// Matrix is set in a campaign of KindMatrix.
	Matrix *MatrixRecord `json:"matrix,omitempty"`
	// Tune is set in a campaign of KindTune.
	Tune *TuneRecord `json:"tune,omitempty"`
	// Stopped says why the campaign ended before a decision: budget, a signal.
	Stopped string `json:"stopped,omitempty"`
	// Failed says what in the infrastructure broke the campaign off; it makes
	// the verdict error.
	Failed string `json:"failed,omitempty"`
	// Warnings are doubts that the harness had before or during the runs.
	Warnings []string        `json:"warnings,omitempty"`
	Decision *judge.Decision `json:"decision,omitempty"` // once ended

	// Plan is the plan as expanded; it is kept as plan.yaml.
	Plan []byte `json:"-"`
	// Dir is the campaign's folder.
	Dir string `json:"-"`
}

// Kind says which command's runs a campaign holds.
type Kind string

// The kinds of campaigns.
const (
	KindVerify Kind = "verify" // two kernels, runs of sides judge.Pre and judge.Post
	KindRun    Kind = "run"    // one kernel, runs of side judge.Pre
	KindBisect Kind = "bisect" // many commits, runs of side Single with Commit set
	KindMatrix Kind = "matrix" // many cells, runs of side Single with Cell set
	KindTune   Kind = "tune"   // many settings, runs of side Single with Setting set
)

// Single is the side of runs that belong to no pair: those of a bisection, of a
// matrix and of a tuning.
const Single judge.Side = "run"

// allSides are all sides that a campaign's folder can hold.
var allSides = []judge.Side{judge.Pre, judge.Post, Single}

// FormatVersion is the version of the layout that this package writes.
const FormatVersion = 1

// PhaseResult is what one phase of the workload did in one run.
type PhaseResult struct {
	Index          int     `json:"index"`
	Name           string  `json:"name"`
	ElapsedSeconds float64 `json:"elapsed_seconds"`
	Status         int     `json:"status"`
	// Error says why the phase did not do what it was meant to; empty when it did.
	Error  string `json:"error,omitempty"`
	Stdout string `json:"stdout,omitempty"` // bounded by the writer
	Stderr string `json:"stderr,omitempty"`
}

// ReportRecord is a report of the guest's kernel with what the plan makes of it.
type ReportRecord struct {
	dmesg.Report
	Phase     int    `json:"phase"` // index; -1 before the first phase
	PhaseName string `json:"phase_name,omitempty"`
	// Signature is the name of the signature it matches, or "signature" when
	// that has none; empty when it matches none.
	Signature string `json:"signature,omitempty"`
	// Benign is the reason why the plan lets it pass; empty when it does not.
	Benign string `json:"benign,omitempty"`
	// Flaw says that the emulator is to blame, or for what came before: the run
	// is invalid unless it had shown something by then. Benign says more.
	Flaw bool `json:"flaw,omitempty"`
}

// GuestFailure is an end of the guest that was the guest's own doing or its
// harness's; Kind is one of vm's failure kinds.
type GuestFailure struct {
	Kind   string `json:"kind"`
	Detail string `json:"detail,omitempty"`
	// Kernel says that the kernel under test is to blame (panic, reboot)
	// and not what is around it.
	Kernel bool `json:"kernel"`
}

// Perturbation says how the kernels of a campaign were perturbed, both alike.
type Perturbation struct {
	Paths []string `json:"paths"`
	// Share is the part of the function boundaries that yield.
	Share float64 `json:"share"`
	// Seed is what the seeds of the runs were made from.
	Seed uint64 `json:"seed"`
}

// PerturbStats counts, in one run, the function boundaries that a perturbed
// kernel could have yielded at, and those at which it did.
type PerturbStats struct {
	Calls  uint64 `json:"calls"`
	Yields uint64 `json:"yields"`
}

// CPUTime is the processor time, user and system, that a run's QEMU took, and
// the load beside it, in seconds.
type CPUTime struct {
	// Total is of the whole run, Ready that until the first phase; Ready is 0
	// when the run did not get there.
	Total float64 `json:"total"`
	Ready float64 `json:"ready,omitempty"`
}

// ForkRecord names a saved machine. The console log up to the moment when it was
// saved is console-base.log in the run's folder; the run's own goes on from there.
type ForkRecord struct {
	// State is the key of everything that the machine was made from.
	State string `json:"state"`
	// After is the last phase that the machine had walked through, or "boot".
	After string    `json:"after"`
	Made  time.Time `json:"made"`
	// Phases is what these phases did, once for all runs from this machine.
	Phases []PhaseResult `json:"phases,omitempty"`
}

// Run is the record of one run.
type Run struct {
	ID    string     `json:"id"` // "pre-001"
	Side  judge.Side `json:"side"`
	Index int        `json:"index"` // order of start within the campaign, from 1
	// Commit is the full object name of the kernel's commit, in a bisection.
	Commit string `json:"commit,omitempty"`
	// Cell is the key of the matrix cell that the run belongs to, in a matrix.
	Cell string `json:"cell,omitempty"`
	// Setting is the key of the setting that was tried, in a tuning, and Stage
	// what the run was for.
	Setting string    `json:"setting,omitempty"`
	Stage   TuneStage `json:"stage,omitempty"`

	Kernel  KernelRecord `json:"kernel"`
	Seed    uint64       `json:"seed,omitempty"` // of a perturbed kernel
	Started time.Time    `json:"started"`
	Accel   string       `json:"accel"`
	Shape   string       `json:"shape"`
	// Command is the QEMU command line.
	Command []string `json:"command,omitempty"`

	ElapsedSeconds float64       `json:"elapsed_seconds"`
	Phases         []PhaseResult `json:"phases,omitempty"`
	// CPU is nil in the records of earlier versions.
	CPU *CPUTime `json:"cpu,omitempty"`
	// Timing is nil in runs that did not come to their end.
	Timing  *Timing        `json:"timing,omitempty"`
	Reports []ReportRecord `json:"reports,omitempty"`
	Failure *GuestFailure  `json:"failure,omitempty"`
	// Perturb is what a perturbed kernel did, nil for a plain one.
	Perturb *PerturbStats `json:"perturb,omitempty"`
	// Forked is the saved machine that the run went on from, nil when it
	// booted. Phases then holds only what came after.
	Forked *ForkRecord `json:"forked,omitempty"`
	// Complete says that all phases ran and the end of the console log was seen.
	Complete bool `json:"complete"`

	// HarnessReason is why, in the harness's eyes, the run must not count. A
	// kernel report seen in the run has precedence over it, see Classify.
	HarnessReason string `json:"harness_reason,omitempty"`
	// Stopped says that the run was ended from outside: a decision was reached,
	// a signal came, the harness was killed. Unless it had shown something by
	// then, such a run is not counted at all, not even as invalid.
	Stopped bool `json:"stopped,omitempty"`

	// Outcome is empty while the run is in flight.
	Outcome judge.Outcome `json:"outcome,omitempty"`
	// Reason says why the outcome is other-failure.
	Reason string `json:"reason,omitempty"`
	// InvalidReason says why the outcome is invalid.
	InvalidReason string `json:"invalid_reason,omitempty"`

	// Dir is the run's folder.
	Dir string `json:"-"`
}

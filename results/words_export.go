package results

import "patchproof/results/judge"

// Meaning is what a verdict says, in one sentence.
func Meaning(v judge.Verdict) string { return meaning(v) }

// Headline is a verdict with its confidence, rounded down.
func Headline(d judge.Decision) string { return headline(d) }

// KernelText names a kernel for a reader.
func KernelText(k KernelRecord) string { return kernelText(k) }

// Place is where a report's code is, "btrfs_destroy_inode at
// fs/btrfs/inode.c:8026"; empty when the report does not say.
func Place(r *ReportRecord) string { return place(r) }

// PerturbText says what a verdict from perturbed kernels rests on.
func PerturbText(p *Perturbation) string { return perturbText(p) }

// Duration formats seconds for a reader: "48s", "12m 5s", "3h 2m".
func Duration(seconds float64) string { return duration(seconds) }

// RateText is an interval for a reader, "69% to 100%"; "unknown" without trials.
func RateText(iv judge.Interval, trials int) string { return rateText(iv, trials) }

// ShellQuote writes a command line that a shell reads back as the same words.
func ShellQuote(words []string) string { return shellQuote(words) }

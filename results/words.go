package results

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"patchproof/results/judge"
)

// Meaning is what a verdict says, in one sentence.
func Meaning(v judge.Verdict) string {
	switch v {
	case judge.Fixed:
		return "The bug shows on the pre-patch kernel and does not on the post-patch kernel."
	case judge.NotFixed:
		return "The bug shows on both kernels: the patch does not fix it."
	case judge.Regressed:
		return "The post-patch kernel shows a failure that the pre-patch kernel does not."
	case judge.NotReproduced:
		return "The bug did not show on the pre-patch kernel, so nothing was proved about the patch."
	case judge.Inconclusive:
		return "The runs do not decide whether the patch fixes the bug."
	case judge.Error:
		return "The campaign failed for a reason outside the kernels; nothing was proved."
	}
	return ""
}

// Headline is the verdict with its confidence. The confidence is rounded down.
func Headline(d judge.Decision) string {
	switch d.Verdict {
	case judge.Fixed, judge.NotFixed, judge.Regressed:
		return fmt.Sprintf("%s, confidence %s", d.Verdict, judge.Percent(math.Floor(d.Confidence*1e4)/1e4))
	}
	return string(d.Verdict)
}

// KernelText names a kernel for a reader.
func KernelText(k KernelRecord) string {
	switch {
	case k.Release != "" && k.Label != "" && k.Label != k.Release:
		return line(k.Release + " (" + k.Label + ")")
	case k.Release == "" && k.Label == "":
		return line(cmp.Or(k.ID, "unknown"))
	}
	return line(cmp.Or(k.Label, k.Release))
}

// kOfN is "3 of 10".
func kOfN(k, n int) string { return fmt.Sprintf("%d of %d", k, n) }

// RateText is an interval for a reader, "69% to 100%"; "unknown" without trials.
func RateText(iv judge.Interval, trials int) string {
	if trials == 0 {
		return "unknown"
	}
	return whole(iv.Low) + " to " + whole(iv.High)
}

// whole formats a rate without decimals where that hides nothing.
func whole(p float64) string {
	if p >= 0.1 && p <= 0.9 {
		return fmt.Sprintf("%.0f%%", 100*p)
	}
	return judge.Percent(math.Round(p*1e3) / 1e3)
}

// Place is where a report's code is, "btrfs_destroy_inode at
// fs/btrfs/inode.c:8026"; empty when the report does not say.
func Place(r *ReportRecord) string {
	text := r.Function
	if r.File != "" {
		if text != "" {
			text += " at "
		}
		text += r.File
		if r.Line > 0 {
			text += fmt.Sprintf(":%d", r.Line)
		}
	}
	return line(text)
}

// guestText describes the guests of a campaign.
func guestText(c *Campaign) string {
	text := c.Shape
	if c.Host.Accel != "" {
		if text != "" {
			text += ", "
		}
		text += c.Host.Accel
	}
	return line(text)
}

// Duration formats seconds for a reader: "48s", "12m 5s", "3h 2m".
func Duration(seconds float64) string {
	s := int(math.Round(seconds))
	switch {
	case s >= 3600:
		return fmt.Sprintf("%dh %dm", s/3600, s%3600/60)
	case s >= 60:
		return fmt.Sprintf("%dm %ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}

// PerturbText says what a verdict from perturbed kernels rests on.
func PerturbText(p *Perturbation) string {
	paths := make([]string, len(p.Paths))
	for i, path := range p.Paths {
		paths[i] = line(path)
	}
	return fmt.Sprintf("Both kernels were perturbed alike: the functions of %s yield at %s of their beginnings and ends. What they print is a real interleaving, but it comes far more often than on plain kernels.",
		strings.Join(paths, ", "), shareText(p.Share))
}

// shareText is "1 in 4", or a percentage when that is not exact.
func shareText(share float64) string {
	if n := math.Round(1 / share); share > 0 && math.Abs(1/n-share) < 1e-6 {
		return fmt.Sprintf("1 in %.0f", n)
	}
	return fmt.Sprintf("%.2g%%", 100*share)
}

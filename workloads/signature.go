package workloads

import (
	"slices"
	"strings"
	"unicode"
)

// signatureKinds are the kinds that the kernel log parser gives to reports. They
// are written down once more because a mistyped one would match nothing, in runs
// that take hours, and because only this package knows the line that it is in.
var signatureKinds = []string{
	"WARNING", "BUG", "Oops", "panic", "KASAN", "KMSAN", "KCSAN", "KFENCE", "UBSAN",
	"lockdep", "INFO-hung-task", "RCU-stall", "soft-lockup", "hard-lockup", "memory-leak",
	"filesystem", "io-error", "OOM", "segfault", "allocation-failure", "machine-check", "other",
}

// empty reports whether the signature would match every report.
func (s Signature) empty() bool {
	return s.Kind == "" && s.File == "" && s.Function == "" && s.Condition == "" && s.Title == ""
}

// check looks for what no report can have, by the rules of dmesg.Signature.
func (s Signature) check(src *source, path string) *PositionError {
	isKind := func(kind string) bool { return strings.EqualFold(kind, s.Kind) }
	switch {
	case s.Kind != "" && !slices.ContainsFunc(signatureKinds, isKind):
		return src.errorf(path+".kind", "unknown kind %s%s (kinds: %s)", shorten(s.Kind), didYouMean(s.Kind, signatureKinds), strings.Join(signatureKinds, ", "))
	case strings.ContainsFunc(s.Function, unicode.IsSpace) || strings.ContainsAny(s.Function, "()+"):
		return src.errorf(path+".function", "expected a function's bare name, without brackets and offsets, got %s", shorten(s.Function))
	case strings.HasSuffix(s.File, "/") || strings.Contains(s.File, ":"):
		return src.errorf(path+".file", "expected the path of a file, or its end, without a line number, got %s", shorten(s.File))
	case s.Condition != "" && strings.TrimSpace(s.Condition) == "":
		return src.errorf(path+".condition", "expected the text inside WARN_ON(...), got only white space")
	}
	return nil
}

func checkSignatures(src *source, path string, list []Signature) *PositionError {
	for i, s := range list {
		if s.empty() {
			return src.errorf(indexed(path, i), "an empty signature matches every report; give at least one of kind, file, function, condition, title")
		}
		if err := s.check(src, indexed(path, i)); err != nil {
			return err
		}
	}
	return nil
}

func checkBenign(src *source, path string, list []Benign) *PositionError {
	for i, b := range list {
		if b.empty() {
			return src.errorf(indexed(path, i), "an empty benign entry would hide every report; give at least one of kind, file, function, condition, title")
		}
		if err := b.check(src, indexed(path, i)); err != nil {
			return err
		}
		if strings.TrimSpace(b.Reason) == "" {
			return src.errorf(indexed(path, i)+".reason", "expected the reason why this report is no failure")
		}
	}
	return nil
}

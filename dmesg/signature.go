package dmesg

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Signature says what a report must look like to be the bug in question. An
// empty field matches anything.
type Signature struct {
	// Name is for messages; it takes no part in matching.
	Name string `yaml:"name,omitempty" json:"name,omitempty"`
	Kind Kind   `yaml:"kind,omitempty" json:"kind,omitempty"`
	// File matches by path suffix at a '/' boundary: "inode.c" and
	// "btrfs/inode.c" match fs/btrfs/inode.c.
	File string `yaml:"file,omitempty" json:"file,omitempty"`
	// Function matches the guilty function or the one the header names.
	Function string `yaml:"function,omitempty" json:"function,omitempty"`
	// Condition is compared with white space removed, with or without the
	// macro around it. It is ignored when the report has no condition text,
	// which is so when no source tree was at hand.
	Condition string `yaml:"condition,omitempty" json:"condition,omitempty"`
	// Title is a substring of the report's title.
	Title string `yaml:"title,omitempty" json:"title,omitempty"`
}

// Match reports whether r has the signature.
func (s Signature) Match(r *Report) bool {
	return r != nil &&
		(s.Kind == "" || strings.EqualFold(string(s.Kind), string(r.Kind))) &&
		(s.File == "" || hasPathSuffix(r.File, s.File)) &&
		(s.Function == "" || s.matchFunction(r)) &&
		(s.Condition == "" || s.matchCondition(r)) &&
		strings.Contains(r.Title, s.Title)
}

func (s Signature) matchFunction(r *Report) bool {
	return s.Function == r.Function || s.Function == r.HeaderFunction ||
		s.Function == baseFunction(r.HeaderFunction)
}

func (s Signature) matchCondition(r *Report) bool {
	if r.Condition == "" {
		return true
	}
	want := withoutSpace(s.Condition)
	return want == withoutSpace(r.Condition) || want == withoutSpace(r.ConditionText())
}

// Validate returns an error when the signature could match every report or
// contains something that no report can have.
func (s Signature) Validate() error {
	name := s.Name
	if name == "" {
		name = "without a name"
	}
	if s.Kind == "" && s.File == "" && s.Function == "" && s.Condition == "" && s.Title == "" {
		return fmt.Errorf("signature %q is empty and would match every report: give kind, file, function, condition or title", name)
	}
	if s.Kind != "" && !knownKind(s.Kind) {
		return fmt.Errorf("signature %q: unknown kind %q: use one of %s", name, s.Kind, kindList())
	}
	if strings.ContainsFunc(s.Function, unicode.IsSpace) {
		return fmt.Errorf("signature %q: function %q contains white space: give a function's bare name", name, s.Function)
	}
	if strings.ContainsAny(s.Function, "()+") {
		return fmt.Errorf("signature %q: function %q is not a bare name: leave out brackets and offsets", name, s.Function)
	}
	if strings.HasSuffix(s.File, "/") || strings.Contains(s.File, ":") {
		return fmt.Errorf("signature %q: file %q must be a path without line number", name, s.File)
	}
	if s.Condition != "" && withoutSpace(s.Condition) == "" {
		return errors.New("signature " + name + ": condition is only white space")
	}
	return nil
}

var allKinds = [...]Kind{
	KindWarning, KindBug, KindOops, KindPanic, KindKASAN, KindKMSAN, KindKCSAN,
	KindKFENCE, KindUBSAN, KindLockdep, KindHungTask, KindRCUStall,
	KindSoftLockup, KindHardLockup, KindMemoryLeak, KindFilesystem, KindIO,
	KindOOM, KindSegfault, KindAllocFailure, KindMachineCheck, KindOther,
}

// Kinds returns all kinds that a report can have.
func Kinds() []Kind { return append([]Kind(nil), allKinds[:]...) }

func knownKind(k Kind) bool {
	for _, known := range allKinds {
		if strings.EqualFold(string(k), string(known)) {
			return true
		}
	}
	return false
}

func kindList() string {
	names := make([]string, len(allKinds))
	for i, k := range allKinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// hasPathSuffix reports whether path ends in suffix at a path boundary. A
// leading "./" or "/" of the suffix carries no meaning.
func hasPathSuffix(path, suffix string) bool {
	suffix = strings.TrimLeft(strings.TrimPrefix(suffix, "./"), "/")
	if !strings.HasSuffix(path, suffix) || suffix == "" {
		return false
	}
	rest := path[:len(path)-len(suffix)]
	return rest == "" || strings.HasSuffix(rest, "/")
}

func withoutSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

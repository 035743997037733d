package dmesg

import "strings"

// SourceLines gives source text. The kernels package implements it for the
// tree that an image was built from.
type SourceLines interface {
	// SourceLine returns the given line first and up to eight lines after
	// it, because the arguments of a macro may span lines.
	SourceLine(file string, line int) (context []string, ok bool)
}

// Annotate fills Macro, Condition and Once of the reports whose file and line
// are known, from the source. A condition that the kernel itself printed stays,
// but gets its macro.
func Annotate(reports []Report, src SourceLines) {
	if src == nil {
		return
	}
	for i := range reports {
		r := &reports[i]
		if r.File == "" || r.Line <= 0 {
			continue
		}
		lines, ok := src.SourceLine(r.File, r.Line)
		if !ok {
			continue
		}
		macro, condition, ok := ParseCondition(lines)
		if !ok {
			continue
		}
		r.Macro, r.Once = macro, isOnce(macro)
		if r.Condition == "" || withoutSpace(r.Condition) == withoutSpace(condition) {
			r.Condition = condition
		}
		r.Fingerprint = fingerprint(r)
	}
}

func isOnce(macro string) bool { return strings.HasSuffix(macro, "_ONCE") }

// assertionMacro describes one macro that tests a condition. Argument is the
// index of the condition among the arguments, -1 when there is no condition.
type assertionMacro struct {
	name     string
	argument int
}

// assertionMacros are the macros whose line a WARNING or BUG header can name.
// Names are matched as whole words.
var assertionMacros = [...]assertionMacro{
	{"WARN_ON", 0}, {"WARN_ON_ONCE", 0}, {"WARN", 0}, {"WARN_ONCE", 0},
	{"WARN_TAINT", 0}, {"WARN_TAINT_ONCE", 0}, {"WARN_ON_SMP", 0},
	{"WARN_ON_FUNCTION_MISMATCH", 0}, {"WARN_RATELIMIT", 0},
	{"BUG_ON", 0}, {"BUG", -1}, {"VM_BUG_ON", 0}, {"VM_WARN_ON", 0},
	{"VM_WARN_ON_ONCE", 0}, {"VM_WARN_ONCE", 0}, {"VM_WARN", 0},
	{"VM_BUG_ON_PAGE", 0}, {"VM_BUG_ON_FOLIO", 0}, {"VM_BUG_ON_VMA", 0},
	{"VM_BUG_ON_MM", 0}, {"VM_WARN_ON_FOLIO", 0}, {"VM_WARN_ON_ONCE_PAGE", 0},
	{"VM_WARN_ON_ONCE_FOLIO", 0}, {"VM_WARN_ON_ONCE_MM", 0},
	{"VM_WARN_ON_ONCE_VMA", 0}, {"VM_WARN_ON_VMG", 0},
	{"ASSERT", 0}, {"ASSERT_RTNL", -1}, {"DEBUG_LOCKS_WARN_ON", 0},
	{"SCHED_WARN_ON", 0}, {"RCU_LOCKDEP_WARN", 0}, {"KVM_BUG_ON", 0},
	{"KVM_BUG", 0}, {"KVM_MMU_WARN_ON", 0}, {"IWL_WARN_ON", 0}, {"J_ASSERT", 0},
	{"J_ASSERT_JH", 1}, {"J_ASSERT_BH", 1}, {"DCACHE_WARN_ON", 0},
	{"DEBUG_NET_WARN_ON_ONCE", 0}, {"DEBUG_NET_WARN_ONCE", 0},
	{"I915_STATE_WARN", 0}, {"drm_WARN_ON", 1}, {"drm_WARN_ON_ONCE", 1},
	{"drm_WARN", 1}, {"drm_WARN_ONCE", 1}, {"dev_WARN_ONCE", 1}, {"dev_WARN", -1},
	{"pci_WARN", 1}, {"GEM_BUG_ON", 0}, {"GEM_WARN_ON", 0}, {"CHECK_DATA_CORRUPTION", 0},
	{"lockdep_assert_held", 0}, {"lockdep_assert_held_write", 0},
	{"lockdep_assert_held_read", 0}, {"lockdep_assert", 0},
	{"lockdep_assert_not_held", 0}, {"lockdep_assert_irqs_disabled", -1},
	{"lockdep_assert_irqs_enabled", -1}, {"WARN_ON_DYNAMIC_STACK", 0},
	{"xfs_assert", 0}, {"ASSERTCMP", -1}, {"PANIC_ON", 0},
	{"btrfs_assert", 0}, {"f2fs_bug_on", 1}, {"nilfs_bug_on", 0},
}

// ParseCondition finds the assertion in source lines, of which the first is
// the one that a report names, and returns its macro and its condition with
// runs of white space made single spaces. BUG() has an empty condition and ok
// is true.
//
// Compilers disagree on which line of a statement they give to a macro, so a
// first line that holds no macro makes ParseCondition look at the next few, but
// only while the first line is visibly the start of an unfinished statement.
func ParseCondition(lines []string) (macro, condition string, ok bool) {
	const maxLines, maxBytes = 16, 16 << 10
	if len(lines) > maxLines {
		lines = lines[:maxLines]
	}
	text := strings.Join(lines, "\n")
	if len(text) > maxBytes {
		text = text[:maxBytes]
	}
	text = stripComments(text)
	found, open := findMacro(text)
	if found.name == "" {
		return "", "", false
	}
	// Only the statement that starts on the first line counts.
	if strings.ContainsAny(text[:open], ";{}") && strings.Contains(text[:open], "\n") {
		return "", "", false
	}
	args, closed := splitArguments(text[open:])
	// A message may go on for more lines than were given; the condition stands
	// before it.
	if !closed && (found.argument < 0 || found.argument >= len(args)) {
		return "", "", false
	}
	if found.argument < 0 {
		return found.name, "", true
	}
	if found.argument >= len(args) || args[found.argument] == "" {
		return "", "", false
	}
	return found.name, args[found.argument], true
}

// findMacro returns the first assertion macro that is called in text, and the
// index after its opening bracket.
func findMacro(text string) (assertionMacro, int) {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"' || c == '\'':
			i += quotedLen(text[i:])
		case isWordByte(c):
			j := i
			for j < len(text) && isWordByte(text[j]) {
				j++
			}
			k := j
			for k < len(text) && isSpaceByte(text[k]) {
				k++
			}
			if k < len(text) && text[k] == '(' {
				for _, m := range assertionMacros {
					if m.name == text[i:j] {
						return m, k + 1
					}
				}
			}
			i = j
		default:
			i++
		}
	}
	return assertionMacro{}, 0
}

// splitArguments splits what follows an opening bracket at the top-level
// commas. closed is false when the closing bracket is missing; args then holds
// the arguments before the last comma.
func splitArguments(s string) (args []string, closed bool) {
	depth, start := 0, 0
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case '"', '\'':
			i += quotedLen(s[i:])
			continue
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth == 0 {
				if c != ')' {
					return nil, false
				}
				return append(args, squeeze(s[start:i])), true
			}
			depth--
		case ',':
			if depth == 0 {
				args = append(args, squeeze(s[start:i]))
				start = i + 1
			}
		}
		i++
	}
	return args, false
}

// squeeze makes every run of white space, and the line continuations of a
// macro definition, one space.
func squeeze(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "\\\n", "\n")), " ")
}

// quotedLen is the length of the string or character constant at the start of
// s; an unterminated one ends at the end of its line.
func quotedLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\n':
			return i
		case s[0]:
			return i + 1
		}
	}
	return len(s)
}

// stripComments replaces comments by a space and keeps newlines.
func stripComments(s string) string {
	if !strings.Contains(s, "/*") && !strings.Contains(s, "//") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		switch {
		case s[i] == '"' || s[i] == '\'':
			n := quotedLen(s[i:])
			b.WriteString(s[i : i+n])
			i += n
		case strings.HasPrefix(s[i:], "/*"):
			end := strings.Index(s[i+2:], "*/")
			if end < 0 {
				return b.String()
			}
			b.WriteByte(' ')
			b.WriteString(strings.Repeat("\n", strings.Count(s[i:i+2+end], "\n")))
			i += 2 + end + 2
		case strings.HasPrefix(s[i:], "//"):
			end := strings.IndexByte(s[i:], '\n')
			if end < 0 {
				return b.String()
			}
			i += end
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return b.String()
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isSpaceByte(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

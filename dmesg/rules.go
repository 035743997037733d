package dmesg

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
)

// where says where on a line a header may stand.
type where int

const (
	// atStart: the message begins with the header, or with a subsystem's tag
	// and the header ("watchdog: ", "rcu: ", "[ ").
	atStart where = iota
	// anywhere: the header is so particular that it counts in the middle of a
	// line too; consoles glue lines together.
	anywhere
)

// guilt is the way to find the guilty function of a report.
type guilt int

const (
	guiltNone     guilt = iota // the report names no function
	guiltHeader                // the header's function, helpers or not
	guiltWarn                  // header, instruction pointer, trace: first that is no helper
	guiltTrace                 // first trace
	guiltStall                 // what a dispatcher called, in the interrupted trace
	guiltRCU                   // same, in the trace below the timer interrupt
	guiltHung                  // where a task sleeps
	guiltLockAt                // the first lock's "at: function"
	guiltLockPair              // the first two locks' "at: function", then the chain
	guiltBecame                // the trace after "which became ... at:"
	guiltFirst                 // header, then the frames that follow it
	guiltLeak                  // the trace after "backtrace:"
	guiltPage                  // the trace after "page last allocated"
	guiltLast                  // "last function: name" or "workfn=name"
)

// ending says how a report ends when it is complete.
type ending int

const (
	endOpen  ending = iota // no end mark: a trace, then other things
	endTrace               // "---[ end trace ...]---"
	endRule                // a line of "="
	endLine                // the header is the report
)

// joining says whether a header continues a report that is open.
type joining int

const (
	joinNever joining = iota
	joinEarly         // when no trace has been seen yet: "Oops: 0002 [#1]" after "BUG: unable to handle"
	joinAlways
)

// rule describes one header. Rules are tried in order and the first match
// decides. Patterns may use %sym%, %off%, %src% and %pc% (see expandPattern) and the
// groups func, file, line, cpu, pid, comm, module, expr, what, rw and more that
// the title names in braces.
type rule struct {
	trigger string // an exact part of every matching line
	pattern string
	where   where
	kind    Kind
	sev     Severity
	title   string // "{func}" is the guilty function, "{name}" a group
	bare    string // title when no guilty function is known; default: title without " in {func}"
	guilt   guilt
	skip    *helperSet // helpers besides everyKind
	ending  ending
	own     []string // beginnings of lines that only reports of this rule hold
	slub    bool     // a report of SLUB, whose trace may come in a WARNING
	join    joining
	second  bool // of two headers that the kernel prints for one fault this is the second
	// proof: the header's words alone prove nothing; the report counts only
	// when a trace or registers follow.
	proof bool
	// kernelOnly: the same, but for lines that need not come from the kernel.
	kernelOnly bool
	// cut: the header is what remains of a longer one.
	cut bool
	// summary: the line only counts reports of its kind, which may stand before
	// or after it.
	summary bool
	// noise: a stack dump that is no report; its trace proves nothing about others.
	noise bool
	// reboot: the line is a report only in the middle of a running system.
	reboot bool
	// ignore: the line looks like a header and is none.
	ignore bool
}

// vague says whether a header may be the beginning of a better known one.
func (r *rule) vague() bool { return r.cut || r.proof || r.kernelOnly }

// compiledRule is a rule with its pattern compiled.
type compiledRule struct {
	rule
	re  *regexp.Regexp
	lit []byte
	bit uint64
}

const (
	offPattern = `(?P<func>[A-Za-z_][\w.$]*)\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?`
	symPattern = `(?P<func>[A-Za-z_][\w.$]*)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?(?: \[(?P<module>[\w-]+)[^\]]*\])?`
	srcPattern = `(?P<file>[\w./+~-]+\.(?:c|h|S|rs|y|l|inc)):(?P<line>\d+)`
	pcPattern  = `(?:\[?<?(?:0x)?[0-9a-f]{8,16}>?\]? +)`
)

// expandPattern replaces the abbreviations in a pattern and anchors it.
func expandPattern(r rule) string {
	p := strings.NewReplacer("%sym%", symPattern, "%off%", offPattern, "%src%", srcPattern, "%pc%", pcPattern).Replace(r.pattern)
	if r.where == atStart {
		return `^(?:` + p + `)`
	}
	return p
}

// messageTags are what subsystems and lockdep put before a header.
var messageTags = [...]string{"NMI watchdog: ", "watchdog: ", "rcu: ", "kernel: ", "kernel:", "workqueue: ", "kmemleak: ", "kfence: ", "kasan: ", "[ ", "---", "===", " ", "\t"}

// trimTags removes tags from the start of a message.
func trimTags(b []byte) []byte {
	for more := true; more; {
		more = false
		for _, tag := range messageTags {
			if len(b) >= len(tag) && string(b[:len(tag)]) == tag {
				b, more = b[len(tag):], true
			}
		}
	}
	return b
}

// ruleBook is the compiled table with the automaton that finds its triggers.
type ruleBook struct {
	rules   []compiledRule
	scanner *scanner
	cutHere uint64 // bit of "[ cut here ]"
	restart uint64 // bit of "reboot: "
	version uint64 // bit of "Linux version "
}

func newRuleBook(tables ...[]rule) *ruleBook {
	book := &ruleBook{}
	bits := map[string]uint64{}
	var words []string
	bitOf := func(word string) uint64 {
		if bits[word] == 0 {
			bits[word] = 1 << len(words)
			words = append(words, word)
		}
		return bits[word]
	}
	book.cutHere, book.version, book.restart = bitOf("[ cut here ]"), bitOf("Linux version "), bitOf("reboot: ")
	for _, table := range tables {
		for _, r := range table {
			book.rules = append(book.rules, compiledRule{
				rule: r, re: regexp.MustCompile(expandPattern(r)), lit: []byte(r.trigger), bit: bitOf(r.trigger),
			})
		}
	}
	book.scanner = newScanner(words)
	return book
}

// kernelRules is all that the package knows about headers. It is built at the
// first use, because a program that reads no log should not pay for it, and
// never changes after that.
var kernelRules = sync.OnceValue(func() *ruleBook {
	return newRuleBook(ignoredHeaders, noiseHeaders, sanitizerHeaders, lockHeaders, warningHeaders, bugHeaders,
		trapHeaders, stallHeaders, panicHeaders, leakHeaders, quietHeaders, generalHeaders)
})

// match returns the first rule that matches body, with its groups.
func (book *ruleBook) match(body []byte, hits uint64) (*compiledRule, map[string]string) {
	untagged := trimTags(body)
	for i := range book.rules {
		r := &book.rules[i]
		if hits&r.bit == 0 {
			continue
		}
		body := body
		if r.where == atStart {
			body = untagged
		}
		if !bytes.Contains(body, r.lit) { // the trigger may be in another part of the line
			continue
		}
		loc := r.re.FindSubmatchIndex(body)
		if loc == nil || !r.ignore && isQuoted(body, loc[0]) {
			continue
		}
		groups := map[string]string{}
		for g, name := range r.re.SubexpNames() {
			if name != "" && loc[2*g] >= 0 && groups[name] == "" {
				value := body[loc[2*g]:loc[2*g+1]]
				if name == "func" && isAddress(value) {
					continue // a kernel without symbols
				}
				groups[name] = string(value)
			}
		}
		return r, groups
	}
	return nil, nil
}

// isQuoted says whether a quotation mark stands before a header: a program or a
// test talks about it.
func isQuoted(body []byte, at int) bool {
	return at > 0 && (body[at-1] == '"' || body[at-1] == '\'' || body[at-1] == '`')
}

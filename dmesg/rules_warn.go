package dmesg

// ignoredHeaders are lines that look like headers and are none: advice at
// boot, notices with "WARNING:" or "INFO:" in them, user programs.
var ignoredHeaders = []rule{
	{trigger: "BUG", pattern: `(?:DE|_)BUG: ?|BUG: no syscalls can create resource`, where: anywhere, ignore: true},
	// The inlined part of a symbolised header; the next line repeats it with
	// the function that has code.
	{trigger: "BUG:", pattern: `BUG: K[A-Z]+: .* \[inline\]\s*$`, where: anywhere, ignore: true},
	{trigger: "WARNING:", pattern: `WARNING: .* at .* \[inline\]\s*$`, where: anywhere, ignore: true},
	{trigger: "Kernel panic", pattern: `\[ end Kernel panic`, where: anywhere, ignore: true},
	{trigger: "Unknown parameter '", pattern: `Unknown parameter '`, where: anywhere, ignore: true},
	{trigger: "WARNING:", pattern: `/etc/ssh/|WARNING: workqueue cpumask|WARNING: [Tt]he mand mount option|DT_FLAGS_1|WARNING: Unprivileged eBPF|WARNING: fbcon:|WARNING: See http|WARNING: kernel not compiled with|EXT4-[Ff][Ss]\b|XFS \([^)]*\): WARNING|(?i:deprecated v2 capabilities|wireless extensions)|WARNING: Spectre`, where: anywhere, ignore: true},
	{trigger: "INFO:", pattern: `INFO: lockdep is turned off|INFO: Stall ended before|INFO: NMI handler|INFO: recovery required|took too long|INFO: sys_\w+ is not present|INFO: no syscalls can|rmt_storage:INFO|_INFO:|\w+\.INFO:`, where: anywhere, ignore: true},
}

// noiseHeaders begin stack dumps that are not reports.
var noiseHeaders = []rule{
	{trigger: "FAULT_", pattern: `FAULT_INJECTION: forcing a failure`, where: anywhere, noise: true},
	{trigger: "FAULT_", pattern: `FAULT_FLAG_ALLOW_RETRY missing`, where: anywhere, noise: true},
}

// warningHeaders: WARN(), WARN_ON() and relatives in all their formats.
//
//	2.6, 3.x   WARNING: at FILE:LINE FUNC+0x1/0x2()
//	3.11+      WARNING: CPU: 0 PID: 1 at FILE:LINE FUNC+0x1/0x2
//	6.19+      WARNING: [EXPR] FILE:LINE at FUNC+0x1/0x2, CPU#0: COMM/PID
//	powerpc    Badness at FILE:LINE
var warningHeaders = expandWarnings([]rule{
	{pattern: `lib/debugobjects\.c`, title: "WARNING: ODEBUG bug in {func}",
		skip: newHelperSet([]string{"*debug_*", "*rcu*", "*hrtimer_*", "*timer_*", "*work_*", "*percpu_*", "*vunmap*", "*vfree*", "*__free_*", "*kobject_*"})},
	{pattern: `mm/usercopy\.c`, title: "WARNING: bad usercopy in {func}", skip: usercopyHelpers},
	{pattern: `lib/kobject\.c`, title: "WARNING: kobject bug in {func}", skip: newHelperSet([]string{"*kobject_*"})},
	{pattern: `fs/proc/generic\.c`, title: "WARNING: proc registration bug in {func}", skip: newHelperSet([]string{"*proc_*"})},
	{pattern: `lib/refcount\.c`, title: "WARNING: refcount bug in {func}", skip: newHelperSet([]string{"*refcount*", "*kobject_*"})},
	{pattern: `kernel/locking/lockdep\.c`, title: "WARNING: locking bug in {func}", skip: sockLockHelpers},
	{pattern: `mm/(?:slab|slub|slab_common|util)\.c`, title: "WARNING: kmalloc bug in {func}",
		skip: newHelperSet([]string{"*kmalloc*", "*krealloc*", "*slab*", "*kmem*"})},
	{pattern: ``, title: "WARNING in {func}"},
})

var usercopyHelpers = newHelperSet([]string{"*usercopy*", "*__check*"})

// expandWarnings makes the rules for all formats of each special title. The
// pattern of an input rule names the end of the file's path.
func expandWarnings(special []rule) []rule {
	const (
		// A function has an offset, or a script has put its source line there.
		place   = `(?P<func>[A-Za-z_][\w.$]*)(?:\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?| [\w./+~-]+\.[chS]:\d+)(?: \[(?P<module>[\w-]+)[^\]]*\])?`
		cpuPart = `WARNING: (?:CPU: ?(?P<cpu>\d+) )?(?:PID: ?(?P<pid>\d+) )?at `
		newPart = `WARNING: (?:\[(?P<expr>.*)\] )?`
		newTail = ` at ` + place + `(?:, CPU#(?P<cpu>\d+): (?P<comm>.{1,32}?)/(?P<pid>\d+))?`
	)
	var rules []rule
	for _, s := range special {
		s.trigger, s.where, s.kind, s.sev, s.guilt, s.ending = "WARNING:", anywhere, KindWarning, SeverityMedium, guiltWarn, endTrace
		source := srcPattern
		if s.pattern != "" {
			source = `(?P<file>[\w./+~-]*` + s.pattern + `):(?P<line>\d+)`
		}
		for _, format := range []string{cpuPart + source + ` ` + place, newPart + source + newTail, cpuPart + source} {
			r := s
			r.pattern = format
			rules = append(rules, r)
		}
	}
	return append(rules,
		rule{trigger: "WARNING:", pattern: newPart + `%src% at 0x[0-9a-f]+(?:, CPU#(?P<cpu>\d+): (?P<comm>.{1,32}?)/(?P<pid>\d+))?`, where: anywhere,
			kind: KindWarning, sev: SeverityMedium, title: "WARNING in {func}", guilt: guiltWarn, ending: endTrace},
		rule{trigger: "WARNING:", pattern: newPart + `%src%`, where: atStart,
			kind: KindWarning, sev: SeverityMedium, title: "WARNING in {func}", guilt: guiltWarn, ending: endTrace},
		// Without CONFIG_DEBUG_BUGVERBOSE there is no source line.
		rule{trigger: "WARNING:", pattern: cpuPart + `(?P<func>[A-Za-z_][\w.$]*)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(?P<module>[\w-]+))?`, where: anywhere,
			kind: KindWarning, sev: SeverityMedium, title: "WARNING in {func}", guilt: guiltWarn, ending: endTrace},
		rule{trigger: "WARNING:", pattern: `WARNING: (?:CPU: ?(?P<cpu>\d+) ?(?:$|PID\b:? ?(?P<pid>\d*))|at (?:0x)?[0-9a-f]+ )`, where: anywhere, cut: true,
			kind: KindWarning, sev: SeverityMedium, title: "WARNING in {func}", guilt: guiltWarn, ending: endTrace},
		rule{trigger: "Badness at", pattern: `Badness at (?:%src%|[0-9a-f]+)`, where: atStart,
			kind: KindWarning, sev: SeverityMedium, title: "WARNING in {func}", guilt: guiltWarn, ending: endTrace},
	)
}

// generalHeaders come last: headers of which only the first word is known.
var generalHeaders = []rule{
	{trigger: "WARNING:", pattern: `WARNING: kernel stack (?P<what>regs|frame pointer) .*has bad (?:'(?P<reg>\w+)' )?value`, where: anywhere,
		kind: KindWarning, sev: SeverityMedium, title: "WARNING: kernel stack {what} has bad value", guilt: guiltNone},
	{trigger: "WARNING:", pattern: `WARNING: (?P<what>stack recursion|stack going in the wrong direction|can't (?:access registers|dereference registers|find) |can't dereference|unrecognized unwind stack)`, where: atStart,
		kind: KindWarning, sev: SeverityMedium, title: "WARNING: {what}", guilt: guiltNone, ending: endLine},
	{trigger: "WARNING:", pattern: `WARNING:\s*$`, where: atStart, cut: true, kernelOnly: true,
		kind: KindWarning, sev: SeverityMedium, title: "WARNING in {func}", bare: "WARNING: header cut", guilt: guiltWarn, ending: endTrace},
	{trigger: "WARNING:", pattern: `WARNING: (?P<what>\S.{0,100})`, where: atStart, proof: true,
		kind: KindWarning, sev: SeverityMedium, title: "WARNING: {what}", guilt: guiltTrace},
	{trigger: "BUG:", pattern: `BUG:\s*$`, where: atStart, cut: true, kernelOnly: true,
		kind: KindBug, sev: SeverityHigh, title: "BUG in {func}", bare: "BUG: header cut", guilt: guiltWarn},
	{trigger: "BUG:", pattern: `BUG: (?P<what>\S.{0,100})`, where: atStart, kernelOnly: true,
		kind: KindBug, sev: SeverityMedium, title: "BUG: {what}", guilt: guiltTrace},
	{trigger: "INFO:", pattern: `INFO:\s*$`, where: atStart, cut: true, kernelOnly: true,
		kind: KindOther, sev: SeverityMedium, title: "INFO: header cut", guilt: guiltTrace},
	{trigger: "INFO:", pattern: `INFO: (?P<what>\S.{0,100})`, where: atStart, proof: true,
		kind: KindOther, sev: SeverityMedium, title: "INFO: {what}", guilt: guiltTrace},
}

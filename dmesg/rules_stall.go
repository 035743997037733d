package dmesg

// stallHeaders: CPUs and tasks that do not come back.
var stallHeaders = []rule{
	{trigger: "BUG:", pattern: `BUG: soft lockup(?: detected on CPU#(?P<cpu2>\d+)!| - CPU#(?P<cpu>\d+) stuck for \d+s! \[(?P<comm>.{1,40}):(?P<pid>\d+)\]| -| detected|\s*$)`, where: anywhere,
		kind: KindSoftLockup, sev: SeverityHigh, title: "BUG: soft lockup in {func}", guilt: guiltStall},
	{trigger: "LOCKUP", pattern: `Watchdog detected hard LOCKUP on cpu (?P<cpu>\d+)|BUG: NMI Watchdog detected LOCKUP|NMI watchdog: Watchdog detected hard LOCKUP`, where: anywhere,
		kind: KindHardLockup, sev: SeverityHigh, title: "hard lockup in {func}", guilt: guiltStall},
	{trigger: "LOCKUP", pattern: `CPU (?P<cpu>\d+) (?:self-)?detected hard LOCKUP(?: @ %off%)?|CPU Hard LOCKUP`, where: anywhere,
		kind: KindHardLockup, sev: SeverityHigh, title: "hard lockup in {func}", guilt: guiltStall},
	{trigger: "INFO:", pattern: `INFO: rcu_?\w* (?:self-)?detected(?: expedited)? stalls?`, where: anywhere,
		kind: KindRCUStall, sev: SeverityHigh, title: "INFO: rcu detected stall in {func}", guilt: guiltRCU, skip: rcuStallHelpers},
	{trigger: "INFO:", pattern: `INFO: (?:rcu_\w+|RCU) (?:.*stall|self-|detected)`, where: anywhere,
		kind: KindRCUStall, sev: SeverityHigh, title: "INFO: rcu detected stall in {func}", guilt: guiltRCU, skip: rcuStallHelpers},
	{trigger: "INFO:", pattern: `INFO: task (?P<comm>.{1,40}):(?P<pid>\d+) (?:<[^>]*> )?blocked (?:in I/O wait )?for more than \d+ seconds`, where: anywhere,
		kind: KindHungTask, sev: SeverityHigh, title: "INFO: task hung in {func}", guilt: guiltHung, skip: hungHelpers},
	{trigger: "INFO:", pattern: `INFO: task (?P<comm>.{1,40}):(?P<pid>\d+) can't die for more than \d+ seconds`, where: anywhere,
		kind: KindHungTask, sev: SeverityHigh, title: "INFO: task can't die in {func}", guilt: guiltTrace, skip: newHelperSet([]string{"*schedule*", "*preempt_*", "*irqentry_*", "*sysvec_*", "*apic_timer_interrupt*", "*common_interrupt", "retint_*", "el1_irq", "el1h_64_irq*", "*context_switch*"})},
	// Since 6.15 the task that holds the lock is shown too; the text after it is part of the same report.
	{trigger: "INFO:", pattern: `INFO: task .{1,60}\bblocked on an? .{1,60}likely owned by task`, where: anywhere, join: joinAlways,
		kind: KindHungTask, sev: SeverityHigh, title: "INFO: task hung in {func}", guilt: guiltHung, skip: hungHelpers},
	{trigger: "INFO:", pattern: `INFO: task (?:.*(?:blocked|hung)|\S+:\d+)`, where: atStart, cut: true,
		kind: KindHungTask, sev: SeverityHigh, title: "INFO: task hung in {func}", guilt: guiltHung, skip: hungHelpers},
}

var rcuStallHelpers = newHelperSet([]string{"*apic_timer_interrupt*", "*rcu*", "asm_call_*", "*sysvec_*", "common_interrupt", "asm_common_interrupt"})

// quietHeaders: what a kernel survives and reports in one line or a few:
// file systems, devices, memory pressure, user programs.
var quietHeaders = []rule{
	{trigger: "BTRFS", pattern: `BTRFS: Transaction aborted|BTRFS(?::| )[^:]*\(device (?P<dev>[^)]+)\).*Transaction aborted \(error (?P<err>-?\d+)\)`, where: atStart,
		kind: KindFilesystem, sev: SeverityLow, title: "btrfs: transaction aborted", ending: endLine, join: joinAlways},
	{trigger: "BTRFS", pattern: `BTRFS(?: |: )(?P<level>critical|error|alert) \(device [^)]+\)(?: in %sym%:(?P<line>\d+))?:? ?(?P<what>.{0,100})`, where: atStart,
		kind: KindFilesystem, sev: SeverityLow, title: "btrfs {level}: {what}", guilt: guiltHeader, ending: endLine},
	// Most warnings of btrfs are advice at mount; these are about lost data.
	{trigger: "BTRFS", pattern: `BTRFS(?: |: )warning \(device [^)]+\): (?P<what>.{0,40}(?:csum|checksum|corrupt|i/o error|I/O error|direct IO failed|lost page write|lost super|tree block|aborted|read error).{0,60})`, where: atStart,
		kind: KindFilesystem, sev: SeverityLow, title: "btrfs warning: {what}", guilt: guiltNone, ending: endLine},
	{trigger: "btrfs", pattern: `btrfs (?P<what>csum failed|bad tree block start|parent transid verify failed|bad fsid|bdev .* errs:)`, where: atStart,
		kind: KindFilesystem, sev: SeverityLow, title: "btrfs error: {what}", ending: endLine},
	{trigger: "-fs error", pattern: `EXT[234]-fs (?P<level>error) \(device [^)]+\): %sym%:(?P<line>\d+): (?P<what>.{0,100})`, where: atStart,
		kind: KindFilesystem, sev: SeverityLow, title: "ext4 {level} in {func}", guilt: guiltHeader, ending: endLine},
	{trigger: "-fs error", pattern: `EXT[234]-fs (?P<level>error)(?: \(device [^)]+\))?(?:: %sym%)?: (?P<what>.{0,100})`, where: atStart,
		kind: KindFilesystem, sev: SeverityLow, title: "ext4 {level}: {what}", guilt: guiltHeader, ending: endLine},
	{trigger: "XFS (", pattern: `XFS \([^)]*\): (?P<what>Corruption .{0,80}|Internal error .{0,80}|Metadata corruption detected.{0,80}|Metadata CRC error.{0,80}|Unmount and run xfs_repair|metadata I/O error.{0,80}|[Ff]ilesystem has been shut down.*)`, where: atStart,
		kind: KindFilesystem, sev: SeverityLow, title: "xfs: {what}", ending: endLine},
	{trigger: "F2FS-fs", pattern: `F2FS-fs \([^)]*\): (?P<what>inconsistent .{0,80}|invalid .{0,80}|.{0,60}[Cc]orrupt.{0,60})`, where: atStart,
		kind: KindFilesystem, sev: SeverityLow, title: "f2fs: {what}", ending: endLine},
	{trigger: "JBD2", pattern: `JBD2: (?P<what>Detected IO errors .{0,80}|Spotted dirty metadata .{0,80})|(?P<what2>Aborting journal on device)`, where: atStart,
		kind: KindFilesystem, sev: SeverityLow, title: "jbd2: {what}{what2}", ending: endLine},
	{trigger: "Aborting journal", pattern: `(?P<what>Aborting journal) on device`, where: atStart,
		kind: KindFilesystem, sev: SeverityLow, title: "jbd2: {what}", ending: endLine},
	{trigger: "I/O error", pattern: `(?:(?:blk_update_request|print_req_error|end_request): )?(?P<what>(?:critical (?:medium|target|space allocation|nexus) error|(?:critical )?I/O error)), dev \S+, (?:logical )?(?:sector|block) `, where: atStart,
		kind: KindIO, sev: SeverityLow, title: "{what} on a device", ending: endLine},
	{trigger: "I/O error", pattern: `(?:Buffer )?I/O error on (?:dev|device) \S+, (?:logical )?block`, where: atStart,
		kind: KindIO, sev: SeverityLow, title: "buffer I/O error on a device", ending: endLine},
	{trigger: "oom-kill", pattern: `(?P<comm>.{1,40}) invoked oom-killer`, where: atStart,
		kind: KindOOM, sev: SeverityLow, title: "out of memory: oom-killer invoked", guilt: guiltNone},
	{trigger: "ut of memory: Kill", pattern: `(?:Out of memory|Memory cgroup out of memory): Kill(?:ed)? process (?P<pid>\d+) \((?P<comm>.{1,40}?)\)`, where: atStart, join: joinAlways,
		kind: KindOOM, sev: SeverityLow, title: "out of memory: process killed", guilt: guiltNone},
	{trigger: "allocation failure", pattern: `(?P<comm>.{1,40}): (?:page|vmalloc:?) allocation failure`, where: atStart,
		kind: KindAllocFailure, sev: SeverityLow, title: "page allocation failure in {func}", guilt: guiltTrace},
	{trigger: "segfault at", pattern: `(?P<comm>.{1,40})\[(?P<pid>\d+)\]: segfault at (?:.* likely on CPU (?P<cpu>\d+))?`, where: atStart,
		kind: KindSegfault, sev: SeverityLow, title: "user program: segfault", guilt: guiltNone, ending: endLine},
	{trigger: "unhandled ", pattern: `(?P<comm>.{1,40})\[(?P<pid>\d+)\]: unhandled (?P<what>level \d \w+ fault|signal \d+|exception|page fault)`, where: atStart,
		kind: KindSegfault, sev: SeverityLow, title: "user program: unhandled fault", guilt: guiltNone, ending: endLine},
	{trigger: "[Hardware Error]", pattern: `\[Hardware Error\]: (?P<what>(?:Machine check|CPU \d+: Machine Check|Uncorrected|Fatal).{0,60})`, where: anywhere,
		kind: KindMachineCheck, sev: SeverityLow, title: "hardware error: machine check", ending: endOpen},
}

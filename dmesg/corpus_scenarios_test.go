//go:build corpus

package dmesg_test

import (
	"regexp"
	"time"
)

// scenario is one way to make a guest fail, or not to.
type scenario struct {
	name   string
	on     string // regular expression of configs; "" is every one
	script string // run by testdata/corpus/guest/init, which defines lkdtm, provoke, sysrq and say
	words  string // for the kernel command line
	vcpus  int    // 0 is 2
	memory int    // MiB, 0 is 512
	disk   int64  // MiB of /dev/vda, 0 is none
	// until is what the console shows when the guest will not end by itself;
	// monitor is a QEMU command to give then, and settle the time it still has.
	until   string
	monitor string
	settle  time.Duration
	clean   bool // nothing in it is a report
}

func (s scenario) fits(config string) bool {
	return s.on == "" || regexp.MustCompile("^(?:"+s.on+")$").MatchString(config)
}

const (
	armed   = "provoke|debug|modules" // what has lkdtm and provoke, built in or as modules
	own     = "provoke|debug"         // kernels of ours
	light   = "provoke|modules"       // without KASAN
	checked = "debug"
	moment  = 3 * time.Second
)

// scenarios has the quick ones first, so that a run that is stopped was useful.
var scenarios = []scenario{
	// Traps.
	{name: "bug", on: armed, script: "lkdtm BUG"},
	{name: "warning", on: armed, script: "lkdtm WARNING"},
	{name: "warning-message", on: armed, script: "lkdtm WARNING_MESSAGE"},
	{name: "warning-once", on: armed, script: "provoke warn_once; provoke warn_once"},
	{name: "warning-panic", on: armed, words: "panic_on_warn=1", script: "lkdtm WARNING"},
	{name: "exception", on: armed, script: "lkdtm EXCEPTION"},
	{name: "exception-panic", on: armed, words: "oops=panic", script: "lkdtm EXCEPTION"},
	{name: "panic", on: armed, script: "lkdtm PANIC"},
	{name: "null-read", on: armed, script: "provoke null_read"},
	{name: "null-call", on: armed, script: "provoke null_call"},
	{name: "wild-pointer", on: armed, script: "provoke wild_pointer"},
	{name: "page-fault", on: armed, script: "provoke kernel_address"},
	{name: "divide", on: armed, script: "provoke divide"},
	{name: "invalid-opcode", on: armed, script: "provoke invalid_opcode"},
	{name: "oops-in-worker", on: armed, script: "provoke oops_in_worker", until: "end trace", settle: moment},
	{name: "bug-in-kthread", on: armed, script: "provoke bug_in_kthread"},
	{name: "oops-in-timer", on: armed, script: "provoke oops_in_timer"},
	{name: "exec-data", on: armed, script: "lkdtm EXEC_DATA"},
	{name: "exec-null", on: armed, script: "lkdtm EXEC_NULL"},
	{name: "access-null", on: armed, script: "lkdtm ACCESS_NULL"},
	{name: "write-ro", on: armed, script: "lkdtm WRITE_RO"},
	{name: "array-bounds", on: checked, script: "lkdtm ARRAY_BOUNDS"},
	{name: "stack-guard", on: armed, script: "lkdtm STACK_GUARD_PAGE_LEADING"},
	{name: "exhaust-stack", on: armed, script: "lkdtm EXHAUST_STACK"},
	{name: "corrupt-stack", on: armed, script: "lkdtm CORRUPT_STACK_STRONG"},
	{name: "two-oopses-and-a-warning", on: armed, script: "lkdtm EXCEPTION; lkdtm WARNING; lkdtm BUG"},
	{name: "two-at-once", on: checked, vcpus: 4, script: "for w in null_read bug_on divide warn_once; do (echo $w | dd of=/sys/kernel/debug/provoke 2>/dev/null) & done; sleep 4"},

	// Data.
	{name: "list-add", on: armed, script: "lkdtm CORRUPT_LIST_ADD"},
	{name: "list-del", on: armed, script: "lkdtm CORRUPT_LIST_DEL"},
	{name: "list-poison", on: armed, script: "provoke list_poison"},
	{name: "refcount", on: armed, script: "lkdtm REFCOUNT_ADD_OVERFLOW; lkdtm REFCOUNT_SUB_AND_TEST_NEGATIVE"},
	{name: "refcount-zero", on: armed, script: "lkdtm REFCOUNT_INC_ZERO"},
	{name: "usercopy", on: armed, script: "lkdtm USERCOPY_SLAB_SIZE_TO"},
	{name: "usercopy-stack", on: armed, script: "lkdtm USERCOPY_STACK_FRAME_FROM"},
	{name: "fortify", on: armed, script: "lkdtm FORTIFY_STR_OBJECT; lkdtm FORTIFY_MEM_OBJECT"},
	{name: "ubsan-shift", on: checked, script: "provoke shift"},
	{name: "ubsan-bounds", on: checked, script: "provoke index"},
	{name: "ubsan-bool", on: checked, script: "provoke bool"},
	{name: "spinlock-magic", on: own, script: "provoke spinlock_magic", until: "scenario: end|bad magic", settle: 8 * time.Second},
	{name: "spinlock-unlocked", on: own, script: "provoke unlock_unlocked", until: "scenario: end|already unlocked", settle: 8 * time.Second},
	{name: "bad-page", on: checked, script: "provoke bad_page"},
	{name: "page-double-free", on: checked, script: "provoke page_double_free"},
	{name: "bad-rss", on: own, script: "provoke bad_rss"},

	// Slab and pages: what finds it depends on the config.
	{name: "slab-redzone", on: light, words: "slub_debug=FZPU", script: "lkdtm SLAB_LINEAR_OVERFLOW"},
	{name: "slab-poison", on: light, words: "slub_debug=FZPU", script: "provoke use_after_free; provoke use_after_free; sysrq m"},
	{name: "slab-double-free", on: light, words: "slub_debug=FZPU", script: "provoke double_free"},
	{name: "slab-overflow", on: checked, words: "kfence.sample_interval=0", script: "provoke slab_overflow"},
	{name: "use-after-free", on: checked, words: "kfence.sample_interval=0", script: "provoke use_after_free"},
	{name: "use-after-free-memcpy", on: checked, words: "kfence.sample_interval=0", script: "provoke use_after_free_memcpy"},
	{name: "double-free", on: checked, words: "kfence.sample_interval=0", script: "provoke double_free"},
	{name: "invalid-free", on: checked, words: "kfence.sample_interval=0", script: "provoke invalid_free"},
	{name: "global-overflow", on: checked, script: "provoke global_overflow"},
	{name: "stack-overflow", on: checked, script: "provoke stack_overflow"},
	{name: "vmalloc-overflow", on: checked, script: "provoke vmalloc_overflow"},
	{name: "user-access", on: armed, script: "provoke user_access"},
	{name: "lkdtm-write-after-free", on: checked, script: "lkdtm WRITE_AFTER_FREE"},
	{name: "lkdtm-linear-overflow", on: checked, script: "lkdtm SLAB_LINEAR_OVERFLOW"},
	{name: "kfence-use-after-free", on: light, words: "kfence.sample_interval=100", script: "provoke kfence_use_after_free"},
	{name: "kfence-overflow", on: light, words: "kfence.sample_interval=100", script: "provoke kfence_overflow"},
	{name: "kfence-corruption", on: light, words: "kfence.sample_interval=100", script: "provoke kfence_corruption"},
	{name: "leak", on: own, words: "kmemleak=on kmemleak.verbose=1", script: "for i in 1 2 3 4; do provoke leak; done; sleep 6; echo scan >/sys/kernel/debug/kmemleak; sleep 6; echo scan >/sys/kernel/debug/kmemleak; sleep 1"},
	{name: "leak-count-only", on: own, words: "kmemleak=on", script: "for i in 1 2 3 4; do provoke leak; done; sleep 6; echo scan >/sys/kernel/debug/kmemleak; sleep 6; echo scan >/sys/kernel/debug/kmemleak; sleep 1"},
	{name: "free-active-timer", on: checked, script: "provoke free_active_timer"},

	// Context and locks.
	{name: "sleep-in-atomic", on: own, script: "provoke sleep_in_atomic"},
	{name: "might-sleep", on: own, script: "provoke might_sleep"},
	{name: "schedule-atomic", on: armed, script: "provoke schedule_atomic"},
	{name: "preemptible", on: checked, script: "provoke preemptible"},
	{name: "rcu-sleep", on: checked, script: "provoke rcu_sleep"},
	{name: "lock-circular", on: checked, script: "provoke circular"},
	{name: "lock-recursive", on: checked, script: "provoke recursive"},
	{name: "lock-inconsistent", on: checked, script: "provoke inconsistent"},
	{name: "lock-inversion", on: checked, script: "provoke irq_inversion"},
	{name: "lock-leak", on: checked, script: "provoke lock_leak"},
	{name: "lock-unbalanced", on: checked, script: "provoke bad_unlock"},
	{name: "lock-freed", on: checked, script: "provoke free_held_lock"},
	{name: "lock-wait-context", on: checked, script: "provoke wait_context"},
	{name: "rcu-suspicious", on: checked, script: "provoke suspicious_rcu"},

	// The rest of the machine.
	{name: "sysrq-crash", script: "echo 1 >/proc/sys/kernel/sysrq; sysrq c"},
	{name: "init-killed", words: "rdinit=/bin/false", script: "true"},
	{name: "no-root", words: "rdinit=/none root=/dev/none rootwait=1", script: "true"},
	{name: "oom", memory: 200, script: "crash eat; say killed with $?"},
	{name: "oom-panic", memory: 200, script: "echo 1 >/proc/sys/vm/panic_on_oom; crash eat"},
	{name: "oom-cgroup", script: "mkdir /tmp/cg; mount -t cgroup2 none /tmp/cg; echo +memory >/tmp/cg/cgroup.subtree_control; mkdir /tmp/cg/a; echo 20000000 >/tmp/cg/a/memory.max; (echo 0 >/tmp/cg/a/cgroup.procs; exec crash eat); say killed with $?"},
	{name: "user-faults", script: "for how in null divide opcode protection jump int3 privileged abort; do say run $how; crash $how; done"},
	{name: "alloc-failure", on: armed, memory: 200, script: "provoke alloc_failure"},
	{name: "machine-check", on: armed, script: "for f in /sys/devices/system/machinecheck/machinecheck*/check_interval; do echo 1 >$f; done; say ready for it; sleep 6", until: "ready for it", monitor: "mce 0 4 0x9c00000000000000 0x0 0x1000 0x86", settle: 10 * time.Second},
	{name: "io-error", on: own, script: ioError},
	{name: "ext4-corrupt", on: own, disk: 64, script: ext4Corrupt},
	{name: "btrfs-corrupt", on: own, disk: 256, script: btrfsCorrupt},

	// Those that take their time.
	{name: "hung-task-sleeper", on: armed, script: "echo 3 >/proc/sys/kernel/hung_task_timeout_secs; (echo HUNG_TASK >/sys/kernel/debug/provoke-crash/DIRECT) & sleep 40", until: "blocked for more than", settle: moment},
	{name: "hung-task-mutex", on: armed, script: "echo 3 >/proc/sys/kernel/hung_task_timeout_secs; provoke hung_mutex", until: "blocked for more than", settle: moment},
	{name: "hung-task-panic", on: armed, script: "echo 1 >/proc/sys/kernel/hung_task_panic; echo 3 >/proc/sys/kernel/hung_task_timeout_secs; provoke hung_mutex"},
	{name: "soft-lockup", on: armed, words: "watchdog_thresh=3", script: "provoke soft_lockup", until: "soft lockup", settle: moment},
	{name: "soft-lockup-panic", on: armed, words: "watchdog_thresh=3 softlockup_panic=1", script: "lkdtm SOFTLOCKUP"},
	{name: "rcu-stall", on: armed, words: "rcupdate.rcu_cpu_stall_timeout=4 nosoftlockup", script: "provoke rcu_stall", until: "stalls? on", settle: moment},
	{name: "rcu-stall-irqs-off", on: armed, words: "rcupdate.rcu_cpu_stall_timeout=4 nosoftlockup", script: "provoke irqs_off", until: "stalls? on", settle: 5 * time.Second},
	{name: "rcu-stall-loop-4cpu", on: armed, vcpus: 4, words: "rcupdate.rcu_cpu_stall_timeout=4 nosoftlockup", script: "lkdtm SOFTLOCKUP", until: "stalls? on", settle: moment},
	{name: "workqueue-lockup", on: "provoke", words: "workqueue.watchdog_thresh=4 nosoftlockup", script: "provoke workqueue_lockup", until: "workqueue lockup", settle: moment},
	{name: "hard-lockup", on: checked, words: "watchdog_thresh=3 nmi_watchdog=1", script: "lkdtm HARDLOCKUP", until: "hard LOCKUP", settle: moment},
	{name: "spin-lockup", on: own, words: "watchdog_thresh=3", script: "(echo SPINLOCKUP >/sys/kernel/debug/provoke-crash/DIRECT) & sleep 1; (echo SPINLOCKUP >/sys/kernel/debug/provoke-crash/DIRECT) & sleep 40", until: "soft lockup|lockup suspected", settle: moment},

	// The stacks that fault injection prints are no reports; that the first
	// process dies of it is one.
	{name: "fault-injection", on: checked, script: faultInjection},

	// Several in one boot, for machines on which a boot is dear.
	{name: "many-traps", on: "modules", script: "for f in WARNING WARNING_MESSAGE EXCEPTION BUG EXEC_DATA ACCESS_NULL WRITE_RO; do lkdtm $f; done; for f in null_read null_call wild_pointer kernel_address divide invalid_opcode bug_in_kthread user_access; do provoke $f; done"},
	{name: "many-checks", on: "modules", script: "for f in CORRUPT_LIST_ADD CORRUPT_LIST_DEL REFCOUNT_ADD_OVERFLOW REFCOUNT_INC_ZERO USERCOPY_SLAB_SIZE_TO FORTIFY_STR_OBJECT STACK_GUARD_PAGE_LEADING; do lkdtm $f; done; provoke list_poison; provoke schedule_atomic; lkdtm EXHAUST_STACK"},
	{name: "many-slabs", on: "modules", memory: 320, words: "slub_debug=FZPU kfence.sample_interval=100", script: "lkdtm SLAB_LINEAR_OVERFLOW; provoke use_after_free; provoke use_after_free; provoke double_free; sysrq m; provoke alloc_failure; provoke kfence_use_after_free; provoke kfence_overflow; provoke kfence_corruption"},
	{name: "many-memory", on: checked, words: "kasan_multi_shot kfence.sample_interval=0", script: "for f in slab_overflow use_after_free use_after_free_memcpy double_free invalid_free global_overflow stack_overflow vmalloc_overflow shift index bool free_active_timer bad_page preemptible rcu_sleep; do provoke $f; done"},
	{name: "many-stalls", on: "modules", words: "watchdog_thresh=4 rcupdate.rcu_cpu_stall_timeout=14", script: "echo 3 >/proc/sys/kernel/hung_task_timeout_secs; (echo HUNG_TASK >/sys/kernel/debug/provoke-crash/DIRECT) & sleep 8; provoke soft_lockup", until: "self-detected stall", settle: moment},

	// Nothing in these is a report.
	{name: "boot", clean: true, script: "true"},
	{name: "boot-1cpu", clean: true, vcpus: 1, script: "uname -a >/dev/kmsg"},
	{name: "boot-4cpu", clean: true, vcpus: 4, memory: 1024, script: "cat /proc/cpuinfo >/dev/null"},
	{name: "boot-odd-words", clean: true, words: "nonsense=1 spectre_v2=off mitigations=auto panic_on_oops=1 earlyprintk=serial,ttyS0 initcall_debug=0 loglevel=8", script: "true"},
	{name: "boot-small", clean: true, memory: 192, vcpus: 1, words: "nosmp noapic", script: "free"},
	{name: "shell", clean: true, script: failingShell},
	{name: "mounts", clean: true, disk: 64, script: failingMounts},
	{name: "filesystems", on: own, clean: true, disk: 256, script: workingFilesystems},
	{name: "sysrq-show", clean: true, script: "echo 1 >/proc/sys/kernel/sysrq; for k in h m p q t w s u 9; do sysrq $k; done; sleep 1"},
	{name: "sysrq-backtrace", on: own, clean: true, vcpus: 4, script: "sysrq l; sleep 2; sysrq l; sleep 1"},
	{name: "dump-stack", on: own, clean: true, script: "provoke dump_stack"},
	{name: "nmi", on: own, clean: true, script: "say ready for it; sleep 3", until: "ready for it", monitor: "nmi", settle: 6 * time.Second},
	{name: "array-bounds-unseen", on: light, clean: true, script: "lkdtm ARRAY_BOUNDS; lkdtm UNALIGNED_LOAD_STORE_WRITE; lkdtm SLAB_INIT_ON_ALLOC; lkdtm STACKLEAK_ERASING"},
	{name: "chatter", clean: true, script: chatter},
	{name: "reboot", clean: true, script: "say going down; sync; reboot -f"},
}

const failingShell = `false; say status $?
no-such-command; say status $?
cat /none; ls /proc/1/none; cd /none
sh -c 'kill -SEGV $$'; say status $?
sh -c 'kill -ABRT $$'; sh -c 'ulimit -t 1; while :; do :; done'
crash exit; say status $?
crash unknown; say status $?
sh -c 'exit 139'; say status $?
dd if=/dev/zero of=/dev/full count=1; say status $?
dd if=/dev/zero of=/tmp/fill bs=1M count=2000; say status $?; rm /tmp/fill
echo 1 >/proc/sys/kernel/none; echo x >/proc/sys/kernel/panic
chmod 000 /tmp; rmdir /proc; mount --bind /none /mnt`

// Mounting what is no file system fails in user space's words, not the kernel's.
const failingMounts = `mount /dev/none /mnt; say status $?
mount -t nofs /dev/vda /mnt; say status $?
mount -t tmpfs -o size=banana tmpfs /mnt; say status $?
mount -o remount,ro /none; umount /mnt; umount /proc; umount /none; say status $?
mount -t proc proc /mnt; umount /mnt
dd if=/dev/vda of=/dev/null bs=1M; dd if=/dev/zero of=/dev/vda bs=1M; say status $?`

const workingFilesystems = `mkfs.ext4 -q /dev/vda; mount -t ext4 /dev/vda /mnt; cp /bin/crash /mnt; umount /mnt
mount -t ext4 -o nobarrier,data=journal /dev/vda /mnt; mount -o remount,ro /mnt; umount /mnt
mkfs.btrfs -q -f /dev/vda; mount -t btrfs -o compress=zlib,ssd /dev/vda /mnt; cp /bin/crash /mnt; sync
btrfs scrub start -B /mnt; btrfs balance start --full-balance /mnt; mount -o remount,degraded /mnt; umount /mnt
dd if=/dev/zero of=/tmp/disk bs=1M count=16; losetup /dev/loop0 /tmp/disk; mkfs.ext4 -q /dev/loop0; mount -t ext4 /dev/loop0 /mnt; umount /mnt; losetup -d /dev/loop0`

const chatter = `echo "<3>myapp[12]: WARNING: disk is 90% full" >/dev/kmsg
echo "<4>myapp: warning: this is only a test" >/dev/kmsg
echo "backup: ERROR: BUG in configuration, see line 12" >/dev/kmsg
echo "DEBUG: entering main loop" >/dev/kmsg
echo "test 17 ok: no general protection fault seen" >/dev/kmsg
echo "INFO: task list loaded" >/dev/kmsg
echo "myapp: Unable to handle request, try again" >/dev/kmsg
echo "WARNING: you have no backup"
echo "panic button pressed" >/dev/kmsg
echo "kernel: no Oops here" >/dev/kmsg`

const faultInjection = `cd /sys/kernel/debug/failslab; echo 100 >probability; echo 20 >times; echo N >ignore-gfp-wait; echo 2 >verbose; echo Y >task-filter
(echo 1 >/proc/self/make-it-fail; exec ls /proc >/dev/null)
sleep 1`

// A loop device on a file that its file system has no room for.
const ioError = `mkdir /tmp/small; mount -t tmpfs -o size=2M tmpfs /tmp/small
dd if=/dev/zero of=/tmp/small/disk bs=1 count=1 seek=64M 2>/dev/null
losetup /dev/loop0 /tmp/small/disk
dd if=/dev/zero of=/dev/loop0 bs=64k count=200 conv=fsync; say status $?`

const ext4Corrupt = `mkfs.ext4 -q -b 1024 -O ^metadata_csum /dev/vda; mount -t ext4 /dev/vda /mnt
for i in 1 2 3 4 5 6 7 8 9; do mkdir /mnt/d$i; cp /bin/crash /mnt/d$i; done; sync; umount /mnt
dd if=/dev/urandom of=/dev/vda bs=1024 seek=200 count=1500 conv=notrunc 2>/dev/null
mount -t ext4 /dev/vda /mnt; ls -lR /mnt >/dev/null; cat /mnt/d*/* >/dev/null; touch /mnt/new; rm -rf /mnt/d1 /mnt/d2; sync; umount /mnt`

const btrfsCorrupt = `mkfs.btrfs -q -f -d single -m single /dev/vda; mount -t btrfs /dev/vda /mnt; dd if=/dev/urandom of=/mnt/file bs=1M count=8 2>/dev/null; sync
for i in 1 2 3; do cp /bin/crash /mnt/c$i; done; sync; umount /mnt
dd if=/dev/zero of=/dev/vda bs=1M seek=13 count=20 conv=notrunc 2>/dev/null
mount -t btrfs /dev/vda /mnt; cat /mnt/file >/dev/null; cat /mnt/c* >/dev/null; touch /mnt/new; sync; umount /mnt
dd if=/dev/zero of=/dev/vda bs=1M seek=0 count=80 conv=notrunc 2>/dev/null; mount -t btrfs /dev/vda /mnt`

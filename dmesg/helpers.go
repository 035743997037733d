package dmesg

import "strings"

// A helper pattern names functions that appear in traces without being to
// blame. "name" is the whole function, "name*" a prefix, "*name" a suffix and
// "*name*" any part. Names are compared without compiler suffixes.
type helperSet struct {
	exact    map[string]bool
	prefixes []string
	suffixes []string
	parts    []string
}

func newHelperSet(groups ...[]string) *helperSet {
	s := &helperSet{exact: map[string]bool{}}
	for _, group := range groups {
		for _, p := range group {
			head, tail := strings.HasPrefix(p, "*"), strings.HasSuffix(p, "*")
			name := strings.Trim(p, "*")
			switch {
			case head && tail:
				s.parts = append(s.parts, name)
			case head:
				s.suffixes = append(s.suffixes, name)
			case tail:
				s.prefixes = append(s.prefixes, name)
			default:
				s.exact[name] = true
			}
		}
	}
	return s
}

// has reports whether a function's base name is in the set.
func (s *helperSet) has(name string) bool {
	if s == nil {
		return false
	}
	if s.exact[name] {
		return true
	}
	for _, p := range s.prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	for _, p := range s.suffixes {
		if strings.HasSuffix(name, p) {
			return true
		}
	}
	for _, p := range s.parts {
		if strings.Contains(name, p) {
			return true
		}
	}
	return false
}

// The tables that follow say which functions are never guilty in any kind of
// report. A function belongs here when it does what its caller asked for and
// its caller is where a developer would look.

// reporting: the code that detects, prints and dies.
var reporting = []string{
	"*kasan*", "*hwasan*", "*kmsan*", "__msan_*", "__asan_*", "__sanitizer*", "*kcsan_setup_watchpoint*",
	"__tsan_*", "kfence_report*", "*check_memory_region*", "print_address_description", "*print_report*",
	"complete_report_info", "end_report", "object_err", "print_trailer", "check_bytes_and_report", "free_to_partial_list", "free_debug_processing", "alloc_debug_processing", "print_section", "slab_err", "slab_fix",
	"*panic*", "report_bug", "*fixup_bug*", "__report_bug", "handle_bug", "bug_handler", "call_break_hook",
	"brk_handler", "do_debug_exception", "do_error_trap", "*do_error*", "do_invalid_op", "invalid_op", "do_trap*", "*_trap",
	"exc_invalid_op", "asm_exc_invalid_op", "warn_slowpath*", "*__warn*", "warn_alloc*", "warn_bogus*", "print_bad_pte", "print_bad_page_map", "bad_page",
	"*dump_stack*", "*show_stack*", "*walk_stack*", "dump_backtrace*", "unwind_backtrace", "show_trace*",
	"stack_trace_save*", "stack_trace_consume_entry", "arch_stack_walk*", "save_stack*", "print_tainted",
	"get_taint", "*assertfail*", "__fortify_report", "__fortify_panic", "fortify_panic", "program_check*",
	"die", "die_kernel_fault", "oops_end", "no_context", "bad_area*", "__bad_area*", "ubsan_*", "__ubsan_*",
	"do_kernel_fault", "__do_kernel_fault", "do_translation_fault", "do_mem_abort", "do_tag_check_fault",
	"el1_abort", "el1h_64_sync*", "el1_sync*", "el1_dbg", "el1_brk64", "print_hex_dump*", "hex_dump_to_buffer",
	"nmi_cpu_backtrace*", "nmi_trigger_cpumask_backtrace*", "arch_trigger_cpumask_backtrace",
	"*debug_object*", "debug_print_object", "timer_is_static_object", "work_is_static_object",
	"print_circular_bug*", "print_usage_bug*", "print_unlock_imbalance_bug*", "*imbalance_bug*", "print_bad_irq_dependency",
	"print_deadlock_bug*", "print_irq_inversion_bug*", "print_lock_invalid_wait_context", "spin_dump", "spin_bug", "rwlock_bug",
	"rust_begin_unwind", "rust_helper_*", "__rustc*", "*rust_begin_unwind*",
}

// locking: lock primitives and lockdep's own functions.
var locking = []string{
	"*lockdep*", "*lock_acquire*", "*lock_release*", "*lock_class*", "*mark_lock*", "*held_locks*",
	"check_noncircular", "check_prev_add", "check_prevs_add", "check_deadlock", "check_irq_usage", "validate_chain",
	"*spin_lock*", "*spin_trylock*", "*spin_unlock*", "*raw_spin_rq*", "*read_lock*", "*read_trylock*",
	"*write_lock*", "*write_trylock*", "*read_unlock*", "*write_unlock*", "rt_spin_*", "rt_read_*", "rt_write_*",
	"mutex_*", "__mutex_*", "_mutex_*", "rt_mutex_*", "__rt_mutex_*", "ww_mutex_*", "*osq_lock*", "*osq_unlock*", "owner_on_cpu",
	"down", "*down_read*", "*down_write*", "*down_trylock*", "down_interruptible", "down_killable", "down_timeout",
	"*up_read*", "*up_write*", "rwsem_*", "__rwsem_*", "rwbase_*", "lock_page*", "unlock_page*", "*bh_enable*", "*bh_disable*",
	"__wake_up*", "__might_sleep", "___might_sleep", "might_sleep", "*might_fault*", "__might_resched", "*seqprop_assert*",
	"trace_hardirqs_*", "trace_softirqs_*", "lock_timer_base", "queued_spin_lock_slowpath", "native_queued_spin_lock_slowpath",
	"pv_*_slowpath", "__pv_queued_spin_lock_slowpath", "*finish_wait*", "*wait_for_completion*", "complete", "perf_trace_*",
	"*atomic_dec*", "*atomic_inc*", "*atomic_fetch*", "*atomic_cmpxchg*",
	"*atomic_read*", "*atomic_set*", "*atomic_add*", "*atomic_sub*", "*atomic_or*", "*atomic_xor*", "*atomic_and*", "*atomic_xchg*", "*atomic_try*", "*atomic64_*",
	"*set_bit*", "*clear_bit*", "*test_bit*", "*change_bit*", "refcount_*", "__refcount_*", "kref_*", "*ref_tracker*",
}

// memory: allocators and the functions that hand memory out or take it back.
var memory = []string{
	"*kmalloc*", "*kzalloc*", "*kcalloc*", "*vmalloc*", "*vzalloc*", "*kvcalloc*", "*krealloc*", "*kmem_cache*",
	"*alloc_page*", "__alloc_pages*", "__alloc_frozen_pages*", "*allocate_slab*", "*slab_*", "new_slab", "get_partial_node", "get_from_partial_node", "get_from_any_partial", "on_freelist", "___slab_alloc",
	"*folio_alloc*", "*alloc_folio*", "folio_prealloc", "*folio_unlock*", "__filemap_get_folio*", "*find_or_create_page*",
	"do_read_cache_folio", "read_cache_page*", "*pagecache_get_page*", "grab_cache_page_write_begin", "*find_lock_entries*",
	"*truncate_inode_pages_range*", "kfree", "kvfree", "*kfree_skb*", "*check_heap_object*", "check_object", "*check_object*",
	"__phys_addr*", "*memdup*", "*strdup*", "*strndup*", "*ida_free*", "xas_start", "xas_load", "xas_find*", "__kmem_cache*",
}

// library: strings, copies, lists, trees, formatting and port access.
var library = []string{
	"*memcpy*", "*memcmp*", "*memset*", "*memchr*", "*memmove*", "*strcmp*", "*strncmp*", "*strcpy*", "*strlcpy*", "*strncpy*",
	"*strscpy*", "*strlen*", "*strnlen*", "*strchr*", "*strstr*", "*strnstr*", "*strrchr*", "*strcasecmp*",
	"*copy_to_user*", "*copy_from_user*", "*copy_to_iter*", "*copy_from_iter*", "*copy_page_to_iter*", "*copy_page_from_iter*",
	"*copy_folio_to_iter*", "copyin", "copyout", "*put_user*", "*get_user*", "copy_user_*", "rep_movs_alternative", "clear_user_*",
	"*list_add*", "*list_del*", "*list_replace*", "*list_move*", "*list_splice*", "rb_*", "__rb_*", "klist_*",
	"*_indirect_thunk*", "*snprintf*", "*scnprintf*", "*kasprintf*", "*kvasprintf*", "*printk*", "*va_format*", "string", "*string*",
	"pointer", "restricted_pointer", "dev_info*", "_dev_*", "dev_warn*", "dev_err*", "dev_notice*", "dev_alert*", "dev_crit*", "dev_emerg*", "dev_printk*",
	"*readb", "*readw", "*readl", "*readq", "*writeb", "*writew", "*writel", "*writeq", "logic_in*", "logic_out*",
	"crc8*", "crc16*", "crc32*", "crc64*", "crc_itu_t*", "read_word_at_a_time", "*read_once*nocheck", "__read_once_size*", "__write_once_size*",
	"rhashtable_lookup*", "extract_user_to_sg", "extract_iter_to_sg", "usb_control_msg*",
}

// lifecycle: objects of the driver core, timers, work items and references,
// where the owner of the object is at fault.
var lifecycle = []string{
	"*del_timer*", "__timer_delete_sync", "timer_delete*", "*__mod_timer*", "sk_stop_timer_sync", "*flush_work*", "*__cancel_work*",
	"cancel_work_sync", "cancel_delayed_work_sync", "*try_to_grab_pending*", "*drain_workqueue*", "*destroy_workqueue*", "*queue_work*", "insert_work",
	"*queue_delayed_work*", "*kthread_stop*", "*kobject_*", "*add_uevent_var*", "*get_device_parent*", "*device_add*", "*device_del*",
	"*device_unregister*", "*device_destroy*", "*device_release*", "devres_release_all", "put_device", "device_for_each_child*",
	"hwrng_unregister", "i2c_del_adapter", "__unregister_client", "*rollback_registered*", "*unregister_netdev*",
	"*sysfs_remove*", "*device_remove_file*", "tty_unregister_device", "dummy_urb_enqueue", "usb_kill_urb", "usb_kill_anchored_urbs",
	"usb_hcd_submit_urb", "usb_submit_urb", "usb_start_wait_urb", "usb_bulk_msg", "usb_interrupt_msg", "iput", "iput_final", "ihold", "*dput", "dput*", "*drop_nlink*", "cleanup_srcu_struct",
}

// everyKind is the union that applies to every kind of report.
var everyKind = newHelperSet(reporting, locking, memory, library, lifecycle)

// selfTests are the functions of lkdtm, of the faults that our corpus adds to it
// and of the kernel's own tests, which are named after the helpers that they
// misuse and are guilty on purpose.
var selfTests = newHelperSet([]string{"lkdtm_*", "provoke_*", "test_*", "*_oob", "*_oob_*", "*_uaf", "*_uaf_*", "*_use_after_free", "*_double_free", "recursive_loop", "kasan_stack_*", "do_usercopy_*"})

// hungHelpers are the ways a task goes to sleep: the sleeper is the caller.
var hungHelpers = newHelperSet([]string{
	"*sched*", "*_lock*", "*_slowlock*", "*down*", "*rwsem*", "*completion*", "*kthread*", "*wait*", "*synchronize*",
	"*context_switch*", "*__switch_to*", "*cancel_delayed_work*", "*rcu_barrier*", "rwbase_*", "*percpu_rwsem*", "ret_from_fork*",
})

// hungMeetingPoints are places where many tasks hang for one cause elsewhere.
// They name the report even when more specific functions stand above or
// below, so that such reports group. A second column renames the function.
var hungMeetingPoints = [...][2]string{
	{"rtnl_lock", ""},
	{"synchronize_rcu", "synchronize_rcu"},
	{"synchronize_srcu", "synchronize_rcu"},
	{"synchronize_net", "synchronize_rcu"},
	{"synchronize_sched", "synchronize_rcu"},
}

// stallAnchors are dispatchers. In a stall the CPU may be anywhere below the
// loop that is at fault, so the function called by the dispatcher names the
// report, not the innermost one.
var stallAnchors = newHelperSet([]string{
	// work items, timers, softirqs, threads
	"*process_one_work*", "*netif_receive_skb*", "*do_softirq*", "*handle_softirqs*", "*call_timer_fn*", "*_run_timers*",
	"*run_timer_softirq*", "*hrtimer_run*", "*run_ksoftirqd*", "*smpboot_thread_fn*", "kthread", "*start_secondary*",
	"*cpu_startup_entry*", "*ret_from_fork*", "*tasklet_action*", "*tasklet_hi_action*", "*smp_call_function*",
	// system calls
	"*do_syscall_*", "*do_fast_syscall_*", "*sysenter_dispatch*", "*tracesys_phase2*", "*el0_svc_handler*", "*invoke_syscall*",
	"*ret_fast_syscall*", "*exit_to_usermode*", "*task_work_run*", "*__fput*",
	// files
	"*vfs_write*", "*vfs_read*", "*vfs_iter_read*", "*vfs_iter_write*", "*do_iter_read*", "*do_iter_write*", "*call_read_iter*",
	"*call_write_iter*", "*new_sync_read*", "*new_sync_write*", "*vfs_ioctl*", "*ksys_ioctl*", "*compat_ioctl*", "*compat_sys_ioctl*",
	"*blkdev_driver_ioctl*", "*blkdev_ioctl*", "call_mmap*", "*mmap_region*", "*do_mmap*", "*do_dentry_open*", "*vfs_open*",
	// sockets; the bare names are what is left of system calls without prefix
	"sock_sendmsg*", "sock_recvmsg*", "sock_release*", "__sock_release*", "setsockopt", "*kernel_setsockopt*",
	"*sock_common_setsockopt*", "listen", "*kernel_listen*", "*sk_common_release*", "sock_mmap*", "accept", "*kernel_accept*",
	"sock_do_ioctl*", "sock_ioctl*", "compat_sock_ioctl*", "nfnetlink_rcv_msg*", "rtnetlink_rcv_msg*", "netlink_dump*",
	"socketpair*", "connect*", "ioctl*", "sys_socketpair*", "sys_connect*", "sys_ioctl*",
	// page faults
	"*__do_fault*", "*do_page_fault*", "page_fault",
})

// systemCallPrefixes are what the macros around system calls put before the
// name; one of them is removed to name a report.
var systemCallPrefixes = [...]string{
	"SYSC_", "SyS_", "sys_", "__x64_", "__ia32_", "__arm64_", "__riscv_", "__s390x_", "____sys_", "___sys_", "__sys_",
	"__do_sys_", "__se_sys_", "__se_", "compat_SYSC_", "compat_SyS_", "ksys_",
}

// titleFunction is a function's name as titles show it.
func titleFunction(name string) string {
	name = baseFunction(name)
	for _, p := range systemCallPrefixes {
		if rest, ok := strings.CutPrefix(name, p); ok && rest != "" {
			return rest
		}
	}
	return name
}

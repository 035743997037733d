package kernels

// What must not be compiled with the hooks, as data.

// perturbExcludeFiles are parts of paths: functions that are defined in such
// files are not instrumented, wherever they are inlined.
var perturbExcludeFiles = []string{"include/", "arch/"}

// perturbExcludeFunctions are parts of function names. The compiler leaves out
// functions marked notrace or noinstr by itself: the kernel defines these
// through no_instrument_function.
//
// The others are small accessors that are called thousands of times for each
// request of a file system, never sleep, and begin or end no window: without
// them half of all boundaries are gone, and the cost of passing them.
var perturbExcludeFunctions = []string{
	"__cyg_profile_func", "patchproof_",
	"check_setget_bounds", "btrfs_get_8", "btrfs_get_16", "btrfs_get_32", "btrfs_get_64",
	"btrfs_set_8", "btrfs_set_16", "btrfs_set_32", "btrfs_set_64", "btrfs_get_token", "btrfs_set_token",
	"comp_keys", "btrfs_comp_cpu_keys", "extent_state",
}

// perturbForbidden are folders that cannot be perturbed as a whole, and why.
var perturbForbidden = []struct{ path, why string }{
	{"arch", "code there runs before the kernel's memory is mapped, in user space, or with interrupts in an unknown state"},
	{"kernel/sched", "the hooks call the scheduler"},
	{"kernel/locking", "the scheduler calls it"},
	{"kernel/rcu", "the scheduler calls it"},
	{"kernel/entry", "it runs before the kernel knows what context it is in"},
	{"kernel/printk", "a yield in the middle of printing would mix up the log that is read"},
	{"mm/kasan", "the compiler calls it from everywhere"},
	{"mm/kmsan", "the compiler calls it from everywhere"},
	{"drivers/firmware/efi/libstub", "it is linked on its own, without the hooks"},
	{"lib/patchproof_perturb.c", "it is the hook"},
	{"include", "headers are compiled as a part of other files"},
	{"scripts", "it runs on the host"},
	{"tools", "it runs on the host or in user space"},
	{"usr", "it runs in user space"},
	{"Documentation", "nothing is compiled there"},
}

// Perturbable reports whether functions of a source file can be perturbed, and
// so whether its folder makes sense as a path.
func Perturbable(file string) bool {
	p := Perturb{Paths: []string{file}}
	return p.validate() == nil && len(file) > 2 && file[len(file)-2:] == ".c"
}

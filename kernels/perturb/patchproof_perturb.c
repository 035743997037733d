// SPDX-License-Identifier: GPL-2.0
/*
 * patchproof: yield at a seeded random share of function boundaries.
 *
 * The compiler calls the two hooks at the bottom at every entry to and exit
 * from a function that was compiled with -finstrument-functions. Where the
 * running task may sleep, one call in so many gives the processor to another
 * task, so that code between two functions, which normally runs in one go,
 * meets what other tasks do. Wherever that could be wrong, the hooks do nothing.
 *
 * On the kernel command line:
 *   patchproof_perturb.share=N   N in 65536 calls yield; 0, the default, is off
 *   patchproof_perturb.seed=N    where the generators start
 * In /sys/module/patchproof_perturb/parameters: calls and yields so far.
 */
#include <linux/version.h>
#include <linux/kernel.h>
#include <linux/init.h>
#include <linux/hardirq.h>
#include <linux/irqflags.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/smp.h>

#ifndef CONFIG_PREEMPT_COUNT
#error "a perturbed kernel needs CONFIG_PREEMPT=y: without it nothing tells whether a task may sleep"
#endif

#define untraced __attribute__((__no_instrument_function__))

/* Not static: the compiler must not assume that only this file calls them. */
void untraced __cyg_profile_func_enter(void *function, void *caller);
void untraced __cyg_profile_func_exit(void *function, void *caller);

static unsigned int share;
module_param(share, uint, 0644);

static unsigned long seed;
module_param(seed, ulong, 0444);

struct perturb_cpu {
	unsigned int random;
	unsigned long calls;
	unsigned long yields;
	/* the task that is on its way into the scheduler from here */
	struct task_struct *yielding;
};
static DEFINE_PER_CPU(struct perturb_cpu, perturb_cpus);

static inline untraced long perturb_task_state(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
	return READ_ONCE(current->__state);
#else
	return current->state;
#endif
}

/* May this task give up the processor here, of its own will? */
static inline untraced int perturb_may_yield(void)
{
	/*
	 * The count covers interrupts, NMIs, spinlocks and everything else
	 * that disables preemption. A task that is about to sleep has set its
	 * state already and must not be woken by us. RCU readers may be
	 * preempted, but must not yield.
	 */
	return system_state == SYSTEM_RUNNING &&
	       preempt_count() == 0 && !irqs_disabled() &&
	       perturb_task_state() == TASK_RUNNING &&
	       rcu_preempt_depth() == 0 &&
	       !is_idle_task(current) &&
	       !(current->flags & PF_EXITING);
}

/* xorshift with 32 bits of state (Marsaglia, 2003), one for each processor. */
static inline untraced unsigned int perturb_draw(struct perturb_cpu *c, unsigned int cpu)
{
	unsigned int x = c->random;

	if (!x)
		x = ((unsigned int)seed ^ (unsigned int)((u64)seed >> 32)) * 2654435761u +
		    (cpu + 1) * 2246822519u;
	if (!x)
		x = 1;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	c->random = x;
	return x;
}

static noinline untraced void perturb_boundary(void)
{
	struct perturb_cpu *c;
	int yielding;

	if (!share || !perturb_may_yield())
		return;

	preempt_disable();
	c = &per_cpu(perturb_cpus, smp_processor_id());
	c->calls++;
	yielding = c->yielding != current &&
		   (perturb_draw(c, smp_processor_id()) >> 16) < share;
	if (yielding) {
		c->yields++;
		c->yielding = current;
	}
	preempt_enable_no_resched();
	if (!yielding)
		return;

	yield();

	/* The scheduler is left behind, on whatever processor the task is now. */
	c->yielding = NULL;
}

void untraced __cyg_profile_func_enter(void *function, void *caller)
{
	perturb_boundary();
}

void untraced __cyg_profile_func_exit(void *function, void *caller)
{
	perturb_boundary();
}

static untraced int perturb_sum(char *buffer, const struct kernel_param *kp)
{
	int yields = *(int *)kp->arg;
	unsigned long sum = 0;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct perturb_cpu *c = &per_cpu(perturb_cpus, cpu);

		sum += yields ? c->yields : c->calls;
	}
	return sprintf(buffer, "%lu\n", sum);
}

static const struct kernel_param_ops perturb_sum_ops = {
	.get = perturb_sum,
};
static int perturb_of_calls;
static int perturb_of_yields = 1;
module_param_cb(calls, &perturb_sum_ops, &perturb_of_calls, 0444);
module_param_cb(yields, &perturb_sum_ops, &perturb_of_yields, 0444);

// SPDX-License-Identifier: GPL-2.0
/*
 * patchproof: yield at a seeded random share of function boundaries.
 *
 * The compiler calls the two hooks at the bottom at every entry to and exit
 * from a function that was compiled with -finstrument-functions. Where the
 * running task may sleep, a share of the calls gives the processor to another
 * task, so that code between two functions, which normally runs in one go,
 * meets what other tasks do. Wherever that could be wrong, the hooks do nothing.
 *
 * A folder has a few functions that are called thousands of times for every
 * one that begins or ends a window, and yields in those use up the time. With
 * a budget of yields, functions yield less the more often they are called
 * while it is exceeded.
 *
 * On the kernel command line:
 *   patchproof_perturb.share=N   N in 65536 boundaries yield; 0, the default, is off
 *   patchproof_perturb.depth=N   a boundary that yields does so up to N times in a row
 *   patchproof_perturb.budget=N  yields a tick and processor; 0, the default, is no limit
 *   patchproof_perturb.seed=N    where the generators start
 * In /sys/module/patchproof_perturb/parameters: the same, where writing the seed
 * begins anew, as a boot with it does; and calls and yields so far.
 */
#include <linux/version.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/init.h>
#include <linux/hardirq.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>

#ifndef CONFIG_PREEMPT_COUNT
#error "a perturbed kernel needs CONFIG_PREEMPT=y: without it nothing tells whether a task may sleep"
#endif

#define untraced __attribute__((__no_instrument_function__))

/* Not static: the compiler must not assume that only this file calls them. */
void untraced __cyg_profile_func_enter(void *function, void *caller);
void untraced __cyg_profile_func_exit(void *function, void *caller);

static unsigned int share;
module_param(share, uint, 0644);

static unsigned int depth = 64;
module_param(depth, uint, 0644);

static unsigned int budget;
module_param(budget, uint, 0644);

static unsigned long seed;

#define PERTURB_BUCKETS 1024
#define PERTURB_MOST_DAMPING (1u << 16)
#define PERTURB_MOST_GAP (1u << 20)

/*
 * Boundaries still to be passed over until the next yield, by function, hashed.
 * This is all that most calls look at.
 */
static DEFINE_PER_CPU(unsigned int [PERTURB_BUCKETS], perturb_skip);

/*
 * The numbers of a processor are changed without a lock: a task that is moved
 * away in the middle miscounts by a few, which nobody minds.
 */
struct perturb_cpu {
	unsigned int random;
	unsigned long calls;
	unsigned long yields;
	/* the tick of the last yield, and how many there were in it */
	unsigned long tick;
	unsigned int in_tick;
	/* how strongly often called functions are held back; 1 is not at all */
	unsigned int damping;
	/* the task that is on its way into the scheduler from here */
	struct task_struct *yielding;
	/* calls by function, hashed */
	unsigned int seen[PERTURB_BUCKETS];
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

/* Keeps to the budget: doubles the damping fast and lowers it slowly. */
static untraced void perturb_new_tick(struct perturb_cpu *c)
{
	if (!c->damping)
		c->damping = 1;
	if (budget && c->in_tick > budget) {
		if (c->damping < PERTURB_MOST_DAMPING)
			c->damping *= 2;
	} else if (c->in_tick < budget / 2 || !budget) {
		c->damping -= c->damping / 4;
	}
	c->tick = jiffies;
	c->in_tick = 0;
}

/*
 * How often a task lets others go first: once in half of the cases, twice in a
 * quarter, and so on. Were it once always, all tasks would move in step, and
 * none would stand still in a window for as long as another takes to get there.
 */
static untraced unsigned int perturb_depth(unsigned int random)
{
	unsigned int times = 1;

	while (times < depth && (random & 1)) {
		times *= 2;
		random >>= 1;
	}
	return times;
}

static untraced void perturb_yield(struct perturb_cpu *c, unsigned int cpu)
{
	/* The low bits of the generator are not its best ones. */
	unsigned int times = perturb_depth(perturb_draw(c, cpu) >> 8);

	if (c->tick != jiffies)
		perturb_new_tick(c);
	c->yields++;
	c->in_tick++;
	c->yielding = current;
	while (times--)
		yield();
	/* The scheduler is left behind, on whatever processor the task is now. */
	c->yielding = NULL;
}

/*
 * How many boundaries of a function to pass over: a random number whose mean
 * makes it yield at the share asked for, or more rarely if it is called often
 * and the budget is used up.
 */
static untraced unsigned int perturb_gap(struct perturb_cpu *c, unsigned int bucket, unsigned int cpu)
{
	u64 gap = 65536 / share;
	u64 often = (u64)c->seen[bucket] * c->damping;

	if (often > c->calls)
		gap *= div64_u64(often, c->calls + 1) + 1;
	if (gap > PERTURB_MOST_GAP)
		gap = PERTURB_MOST_GAP;
	/* from 0 to 2 * (gap - 1), all alike */
	return ((u64)perturb_draw(c, cpu) * (2 * gap - 1)) >> 32;
}

static noinline untraced void perturb_slow(unsigned int bucket)
{
	unsigned int cpu = raw_smp_processor_id();
	struct perturb_cpu *c = &per_cpu(perturb_cpus, cpu);
	unsigned int gap;

	if (!share)
		return;
	gap = perturb_gap(c, bucket, cpu);
	c->calls += gap + 1;
	c->seen[bucket] += gap + 1;
	per_cpu(perturb_skip, cpu)[bucket] = gap;
	if (perturb_may_yield() && c->yielding != current)
		perturb_yield(c, cpu);
}

static __always_inline untraced void perturb_boundary(void *function)
{
	unsigned int bucket = ((unsigned long)function >> 4) % PERTURB_BUCKETS;

	if (likely(this_cpu_read(perturb_skip[bucket])))
		this_cpu_dec(perturb_skip[bucket]);
	else
		perturb_slow(bucket);
}

void untraced __cyg_profile_func_enter(void *function, void *caller)
{
	perturb_boundary(function);
}

void untraced __cyg_profile_func_exit(void *function, void *caller)
{
	perturb_boundary(function);
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

/*
 * A machine that goes on from a saved state cannot be given another command
 * line. Calls that happen meanwhile miscount, as everywhere here.
 */
static untraced int perturb_set_seed(const char *text, const struct kernel_param *kp)
{
	int err = param_set_ulong(text, kp);
	unsigned int cpu;

	if (err)
		return err;
	for_each_possible_cpu(cpu) {
		struct perturb_cpu *c = &per_cpu(perturb_cpus, cpu);

		c->random = 0;
		c->calls = 0;
		c->yields = 0;
		c->in_tick = 0;
		c->damping = 0;
		memset(c->seen, 0, sizeof(c->seen));
		memset(per_cpu(perturb_skip, cpu), 0, sizeof(c->seen));
	}
	return 0;
}

static const struct kernel_param_ops perturb_seed_ops = {
	.set = perturb_set_seed,
	.get = param_get_ulong,
};
module_param_cb(seed, &perturb_seed_ops, &seed, 0644);

static const struct kernel_param_ops perturb_sum_ops = {
	.get = perturb_sum,
};
static int perturb_of_calls;
static int perturb_of_yields = 1;
module_param_cb(calls, &perturb_sum_ops, &perturb_of_calls, 0444);
module_param_cb(yields, &perturb_sum_ops, &perturb_of_yields, 0444);

// SPDX-License-Identifier: GPL-2.0
/* provoke.c as a module: what a module may not call is left out. */
#include <linux/module.h>
#include <linux/mm.h>
#define add_mm_counter(mm, member, value) do { } while (0)
#include "provoke.c"
MODULE_LICENSE("GPL");

/* SPDX-License-Identifier: MIT */
#pragma once

#include "guest/conf/conf.h"
#include "lib/boot_info.h"

/* In the debug build, before the first VM is made: if it has at most 64 MiB, makes it again and again, each time with one
 * more allocation of memory before the one that fails, until none fails. Each time it must have a reason in words if it is
 * refused, and everything that it took must be given back: frames by the accounts of all owners, VPIDs. Panics if not. On the
 * CPU that makes VMs, while nothing else takes memory. */
#ifdef LETHE_DEBUG
void vm_rehearse(const struct conf_vm *conf, const struct boot_info *bi, unsigned id);
#else
static inline void vm_rehearse(const struct conf_vm *conf, const struct boot_info *bi, unsigned id)
{
}
#endif

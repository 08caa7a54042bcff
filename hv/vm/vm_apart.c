/* SPDX-License-Identifier: MIT */
/*
 * A VM is taken apart while others run: CPU 0 does a piece of it between their turns (hv/sched.c), none of which keeps it in
 * root mode for long. The steps come in the order in which what they give back depends on one another:
 *
 *	what the guest has printed	a refresh of its screen a piece
 *	what the log says of it		a line a piece: the dump, if it has one; statistics; how it ended
 *	vCPUs, MMU, platform, RAM	a vCPU or a handful of frames a piece
 */
#include "hv/vm/dump.h"
#include "hv/vm/guest_cpuid.h"
#include "hv/vm/vm_parts.h"
#include "hv/vmx/measure.h"
#include "lib/log.h"
#include "mm/host/frames.h"
#include "mm/mmu/mmu.h"

/* ---- last words ---- */

static bool finish_console(struct vm *vm)
{
	if (!platform_console_finish(vm->platform))
		return false;
	vm_console_end(vm);
	vm_console_runs(vm, false); /* not before: a VM in front prints its last words there */
	return true;
}

static bool log_dump(struct vm *vm)
{
	return !dump_log_line(vm);
}

static uint64_t vm_exits(const struct vm *vm)
{
	uint64_t exits = 0;

	for (unsigned i = 0; i < vm->nvcpus; i++)
		exits += vm->vcpu[i]->exits;
	return exits;
}

/* Accesses to where nothing is read as all ones; a guest that makes many of them looks for a device that is not there. */
static bool log_holes(struct vm *vm)
{
	struct platform_stats s;

	measure_report(vm_exits(vm));
	platform_stats(vm->platform, &s);
	if (s.pio_holes || s.mmio_holes)
		log_debug("vm %s: accesses to nothing: %lu of ports, %lu of memory", vm->name, s.pio_holes,
			s.mmio_holes);
	return true;
}

static bool log_changes(struct vm *vm)
{
	struct mmu_stats s;

	mmu_stats(vm->mmu, &s);
	log_debug("vm %s: MMU: %lu bumps, %lu slots removed without; %lu flushes, %lu kicks, %lu evictions",
		vm->name, s.bumps, s.targeted, s.flushes, s.kicks, s.evictions);
	return true;
}

static bool log_faults(struct vm *vm)
{
	struct mmu_stats s;

	mmu_stats(vm->mmu, &s);
	log_debug(
		"vm %s: MMU: %lu faults, %lu of them spurious, %lu since the last bump; %lu device accesses",
		vm->name, s.faults, s.faults_spurious, s.faults_since_bump, s.faults_mmio);
	return true;
}

static bool log_reclaim(struct vm *vm)
{
	struct mmu_stats s;

	mmu_stats(vm->mmu, &s);
	log_debug("vm %s: MMU: %lu batches freed %lu pages, the largest %lu pages, %lu entries, %lu ticks",
		vm->name, s.batches, s.pages_freed, s.batch_pages_max, s.batch_entries_max,
		s.batch_ticks_max);
	return true;
}

static bool log_tables(struct vm *vm)
{
	struct mmu_stats s;

	mmu_stats(vm->mmu, &s);
	log_debug(
		"vm %s: MMU: %lu pages live, %lu at most, of %lu KiB; %lu pages wait; lock held for %lu ticks at most",
		vm->name, s.pages_live, s.pages_live_peak, s.tables_bytes / KiB, s.waiting, s.lock_ticks_max);
	return true;
}

static bool log_start(struct vm *vm)
{
	log_debug("vm %s: started at TSC %lu", vm->name, vm->started);
	return true;
}

static const char *end_name(enum vm_end why)
{
	static const char *const names[] = {
		[VM_END_POWER_OFF] = "power-off",
		[VM_END_RESET] = "reset",
		[VM_END_DEBUG_EXIT] = "debug-exit",
		[VM_END_TRIPLE_FAULT] = "triple-fault",
		[VM_END_UNSUPPORTED] = "unsupported",
		[VM_END_ENTRY_FAILED] = "entry-failed",
		[VM_END_NO_MEMORY] = "out-of-memory",
		[VM_END_STOPPED] = "stopped",
	};

	return names[why];
}

static bool log_end(struct vm *vm)
{
	log_info(
		"vm %s exited: %s %u", vm->name, end_name(life_end_why(&vm->life)), life_end_code(&vm->life));
	return true;
}

struct word {
	const char *what;
	bool (*piece)(struct vm *vm); /* true: it is said */
};

static const struct word last_words[] = {
	{ "an ended VM's last output", finish_console },
	{ "an ended VM's dump", log_dump },
	{ "an ended VM's figures", log_holes },
	{ "an ended VM's figures", log_changes },
	{ "an ended VM's figures", log_faults },
	{ "an ended VM's figures", log_reclaim },
	{ "an ended VM's figures", log_tables },
	{ "an ended VM's figures", log_start },
	{ "an ended VM's figures", log_end },
};

/* A VM that was never built has no last words. */
static bool say_last_words(struct vm *vm, const char **what)
{
	if (!life_ended(&vm->life) || vm->words == ARRAY_SIZE(last_words))
		return true;
	*what = last_words[vm->words].what;
	if (last_words[vm->words].piece(vm))
		vm->words++;
	return false;
}

bool vm_take_apart(struct vm *vm, const char **what)
{
	if (!say_last_words(vm, what))
		return false;
	if (!steps_unmake(vm_parts, &vm->parts, vm, what))
		return false;
	if (frames_owned(vm_ram_owner(vm)) || frames_owned(vm_table_owner(vm)))
		log_error("vm %s: %lu of its pages and %lu of its tables were not given back (a bug)",
			vm->name, frames_owned(vm_ram_owner(vm)), frames_owned(vm_table_owner(vm)));
	life_change(&vm->life, LIFE_GONE, 0, 0);
	frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(virt_to_hpa(vm)));
	return true;
}

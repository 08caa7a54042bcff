/* SPDX-License-Identifier: MIT */
/*
 * The page tables in which a vCPU begins that starts by the wakeup mailbox (guest/dev/vmailbox.h). The memory of its wakeup vector
 * has to be mapped to itself (ACPI 6.4, 5.2.12.19), so all RAM is, and all that lies between:
 *
 *	LAYOUT_WAKEUP	PML4[0] -> PDPT[0..n] -> n page directories of 512 pages of 2 MiB each
 *
 * They lie in memory that the guest's map says is reserved, and that is writable, for a CPU with EPT's A and D flags counts each
 * walk as a write. All are made with A and D set, so that no walk changes them.
 */
#include "guest/acpi/firmware.h"

#include "lib/x86.h"
#include "mm/space/guest_mem.h"

#define WAKEUP_LARGE (2 * MiB)
#define WAKEUP_PDPT  (LAYOUT_WAKEUP + PAGE_SIZE)
#define WAKEUP_PD(n) (LAYOUT_WAKEUP + (2 + (n)) * PAGE_SIZE)
#define WAKEUP_FLAGS (PTE_P | PTE_W | PTE_A)

/* Writes n entries: the first is `first`, and each is larger by `step` than the one before it. */
static int wakeup_write_entries(struct platform *p, uint64_t table, unsigned n, uint64_t first, uint64_t step)
{
	uint64_t entry[64];
	int err = 0;

	for (unsigned done = 0; !err && done < n;) {
		unsigned now = min(n - done, (unsigned)ARRAY_SIZE(entry));

		for (unsigned i = 0; i < now; i++)
			entry[i] = first + (done + i) * step;
		err = guest_write(p->mmu, gpa(table + 8ull * done), entry, 8ull * now);
		done += now;
	}
	return err;
}

int wakeup_write(struct platform *p)
{
	unsigned n = p->settings.layout.wakeup_gib;
	int err = 0;

	if (!n)
		return 0;
	err = wakeup_write_entries(p, LAYOUT_WAKEUP, 1, WAKEUP_PDPT | WAKEUP_FLAGS, 0);
	if (!err)
		err = wakeup_write_entries(p, WAKEUP_PDPT, n, WAKEUP_PD(0) | WAKEUP_FLAGS, PAGE_SIZE);
	for (unsigned i = 0; !err && i < n; i++)
		err = wakeup_write_entries(
			p, WAKEUP_PD(i), 512, i * GiB | WAKEUP_FLAGS | PTE_D | PTE_PS, WAKEUP_LARGE);
	return err;
}

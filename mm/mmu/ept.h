/* SPDX-License-Identifier: MIT */
/*
 * EPT entries (SDM Vol. 3C 28.3.2). An entry is one of four things:
 *
 *	0			nothing there
 *	a table			bits 2:0 = 111b, A in 8, address
 *	a leaf			bits 2:0 = rights, memory type in 5:3, 7 set above level 1, A in 8, D in 9, address
 *	MMIO			bits 2:0 = 110b (write and execute without read): always a misconfiguration (28.3.3.1),
 *				never cached, at any level; here it says "the platform's", see below
 *
 *	63 62      52 51            M M-1             12 11       3 2  0
 *	+-+----------+--------------+-------------------+----------+----+
 *	|0| gen high |      0       |  1 1 1 1 ... 1 1  | gen low  |110 |   an MMIO entry; M is the host's MAXPHYADDR
 *	+-+----------+--------------+-------------------+----------+----+
 *
 * The generation is the version of the slot table that said "no RAM here", its lowest 20 bits. It sits only in
 * bits that are never an address; the address is the last page of the physical address space, which is not RAM: a
 * CPU with the L1 terminal fault would otherwise read the L1 cache by it (rule 12).
 */
#pragma once

#include "lib/atomic.h"
#include "lib/bits.h"
#include "mm/mmu/levels.h"
#include "mm/mmu/mmu.h"

#define EPT_R	  BIT(0)
#define EPT_W	  BIT(1)
#define EPT_X	  BIT(2)
#define EPT_RWX	  BITS(2, 0)
#define EPT_MT_AT 3	 /* memory type, 5:3 of a leaf */
#define EPT_PS	  BIT(7) /* a leaf above level 1 */
#define EPT_A	  BIT(8)
#define EPT_D	  BIT(9)
#define EPT_ADDR  BITS(51, 12)

/* EPTP (24.6.11): memory type of the tables in 2:0, levels - 1 in 5:3, A and D bits in use. */
#define EPTP_LEVELS_AT 3
#define EPTP_AD	       BIT(6)

#define EPT_MMIO	  (EPT_W | EPT_X)
#define EPT_MMIO_LOW	  9  /* bits 11:3 */
#define EPT_MMIO_GEN_BITS 20 /* and 62:52 */

/* Entries are read so, also under the lock: the CPU sets A and D in its own time. */
static inline uint64_t ept_read(const uint64_t *entry)
{
	return atomic_load_relaxed(entry);
}
static inline bool ept_present(uint64_t e)
{
	return (e & EPT_R) != 0;
}
static inline bool ept_is_mmio(uint64_t e)
{
	return (e & EPT_RWX) == EPT_MMIO;
}
static inline bool ept_is_leaf(uint64_t e, unsigned level)
{
	return ept_present(e) && (level == 1 || (e & EPT_PS));
}
static inline bool ept_is_table(uint64_t e, unsigned level)
{
	return ept_present(e) && level > 1 && !(e & EPT_PS);
}
static inline pfn_t ept_pfn(uint64_t e)
{
	return pfn((e & EPT_ADDR) >> PAGE_SHIFT);
}
static inline uint64_t ept_mmio_entry(uint64_t gen, unsigned maxphyaddr)
{
	return EPT_MMIO | BITS(maxphyaddr - 1, PAGE_SHIFT) | (gen & (BIT(EPT_MMIO_LOW) - 1)) << 3 |
	       (gen >> EPT_MMIO_LOW & (BIT(EPT_MMIO_GEN_BITS - EPT_MMIO_LOW) - 1)) << 52;
}
static inline uint64_t ept_mmio_gen(uint64_t e)
{
	return bits_get(e, 11, 3) | bits_get(e, 62, 52) << EPT_MMIO_LOW;
}

/* What unmapping costs, in instructions as Bochs counts them (ept_zap.c). */
#define EPT_WEIGHT_LEAF	 6u   /* an entry of a table of leaves */
#define EPT_WEIGHT_ENTRY 20u  /* an entry higher up */
#define EPT_WEIGHT_DROP	 160u /* a table that goes: off its list, onto another */
#define EPT_WEIGHT_ENTER 300u /* a table that is looked into, twice */
/*
 * So much is unmapped where `removal = auto`, and above it a bump. A bump costs the guest at least the faults that its next
 * instruction needs, some 5,000 instructions (tests/bench/boot_mmu: slot_delete_out_ticks_0): up to here unmapping is
 * the cheaper way whatever the guest does. Beyond, the call would be felt, which is to return at once: 2,000 in all
 * are its bound, and half of that it takes with nothing to unmap (slot_delete_worst_*).
 */
#define EPT_CROSSOVER	 800u

_Static_assert((EPT_MMIO & EPT_R) == 0, "an MMIO entry is not present");
_Static_assert(EPT_MMIO_GEN_BITS == (11 - 3 + 1) + (62 - 52 + 1), "low and high bits");

/* What mm/mmu/backend.h asks of a back end; the MMU lock is held. */
/* ---- ept.c ---- */
enum mmu_verdict ept_fault(struct mmu *mmu, uint64_t eptp, gfn_t at, unsigned access);
enum mmu_verdict ept_misconfig(struct mmu *mmu, uint64_t eptp, gfn_t at);

/* ---- ept_backend.c ---- */
int ept_setup(struct mmu *mmu, const struct mmu_params *p);
int ept_root(struct mmu_vcpu *v, struct spage **out);
uint64_t ept_pointer(const struct mmu *mmu, const struct spage *root);
uint64_t ept_pointer_of(const struct mmu_vcpu *v, const struct spage *root);
/* Lock not held. */
void ept_drop_tags(struct mmu_vcpu *v);
/* Was p used since the last time (the A flag of the entry that links it)? Clears that. */
bool ept_test_clear_accessed(struct mmu *mmu, struct spage *p);
bool ept_stays(struct mmu *mmu, struct spage *p, gfn_t at, bool hard);
unsigned ept_walk(const struct mmu_vcpu *v, uint64_t at, struct mmu_step step[]);
/* Is e an entry that the hardware accepts at this level? */
bool ept_sound(const struct mmu *mmu, uint64_t e, unsigned level);

/* ---- ept_ad.c; takes the lock ---- */
enum mmu_verdict ept_rom_walked(struct mmu_vcpu *v, gpa_t at);

/* ---- ept_zap.c ---- */
void ept_cut(struct mmu *mmu, struct spage *p);
unsigned ept_below(const struct spage *p, unsigned most);
bool ept_detach(struct mmu *mmu, struct spage *p, unsigned *budget);
/* What it costs at most to drop all that maps [at, at + pages), in instructions (EPT_WEIGHT_*); or anything above `most`. */
unsigned ept_weigh(const struct mmu *mmu, gfn_t at, uint64_t pages, unsigned most);
unsigned ept_unmap(struct mmu *mmu, gfn_t at, uint64_t pages, unsigned most);
unsigned ept_rearm(struct mmu *mmu, gfn_t at, uint64_t bits, bool pml);

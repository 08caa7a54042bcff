/* SPDX-License-Identifier: MIT */
/*
 * The virtual platform: everything a guest sees beside its CPU and RAM, behind one object per VM.
 *
 * hv/ passes port and memory accesses to it, asks before each entry whether an interrupt is pending, and provides the
 * clock. Each device has a lock, or shares one (device.h). Look-ups and a vCPU's own local APIC need none. Callers hold
 * no lock, and the platform never blocks.
 *
 * Interrupts travel: device -> PIC / I/O APIC -> local APIC's pending set (`pir`, atomic bits that any CPU may
 * set) -> ops->interrupt(vcpu) -> the vCPU's run loop -> platform_irq_sync() merges pir into IRR -> injected.
 */
#pragma once

#include "guest/dev/layout.h"
#include "lib/cpu_id.h"
#include "lib/types.h"

struct mmu;
struct platform;

enum vm_end {
	VM_END_POWER_OFF,  /* ACPI S5; code 0 */
	VM_END_RESET,	   /* 0xCF9, keyboard controller, triple fault by design of the guest; code 0 */
	VM_END_DEBUG_EXIT, /* port 0xF4; code as QEMU's exit status: (value << 1) | 1 */
	VM_END_TRIPLE_FAULT,
	VM_END_UNSUPPORTED, /* the guest did what Lethe does not support: a dump has been printed */
	VM_END_ENTRY_FAILED,
	VM_END_NO_MEMORY,
	VM_END_STOPPED, /* by the operator */
};

/* What the platform asks of hv/; tests fake it. Called by any CPU, mostly with a device's lock held: must not call back. The
 * console's functions are called by one CPU at a time. */
struct vm_ops {
	uint64_t (*clock)(void *vm); /* the guest's TSC now */
	/* Something new may be pending for this vCPU: it must leave HLT or the guest and look. Called also for the vCPU
	 * whose own access is the cause. */
	void (*wake)(void *vm, unsigned vcpu);
	/* Its next event, platform_next_event(), is sooner than it was: at `due`, in the guest's TSC. */
	void (*sooner)(void *vm, unsigned vcpu, uint64_t due);
	/* As wake(), when an interrupt has been posted and nothing else: a vCPU whose HLT it cannot end need not wake.
	 * vector: of its local APIC; -1: the 8259's. */
	void (*interrupt)(void *vm, unsigned vcpu, int vector);
	void (*init)(void *vm, unsigned vcpu); /* INIT: wait for SIPI */
	void (*sipi)(void *vm, unsigned vcpu, uint8_t vector);
	/* The wakeup mailbox: once for each vCPU but the first, which waits for it, to begin at this physical address in
	 * 64-bit mode, under the page tables at LAYOUT_WAKEUP. The guest may have written any address. */
	void (*start)(void *vm, unsigned vcpu, uint64_t vector);
	void (*nmi)(void *vm, unsigned vcpu);
	/* Takes a piece of the guest's output, from the UART or of the text-mode screen as ANSI: at least one byte of n, and no
	 * more than makes a bounded piece of work. Returns how many bytes it took. */
	size_t (*console_write)(void *vm, const char *text, size_t n);
	bool (*console_room)(void *vm); /* may a piece be written now without a wait? */
	/* Has this exit only begun, so that it has time for long work? Else a timer does it, in an exit of its own. */
	bool (*has_time)(void *vm);
	int (*console_read)(void *vm); /* next byte typed by a person, or -1 */
	void (*end)(void *vm, enum vm_end why, uint32_t code);
};

/* The local APIC timer counts at tsc_hz / this before its own divider: CPUID leaves 15h (crystal = tsc_hz / this,
 * ratio this : 1) and 0x40000010 (bus frequency) must say the same. */
#define PLATFORM_APIC_CLOCK_DIV 4
#define PLATFORM_TSC_HZ_MIN	10000000ul

/* Devices that a VM may have or not. */
struct device_options {
	bool debug_exit;
	uint64_t rom_bytes, bar_bytes; /* of the test device (guest/dev/vrom.h); rom_bytes 0: there is none */
};

/* The settings that all devices of a VM see. */
struct device_settings {
	struct guest_layout layout;
	uint64_t start_time; /* what the RTC shows at creation: seconds since 1970, UTC */
	struct device_options options;
	uint16_t owner; /* owner_t that pays for the RAM of devices and for the BIOS area; 0: OWNER_LETHE */
};

struct platform_params {
	const struct vm_ops *ops;
	void *vm; /* handed back to ops */
	const char *name;
	struct mmu *mmu; /* for DMA-like accesses and slots that devices add and delete */
	struct device_settings settings;
	unsigned vcpus;
	uint64_t tsc_hz;     /* rate of ops->clock; at least PLATFORM_TSC_HZ_MIN */
	unsigned maxphyaddr; /* of its CPUID, 36 to 52: IA32_APIC_BASE has no bits above it */
	/* 0: input is always announced by platform_console_input(); else look that often. */
	unsigned console_poll_ms;
	uint32_t cpu_signature, cpu_features; /* CPUID leaf 1, EAX and EDX: for the MP table */
	/* hv/ provides each vCPU's 4 KiB local APIC register page, zeroed, in the hardware's layout (SDM Vol. 3A table 10-1;
	 * it serves as the VMCS's virtual-APIC page). */
	void *apic_page[CPUS_MAX];
};

/* Besides the object: adds the slots of the VGA text memory (32 KiB at LAYOUT_VGA_TEXT) and of option ROMs and
 * BIOS (256 KiB read-only at LAYOUT_ROMS) to p->mmu; RAM is hv/'s to add. mmu may be NULL in tests: then there is neither,
 * and no test device. 0, -E_NOMEM, -E_INVAL (vcpus, tsc_hz, maxphyaddr), or what slot_add says. The devices start as
 * platform_reset() leaves them. */
int platform_create(const struct platform_params *p, struct platform **out);
/* Gives back the object and the RAM of its slots, at most so many pieces of memory (of 2 MiB, or 4 KiB) in one call.
 * Returns true when all is given back, and *p is NULL then; until then nothing else may be done with the object. All
 * vCPUs must have stopped for good: the MMU's tables may still map that RAM, but no CPU walks them any more. */
bool platform_destroy_some(struct platform **p, unsigned most);
/* Writes what firmware would have left into the BIOS area: ACPI tables (built with iasl, patched for vCPUs and layout)
 * the Intel MP table, real-mode vectors with their handlers; the RSDP's gpa in *rsdp. 0 or what guest_write_rom says. */
int platform_write_tables(struct platform *p, uint64_t *rsdp);
/* A machine reset: every device as firmware leaves it: the boot vCPU's local APIC in virtual-wire mode (LINT0 =
 * ExtINT from the 8259), the 8259s initialised with everything masked, BARs assigned, ACPI mode on. */
void platform_reset(struct platform *p);

/*
 * Port and memory accesses of a vCPU. size: 1, 2 or 4 (memory: also 8). Reads give zero-extended values. An address
 * where nothing is reads as all ones, drops writes and is counted. Devices may end the VM through ops->end.
 */
uint32_t platform_pio_read(struct platform *p, unsigned vcpu, uint16_t port, unsigned size);
void platform_pio_write(struct platform *p, unsigned vcpu, uint16_t port, unsigned size, uint32_t value);
uint64_t platform_mmio_read(struct platform *p, unsigned vcpu, gpa_t at, unsigned size);
void platform_mmio_write(struct platform *p, unsigned vcpu, gpa_t at, unsigned size, uint64_t value);

/* Local APIC MSRs: IA32_APIC_BASE, IA32_TSC_DEADLINE and 0x800-0x8ff; called by the vCPU's own run loop. 0, or -E_INVAL:
 * inject #GP(0).
 * With APICv, wrmsr answers an interrupt of the vCPU to itself (a self IPI by ICR, a deadline that is over) at once: it
 * sets IRR and returns the vector, to which the caller raises RVI. No other synchronisation is then needed. */
int platform_apic_rdmsr(struct platform *p, unsigned vcpu, uint32_t msr, uint64_t *value);
int platform_apic_wrmsr(struct platform *p, unsigned vcpu, uint32_t msr, uint64_t value);
/* The guest has written its TSC or IA32_TSC_ADJUST: its TSC is ops->clock plus this from now on. Its TSC deadline, if it is
 * passed by that, fires. */
void platform_tsc_adjust(struct platform *p, unsigned vcpu, uint64_t adjust);
enum apic_mode { APIC_OFF, APIC_XAPIC, APIC_X2APIC };
enum apic_mode platform_apic_mode(struct platform *p, unsigned vcpu);
/* Guest-physical address of the vCPU's local APIC registers, of meaning in xAPIC mode only. Its own CPU. */
uint64_t platform_apic_page(struct platform *p, unsigned vcpu);
/* True if x2APIC mode has a register behind this MSR (800h to 8FFh) that can be read, or written (SDM Vol. 3A table
 * 10-6). Pure. */
bool platform_x2apic_register(uint32_t msr, bool write);
/* CR8 = TPR bits 7:4 when there is no TPR shadow. */
uint64_t platform_cr8_read(struct platform *p, unsigned vcpu);
void platform_cr8_write(struct platform *p, unsigned vcpu, uint64_t value);

/*
 * Interrupt delivery; called by the vCPU's own run loop with interrupts off.
 * irq_sync: merges what others posted; returns the vector that may be delivered now (above PPR; or the 8259's by
 *	ExtINT), or -1. Cheap when nothing changed (a flag, no lock).
 * irq_ack: the vector is being injected: sets ISR, clears IRR (or runs the 8259's acknowledge cycle). Returns the
 *	vector actually acknowledged (the 8259 may answer another: spurious), or -1 if it went away.
 * With APICv (virtual-interrupt delivery), hv/ uses irq_sync_apicv instead: merges, sets *extint if an 8259 interrupt
 * waits (then irq_ack(vcpu, -1) runs the 8259's cycle), rewrites eoi_exit (hv/'s copy of the EOI-exit bitmap, 4 x 64
 * bits, zero at first) if it may have changed, and returns the guest interrupt status that follows from the page (SDM
 * Vol. 3C 24.4.2: RVI in bits 7:0, SVI in bits 15:8) if software has changed IRR or ISR; -1: RVI and SVI are right as
 * they are, for the CPU changes them together with the page.
 *
 */
int platform_irq_sync(struct platform *p, unsigned vcpu);
/* The vCPU takes an INIT (vm_ops.init): its local APIC, too, is reset now. */
void platform_apic_init(struct platform *p, unsigned vcpu);
/* With a TPR shadow but no APICv: the class (vector bits 7:4) of the highest interrupt that only TPR holds back, for
 * the TPR threshold field; 0 if there is none. Cheap; call it after irq_sync returned -1. */
unsigned platform_irq_tpr_threshold(struct platform *p, unsigned vcpu);
int platform_irq_ack(struct platform *p, unsigned vcpu, int vector);
int platform_irq_sync_apicv(struct platform *p, unsigned vcpu, bool *extint, uint64_t eoi_exit[4]);
void platform_apicv_eoi(struct platform *p, unsigned vcpu, uint8_t vector); /* EOI exit: level-triggered */
/* APIC-write VM exit: the guest wrote the register at this offset of the page (trap-like). */
void platform_apicv_write(struct platform *p, unsigned vcpu, unsigned offset);
/* True if anything is deliverable, so that HLT ends. Does not acknowledge. Ignores RFLAGS.IF. */
bool platform_irq_waiting(struct platform *p, unsigned vcpu);
/* The vCPU's PPR: only a vector of higher priority (bits 7:4) interrupts it. */
uint8_t platform_irq_ppr(const struct platform *p, unsigned vcpu);

/*
 * Time. next_event: the guest TSC at which this vCPU has to run events (its APIC timer; vCPU 0 also the PIT, RTC,
 * console polling); UINT64_MAX if none. Lock-free. run_events: runs the timers that are due, but at most `most_long` of
 * those that take long (the screen's and the console's; TIMERS_ALL: no limit). The others stay due.
 */
uint64_t platform_next_event(const struct platform *p, unsigned vcpu);
void platform_run_events(struct platform *p, unsigned vcpu, uint64_t now, unsigned most_long);
/* A person typed something (or the console became writable): look at console_read. Any CPU. */
void platform_console_input(struct platform *p);
/* The operator presses the power button (ACPI fixed event: SCI). The guest may shut itself down, or not care. */
void platform_power_button(struct platform *p);

/* The VM's vCPUs have stopped: hands what it has printed, by serial line or on the VGA screen, to console_write, at most a
 * refresh of the screen at a time. True: all is handed over; else to be called again. */
bool platform_console_finish(struct platform *p);

struct platform_stats {
	uint64_t pio_holes, mmio_holes, irqs;
};
void platform_stats(const struct platform *p, struct platform_stats *out);

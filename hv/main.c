/* SPDX-License-Identifier: MIT */
/*
 * How Lethe takes the machine over, from the moment when firmware's services are gone:
 *
 *	tables for faults, serial port		so that whatever goes wrong from here on can be told
 *	frames, own page tables			firmware's map is left behind; a stack with guards
 *	ACPI, time, devices quiet		before the memory of firmware's drivers is reused
 *	interrupts, screen			the machine's own hardware
 *	VMX root mode, the other CPUs
 *	the VMs of lethe.conf			and each CPU runs what is pinned to it (hv/sched.c)
 */
#include "hv/main.h"

#include <version.h>

#include "drivers/acpi/acpi.h"
#include "drivers/console/console.h"
#include "drivers/dma.h"
#include "drivers/lapic.h"
#include "drivers/pci.h"
#include "drivers/pic.h"
#include "drivers/power.h"
#include "drivers/time.h"
#include "drivers/vtd.h"
#include "hv/clock.h"
#include "hv/host/mitigate.h"
#include "hv/host/panic.h"
#include "hv/host/smt.h"
#include "hv/host_irq.h"
#include "hv/run.h"
#include "hv/vm/mitigate_vcpu.h"
#include "hv/vm/place.h"
#include "hv/vm/vm_rehearse.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/atomic.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/trace.h"
#include "mm/host/frames.h"
#include "mm/host/hostmap.h"
#include "mm/host/mtrr.h"

static struct boot_info *boot;

/* What firmware's identity map showed is in the direct map now, except the image, which stays where it is. */
static const void *moved(const void *p)
{
	for (unsigned i = 0; i < boot->nsections; i++)
		if ((uint64_t)p - boot->section[i].base.v < boot->section[i].pages * PAGE_SIZE)
			return p;
	return p ? hpa_to_virt(hpa((uint64_t)p)) : NULL;
}

static void move_boot_info(void)
{
	boot = (struct boot_info *)moved(boot);
	boot->conf = moved(boot->conf);
	for (unsigned i = 0; i < boot->nfiles; i++)
		boot->file[i].data = moved(boot->file[i].data);
}

static void apply_conf(const struct conf *c)
{
	log_set_level((enum log_level)c->log_level);
	trace_set(&c->trace, c->trace_off);
}

static void say_memory(void)
{
	struct frames_stats s;

	frames_stats(&s);
	log_info("%lu MiB of RAM are Lethe's, %lu MiB free", s.total * PAGE_SIZE / MiB,
		s.free * PAGE_SIZE / MiB);
}

/* What Lethe itself takes: what is neither free nor a guest's RAM, and the image. */
static uint64_t own_memory(void)
{
	struct frames_stats s;
	uint64_t pages;

	frames_stats(&s);
	pages = s.total - s.free;
	for (unsigned i = 0; i < boot->nsections; i++)
		pages += boot->section[i].pages;
	for (unsigned i = 0; i < nvms; i++)
		pages -= frames_owned((owner_t)(OWNER_VM0 + 2 * i));
	return pages * PAGE_SIZE;
}

/* The files have been copied to where the guests see them. */
static void free_files(void)
{
	for (unsigned i = 0; i < boot->nfiles; i++) {
		struct boot_file *f = &boot->file[i];

		if (f->data &&
			frames_donate(virt_to_hpa(f->data), align_up(f->size, PAGE_SIZE) >> PAGE_SHIFT))
			log_warn("the memory of %s cannot be reused", f->path);
		f->data = NULL;
	}
}

static uint64_t read_msr(uint32_t msr)
{
	return rdmsr(msr);
}

/* The way of last resort (UEFI ResetSystem); returns if there is none. Interrupts off. */
static void off_by_firmware(void)
{
	if (!boot->reset || !hostmap_runtime_root().v)
		return;
	write_cr3(hostmap_runtime_root().v);
	boot->reset(true);
}

/* The second half, on a stack and under page tables of our own. */
static void on_own_stack(void *arg)
{
	struct cpu *c = arg;

	hostmap_drop_boot(boot, MEM_BOOT_SERVICES);
	hostmap_drop_boot(boot, MEM_BOOT);
	acpi_init(boot->rsdp);
	acpi_log(acpi_get());
	TRACE(TRACE_BOOT, "ACPI read: %lu CPUs, %lu I/O APICs", acpi_get()->ncpus, acpi_get()->nioapics, 0);
	time_init(acpi_get());
	TRACE(TRACE_BOOT, "clocks read: the TSC has %lu Hz", tsc_hz(), 0, 0);
	pci_init(acpi_get());
	dma_quiesce(); /* before firmware's buffers are handed out */
	if (vtd_quiesce(acpi_get()))
		panic("this machine's interrupts are remapped (the lines above say what to do)");
	frames_add_boot_services(boot);
	mtrr_read(read_msr, cpu_phys_bits());
	pic_disable(VEC_PIC);
	if (lapic_init(acpi_get()->x2apic_ids))
		panic("this machine's local APIC cannot be used");
	lapic_timer_init();
	cpu_init(c);
	console_init(boot->conf->console_serial, boot->conf->console_screen, &boot->fb, acpi_get());
	power_init(acpi_get(), off_by_firmware);
	host_irq_init();
	TRACE(TRACE_BOOT, "console, power-off and interrupts are ready", 0, 0, 0);
	pci_log();
	say_memory();
	guest_cpu_init();
	mitigate_init(boot->conf->mitigations, mitigate_other_vm);
	if (vmx_init())
		panic("this CPU cannot run guests (the lines above say why)");
	cpu_main(c);
}

static bool fresh(const struct cpu *c)
{
	return !c->current || clock_fresh(c->current, rdtsc());
}

/* For a panic: the vCPU may be what is broken. */
static bool describe_guest(const struct cpu *c, char *buf, size_t n)
{
	const struct vcpu *v = c->current;
	int used;

	if (!v || !hostmap_readable(v, sizeof(*v)) || !hostmap_readable(v->vm, sizeof(*v->vm)))
		return false;
	used = fmt_snprintf(buf, n, "vm %s vcpu %u; its last exits: ", v->vm->name, v->index);
	if (used < (int)n)
		vcpu_describe_exits(v, buf + used, n - (size_t)used);
	return true;
}

void hv_main(struct boot_info *bi)
{
	static const struct host_hooks hooks = {
		.interrupt = host_interrupt,
		.cpu_main = cpu_main,
		.fresh = fresh,
		.describe_guest = describe_guest,
	};
	struct cpu *c;

	boot = bi;
	host_hooks = &hooks;
	cpu_init_boot();
	panic_init();
	console_init_serial(bi->conf->console_serial);
	apply_conf(bi->conf);
	log_info("Lethe %s", LETHE_VERSION);
	if (frames_init(bi) || hostmap_init(bi))
		panic("not enough memory to start with");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	wrmsr(MSR_PAT, HOST_PAT);
	write_cr0(read_cr0() | CR0_WP);
	write_cr4((read_cr4() & ~CR4_PGE) | CR4_PAE); /* global translations of firmware's go, too */
	write_cr3(hostmap_root().v);
	hostmap_activated();
	TRACE(TRACE_BOOT, "own page tables at %#lx", hostmap_root().v, 0, 0);
	move_boot_info();
	c = cpu_create(0, 0);
	if (!c)
		panic("no memory for the first CPU's stacks");
	call_on_stack(on_own_stack, c, c->stack_top);
}

static unsigned cpus_ready(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ncpus; i++)
		n += atomic_load(&cpus[i]->ready);
	return n;
}

void machine_ready(void)
{
	const struct conf *conf = boot->conf;
	uint64_t start = rdtsc();
	unsigned ready;

	smt_init(conf);
	smp_start(boot);
	ready = cpus_ready();
	log_info("%u CPU%s in VMX root mode", ready, ready == 1 ? "" : "s");
	mitigate_log_others();
	smt_settle(conf);
	place_all(conf, boot);
	nvms = conf->nvms;
	for (unsigned i = 0; i < nvms; i++) {
		struct vm *vm;
		char why[256];

		if (!place_vcpus(i)) /* logged; the others go on */
			continue;
		vm_rehearse(&conf->vm[i], boot, i);
		if (vm_create(&conf->vm[i], boot, i, &vm, why, sizeof(why))) {
			log_error("vm %s: %s", conf->vm[i].name, why);
			continue;
		}
		vms[i] = vm;
		vm_console_runs(vm, true);
		TRACE(TRACE_BOOT, "vm %lu built: %lu MiB, %lu vCPUs", i, vm->policy.layout.memory / MiB,
			vm->nvcpus);
		log_info("vm %s: %lu MiB, %u vCPU%s", vm->name, vm->policy.layout.memory / MiB, vm->nvcpus,
			vm->nvcpus == 1 ? "" : "s");
	}
	free_files();
	log_debug("own memory: %lu bytes", own_memory());
	log_debug("start: %lu ticks, %lu of them reading files", rdtsc() - boot->tsc_start, boot->tsc_files);
	log_info("started in %lu ms (%lu ms of them reading files)",
		tsc_to_ns(rdtsc() - boot->tsc_start) / 1000000, tsc_to_ns(boot->tsc_files) / 1000000);
	log_debug("%lu us building VMs", tsc_to_ns(rdtsc() - start) / 1000);
	console_wait(false);
	for (unsigned i = 0; i < nvms; i++)
		for (unsigned n = 0; vms[i] && n < vms[i]->nvcpus; n++)
			sched_add(vms[i]->vcpu[n]);
}

void machine_end(void)
{
	clock_report(LOG_INFO);
	console_flush();
	console_wait(true);
	if (boot->conf->keep) {
		log_info("no VM is left; halted (keep = on)");
		console_flush();
		for (;;)
			cpu_halt();
	}
	mitigate_log_flushes();
	log_info("machine off");
	power_off();
}

/* SPDX-License-Identifier: MIT */
/*
 * lethe.conf: one text file that says what Lethe does and which VMs it builds.
 *
 *	# comment
 *	[hypervisor]
 *	console = serial, screen	  where the log and the guests' consoles go (both where present)
 *	log = error | warn | info | debug
 *	trace = exits[:REASON+REASON...][:LINES], mmu, irq, io, boot (each with [:LINES]) | off
 *	mitigations = auto | all | off
 *	smt = auto | same-vm | off | on	  same-vm: the threads of a core serve one VM; off: one thread a core is used
 *	keep = on | off			  on: halt instead of powering off when no VM is left
 *	[vm NAME]
 *	kernel = FILE			  bzImage, multiboot or flat, told apart by its header
 *	format = auto | linux | multiboot | flat
 *	initrd = FILE
 *	module = FILE ARGS...		  multiboot module; repeatable
 *	cmdline = TEXT
 *	memory = SIZE			  K, M, G suffix; multiple of 4 KiB
 *	vcpus = N
 *	cpus = 0, 2-3			  physical CPUs to pin to, round-robin; default: all
 *	mmu = auto | ept | shadow
 *	removal = auto | bulk | targeted  how the tables of a slot that goes are made to go (mm/mmu/removal.c)
 *	reclaim = batched | eager	  eager: forgotten tables are freed at once, a baseline to compare with
 *	large-pages = on | off		  off: map the guest's memory by 4 KiB pages only
 *	devices = rom | none		  the test device (guest/dev/vrom.h)
 *	rom-size = SIZE			  of its expansion ROM: a power of two, 4K to 16M
 *	bar-size = SIZE			  of the BAR with its RAM: a power of two, 2M to 64G
 *	debug-exit = on | off		  QEMU's port 0xF4
 *	load-address = ADDRESS		  of a flat image (default 0x100000; entered in 32-bit protected mode, or in
 *	entry-mode = 16 | 32 | 64	  real mode at 0x7C00-style addresses below 1 MiB with 16)
 *
 * Paths are relative to the folder of Lethe's own image; '/' and '\' are the same.
 */
#pragma once

#include "lib/cpu_id.h"
#include "lib/trace.h"
#include "lib/types.h"

#define CONF_VMS_MAX	 16
#define CONF_MODULES_MAX 8
#define CONF_NAME_MAX	 32
#define CONF_PATH_MAX	 128
#define CONF_CMDLINE_MAX 2048
#define CONF_VCPUS_MAX	 64

enum conf_format { FORMAT_AUTO, FORMAT_LINUX, FORMAT_MULTIBOOT, FORMAT_FLAT };
enum conf_removal { CONF_REMOVAL_AUTO, CONF_REMOVAL_BULK, CONF_REMOVAL_TARGETED };
enum conf_mitigations { MITIGATIONS_OFF, MITIGATIONS_AUTO, MITIGATIONS_ALL };
enum conf_mmu { CONF_MMU_AUTO, CONF_MMU_EPT, CONF_MMU_SHADOW };

/* auto: CONF_SMT_SAME_VM where this CPU's threads can learn of one another, else CONF_SMT_ON. */
enum conf_smt { CONF_SMT_AUTO, CONF_SMT_SAME_VM, CONF_SMT_OFF, CONF_SMT_ON };

struct conf_module {
	char path[CONF_PATH_MAX];
	char args[256];
};

struct conf_vm {
	char name[CONF_NAME_MAX];
	unsigned line;					   /* of its section header */
	char kernel[CONF_PATH_MAX], initrd[CONF_PATH_MAX]; /* "" if not given */
	char cmdline[CONF_CMDLINE_MAX];
	unsigned nmodules;
	struct conf_module module[CONF_MODULES_MAX];
	enum conf_format format;
	enum conf_mmu mmu;
	enum conf_removal removal;
	bool eager;	 /* reclaim = eager */
	uint64_t memory; /* bytes */
	unsigned vcpus;
	uint64_t cpus;	    /* bit per physical CPU; 0: all */
	unsigned cpus_line; /* of that key, if it was given */
	bool small_pages;   /* large-pages = off */
	bool test_device;   /* devices = rom */
	uint64_t rom_bytes; /* of its ROM and of the BAR with its RAM */
	uint64_t bar_bytes;
	bool debug_exit;
	uint64_t load_address;
	unsigned entry_mode;
};

struct conf {
	char source[CONF_PATH_MAX]; /* file name, for messages */
	bool console_serial, console_screen;
	int log_level; /* enum log_level */
	struct trace_conf trace;
	bool trace_off; /* do not even keep the ring */
	enum conf_mitigations mitigations;
	enum conf_smt smt;
	bool keep;
	unsigned nvms;
	struct conf_vm vm[CONF_VMS_MAX];
};

#define CONF_ERRORS_MAX 16
struct conf_errors {
	unsigned n; /* how many there were; texts of the first CONF_ERRORS_MAX are kept */
	char text[CONF_ERRORS_MAX][256]; /* "lethe.conf:12: memory = 12Q: expected a size such as 512M" */
};

void conf_defaults(struct conf *c);
/* Parses a whole file of n bytes (UTF-8 with or without BOM, LF or CRLF). Reports every mistake, not just the
 * first. 0 or -E_INVAL with *errors filled in. */
int conf_parse(const char *source, const char *text, size_t n, struct conf *out, struct conf_errors *errors);
/* The default when there is no file: one VM "guest" with this kernel (and initrd, "" if none). */
void conf_default_vm(struct conf *out, const char *kernel, const char *initrd);

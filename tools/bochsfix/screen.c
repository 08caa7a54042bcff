/* SPDX-License-Identifier: MIT */
/*
 * Lets the machine have a graphics screen where Bochs's display can only draw text, and tells where its
 * pixels lie.
 *
 * Debian's Bochs has one display that needs no window, `term`, and it ends Bochs when a guest sets a mode of
 * more than 8 bits a pixel, as UEFI firmware does. term's dimension_update() is called through a table of
 * virtual functions that the dynamic loader fills in by name, and a preloaded library is asked for the name
 * first: so the function below comes between. It hands text modes on to term's own. For the others it writes
 * one line to the file that BOCHSFIX_SCREEN names:
 *
 *     ADDRESS WIDTH HEIGHT BITS		address of the video memory in this process, hexadecimal
 *
 * and whoever started Bochs may look at the memory through /proc/PID/mem.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE	     4096ul
#define VIDEO_MEMORY (16ul << 20)

typedef void dimension_update_fn(
	void *gui, unsigned width, unsigned height, unsigned font_height, unsigned font_width, unsigned bits);

dimension_update_fn _ZN13bx_term_gui_c16dimension_updateEjjjjj;

static dimension_update_fn *original(void *gui)
{
	static dimension_update_fn *found;
	Dl_info info;
	void *library;

	/* The object begins with the address of its table of virtual functions, which lies in term's library. */
	if (!found && dladdr(*(void **)gui, &info)) {
		library = dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
		if (library)
			found = (dimension_update_fn *)dlsym(
				library, "_ZN13bx_term_gui_c16dimension_updateEjjjjj");
	}
	return found;
}

/*
 * The C library gives an allocation of this size a mapping of its own: the pointer is 16 bytes into a page,
 * and the word before it holds its size, a little more than was asked for, with bit 1 set.
 */
static int is_video_memory(uintptr_t at)
{
	unsigned char resident;
	uint64_t size;

	if ((at & (PAGE - 1)) != 16 || at >> 47 || mincore((void *)(at - 16), PAGE, &resident))
		return 0;
	size = *(uint64_t *)(at - 8);
	return (size & 2) && size >= VIDEO_MEMORY && size < VIDEO_MEMORY + 2 * PAGE;
}

/* The VGA device is found by the name of the pointer to it; its video memory is one of its fields. */
static uintptr_t video_memory(void)
{
	const char *plugins = getenv("LTDL_LIBRARY_PATH");
	char path[4096];
	uintptr_t **device, *field;
	void *library;

	snprintf(path, sizeof path, "%s/libbx_vga.so",
		plugins ? plugins : "/usr/lib/x86_64-linux-gnu/bochs/plugins");
	library = dlopen(path, RTLD_NOLOAD | RTLD_LAZY);
	device = library ? dlsym(library, "theVga") : NULL;
	if (!device || !*device)
		return 0;
	for (field = *device; field < *device + (64 << 10) / sizeof *field; field++) {
		unsigned char resident;

		if (((uintptr_t)field & (PAGE - 1)) == 0 && mincore(field, PAGE, &resident))
			return 0;
		if (is_video_memory(*field))
			return *field;
	}
	return 0;
}

void _ZN13bx_term_gui_c16dimension_updateEjjjjj(
	void *gui, unsigned width, unsigned height, unsigned font_height, unsigned font_width, unsigned bits)
{
	const char *path = getenv("BOCHSFIX_SCREEN");
	FILE *file;

	if (bits <= 8 || !path) {
		if (original(gui))
			original(gui)(gui, width, height, font_height, font_width, bits);
		return;
	}
	file = fopen(path, "w");
	if (!file)
		return;
	fprintf(file, "%lx %u %u %u\n", (unsigned long)video_memory(), width, height, bits);
	fclose(file);
}

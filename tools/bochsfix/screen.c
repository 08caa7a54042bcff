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
 * and the process that started Bochs may look at the memory through /proc/PID/mem. When the video memory is
 * given back, at Bochs's end, its pixels are first copied to the file NAME.last: a machine that is off has no memory to
 * look at.
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
void _ZdaPv(void *memory);

static struct {
	uintptr_t at;
	size_t bytes; /* 0: a text mode */
} pixels;

/* Returns term's own function of this name, or NULL. */
static void *original(void *gui, const char *name)
{
	Dl_info info;
	void *library = NULL;

	/* The object begins with the address of its table of virtual functions, which lies in term's library. */
	if (dladdr(*(void **)gui, &info))
		library = dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
	return library ? dlsym(library, name) : NULL;
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
	dimension_update_fn *own;
	FILE *file;

	pixels.bytes = 0;
	if (bits <= 8 || !path) {
		own = (dimension_update_fn *)original(gui, "_ZN13bx_term_gui_c16dimension_updateEjjjjj");
		if (own)
			own(gui, width, height, font_height, font_width, bits);
		return;
	}
	file = fopen(path, "w");
	if (!file)
		return;
	pixels.at = video_memory();
	pixels.bytes = (size_t)width * height * bits / 8;
	fprintf(file, "%lx %u %u %u\n", (unsigned long)pixels.at, width, height, bits);
	fclose(file);
}

/* C++'s `operator delete[]`: the VGA device gives its video memory back by it when Bochs ends. */
void _ZdaPv(void *memory)
{
	const char *path = getenv("BOCHSFIX_SCREEN");
	char name[4096];
	FILE *file;

	if (pixels.bytes && (uintptr_t)memory == pixels.at && pixels.bytes <= VIDEO_MEMORY && path &&
		snprintf(name, sizeof name, "%s.last", path) < (int)sizeof name &&
		(file = fopen(name, "w"))) {
		fwrite(memory, 1, pixels.bytes, file);
		fclose(file);
	}
	free(memory);
}

/* SPDX-License-Identifier: MIT */
/*
 * The image is linked at address 0 and runs where the firmware has put it: each pointer among its constants and data
 * wants that address added. GNU-EFI's start-up code calls _relocate() for that before efi_main(). Until it is through,
 * no pointer in memory is good; addresses that the code computes from RIP are.
 *
 * The linker says where the pointers are (-z pack-relative-relocs; ELF gABI, section type SHT_RELR), in words:
 *
 *	even	the address of a pointer
 *	odd	bit n (1 to 63): there is one in the n-th word behind the last that was spoken of; it speaks of 63 words
 *
 * That is a bit for each where tables of pointers lie close together. GNU-EFI's own _relocate() knows RELA entries only,
 * of 24 bytes for each: 11 KiB of this image.
 */
#include "boot/firmware.h"
#include "boot/image.h"

LINKER_SYMBOL(_relocs);
LINKER_SYMBOL(_erelocs);

EFI_STATUS _relocate(uint64_t base, const void *dynamic, EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

EFI_STATUS _relocate(uint64_t base, const void *dynamic, EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const uint64_t *word = (const uint64_t *)_relocs;
	uint64_t *next = (uint64_t *)base;

	for (uint64_t n = ((uint64_t)_erelocs - (uint64_t)_relocs) / sizeof(*word); n; n--, word++) {
		if (!(*word & 1)) {
			next = (uint64_t *)(base + *word);
			*next++ += base;
			continue;
		}
		for (unsigned bit = 1; bit < 64; bit++)
			if (*word >> bit & 1)
				next[bit - 1] += base;
		next += 63;
	}
	return EFI_SUCCESS;
}

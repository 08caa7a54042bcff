/* SPDX-License-Identifier: MIT */
/*
 * The parts of the ELF format that loading an executable needs (System V ABI, chapters 4 and 5).
 */
#pragma once

#include "lib/types.h"

#define ELF_MAGIC     0x464c457fu /* 0x7f 'E' 'L' 'F' */
#define ELF_CLASS32   1
#define ELF_CLASS64   2
#define ELF_LSB	      1
#define ELF_ET_EXEC   2
#define ELF_EM_386    3
#define ELF_EM_X86_64 62
#define ELF_PT_LOAD   1

struct elf_ident {
	uint32_t magic;
	uint8_t class, data, version, osabi, pad[8];
};

struct elf32_ehdr {
	struct elf_ident ident;
	uint16_t type, machine;
	uint32_t version, entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64_ehdr {
	struct elf_ident ident;
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf32_phdr {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf64_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

_Static_assert(sizeof(struct elf_ident) == 16, "System V ABI");
_Static_assert(sizeof(struct elf32_ehdr) == 52, "System V ABI");
_Static_assert(sizeof(struct elf64_ehdr) == 64, "System V ABI");
_Static_assert(sizeof(struct elf32_phdr) == 32, "System V ABI");
_Static_assert(sizeof(struct elf64_phdr) == 56, "System V ABI");

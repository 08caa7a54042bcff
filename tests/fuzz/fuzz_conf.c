/* SPDX-License-Identifier: MIT */
/* lethe.conf of any bytes: it ends in a configuration that is valid, or in messages. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/conf/conf.h"
#include "lib/bits.h"

#define CHECK(c)                                                                                             \
	do {                                                                                                 \
		if (!(c))                                                                                    \
			abort();                                                                             \
	} while (0)

static void check_vm(const struct conf_vm *vm)
{
	CHECK(vm->name[0] && strnlen(vm->name, sizeof(vm->name)) < sizeof(vm->name));
	CHECK(vm->kernel[0] && strnlen(vm->kernel, sizeof(vm->kernel)) < sizeof(vm->kernel));
	CHECK(strnlen(vm->initrd, sizeof(vm->initrd)) < sizeof(vm->initrd));
	CHECK(strnlen(vm->cmdline, sizeof(vm->cmdline)) < sizeof(vm->cmdline));
	CHECK(vm->nmodules <= CONF_MODULES_MAX);
	for (unsigned i = 0; i < vm->nmodules; i++) {
		CHECK(vm->module[i].path[0]);
		CHECK(strnlen(vm->module[i].path, CONF_PATH_MAX) < CONF_PATH_MAX);
		CHECK(strnlen(vm->module[i].args, sizeof(vm->module[i].args)) < sizeof(vm->module[i].args));
	}
	CHECK(vm->memory >= 2 * MiB && is_aligned(vm->memory, PAGE_SIZE));
	CHECK(vm->vcpus >= 1 && vm->vcpus <= CONF_VCPUS_MAX);
	CHECK(vm->load_address < vm->memory);
	CHECK(vm->entry_mode == 16 || vm->entry_mode == 32 || vm->entry_mode == 64);
	CHECK(vm->entry_mode != 16 || vm->load_address < MiB);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct conf conf;
	static struct conf_errors errors;

	if (conf_parse("f", (const char *)data, n, &conf, &errors)) {
		CHECK(errors.n);
		for (unsigned i = 0; i < errors.n && i < CONF_ERRORS_MAX; i++) {
			CHECK(strnlen(errors.text[i], sizeof(errors.text[i])) < sizeof(errors.text[i]));
			CHECK(!strncmp(errors.text[i], "f:", 2) && strstr(errors.text[i], ": "));
		}
		return 0;
	}
	CHECK(!errors.n && conf.nvms >= 1 && conf.nvms <= CONF_VMS_MAX);
	for (unsigned i = 0; i < conf.nvms; i++)
		check_vm(&conf.vm[i]);
	return 0;
}

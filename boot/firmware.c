/* SPDX-License-Identifier: MIT */
/* Small services of the firmware. */
#include "boot/clock.h"
#include "boot/firmware.h"

#include "boot/preflight.h"
#include "lib/bits.h"
#include "lib/string.h"

struct firmware firmware;

void firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	EFI_GUID guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;

	firmware.image = image;
	firmware.table = table;
	firmware.boot = table->BootServices;
	if (EFI_ERROR(firmware.boot->HandleProtocol(image, &guid, (void **)&firmware.loaded)))
		firmware.loaded = NULL;
	firmware.boot->SetWatchdogTimer(0, 0, 0, NULL);
}

void firmware_look(struct preflight_facts *f)
{
	EFI_GUID global = EFI_GLOBAL_VARIABLE;
	UINTN size = 1;
	UINT8 on = 0;

	f->firmware_major = firmware.table->Hdr.Revision >> 16;
	f->firmware_minor = firmware.table->Hdr.Revision & 0xffff;
	if (!EFI_ERROR(
		    firmware.table->RuntimeServices->GetVariable(L"SecureBoot", &global, NULL, &size, &on)))
		f->secure_boot = on == 1;
}

bool firmware_has_shell(void)
{
	EFI_GUID guid = { 0x752f3136, 0x4e16, 0x4fdc, { 0xa2, 0x2a, 0xe5, 0xf4, 0x68, 0x12, 0xf4, 0xca } };
	void *parameters; /* EFI_SHELL_PARAMETERS_PROTOCOL, which the shell puts on what it starts (Shell 2.2) */

	return !EFI_ERROR(firmware.boot->HandleProtocol(firmware.image, &guid, &parameters));
}

bool firmware_boots_option(void)
{
	EFI_GUID global = EFI_GLOBAL_VARIABLE;
	UINT16 option;
	UINTN size = sizeof(option);

	return firmware.table->RuntimeServices->GetVariable(L"BootCurrent", &global, NULL, &size, &option) !=
	       EFI_NOT_FOUND;
}

static EFI_GUID lethe_variables = { 0x5a1e7b4c, 0x93d2, 0x4f06,
	{ 0x8e, 0x51, 0x6c, 0x65, 0x74, 0x68, 0x65, 0x01 } };

/* Not EFI_VARIABLE_NON_VOLATILE: a reset forgets it, and the machine's flash is not written. */
void firmware_mark_refused(uint64_t page)
{
	firmware.table->RuntimeServices->SetVariable(
		L"LetheRefused", &lethe_variables, EFI_VARIABLE_BOOTSERVICE_ACCESS, sizeof(page), &page);
}

uint64_t firmware_marked_refused(void)
{
	uint64_t page = 0;
	UINTN size = sizeof(page);

	return EFI_ERROR(firmware.table->RuntimeServices->GetVariable(
		       L"LetheRefused", &lethe_variables, NULL, &size, &page))
		       ? 0
		       : page;
}

const char *firmware_words(EFI_STATUS status)
{
	switch (status) {
	case EFI_NOT_FOUND:
		return "not found";
	case EFI_NO_MEDIA:
		return "the medium is gone";
	case EFI_MEDIA_CHANGED:
		return "the medium was changed";
	case EFI_DEVICE_ERROR:
		return "the device failed";
	case EFI_VOLUME_CORRUPTED:
		return "the file system is damaged";
	case EFI_ACCESS_DENIED:
		return "access was denied";
	case EFI_OUT_OF_RESOURCES:
		return "it does not fit into memory";
	case EFI_END_OF_FILE:
		return "it is shorter than its directory entry says";
	case EFI_WRITE_PROTECTED:
		return "the medium is write-protected";
	case EFI_VOLUME_FULL:
		return "the volume is full";
	case EFI_INVALID_PARAMETER:
		return "that is no name of a file";
	case EFI_UNSUPPORTED:
		return "that is a folder";
	case EFI_NO_MAPPING:
		return "Lethe was not started from a disk that it can read";
	default:
		return "the firmware could not read it";
	}
}

hpa_t firmware_rsdp(void)
{
	EFI_GUID acpi20 = ACPI_20_TABLE_GUID, acpi10 = ACPI_TABLE_GUID;
	hpa_t found = hpa(0);

	for (UINTN i = 0; i < firmware.table->NumberOfTableEntries; i++) {
		EFI_CONFIGURATION_TABLE *t = &firmware.table->ConfigurationTable[i];

		if (!memcmp(&t->VendorGuid, &acpi20, sizeof(acpi20)))
			return hpa((uint64_t)t->VendorTable);
		if (!memcmp(&t->VendorGuid, &acpi10, sizeof(acpi10)))
			found = hpa((uint64_t)t->VendorTable);
	}
	return found;
}

uint64_t firmware_time(void)
{
	EFI_TIME t;
	struct calendar c;

	if (EFI_ERROR(firmware.table->RuntimeServices->GetTime(&t, NULL)))
		return 0;
	c = (struct calendar){ t.Year, t.Month, t.Day, t.Hour, t.Minute, t.Second, t.TimeZone };
	return calendar_to_unix(&c);
}

/* The rest of Lethe keeps its stacks aligned to 8 bytes, UEFI wants 16 (2.3.4.2). */
__attribute__((force_align_arg_pointer)) void firmware_reset(bool power_off)
{
	firmware.table->RuntimeServices->ResetSystem(
		power_off ? EfiResetShutdown : EfiResetCold, EFI_SUCCESS, 0, NULL);
}

void *firmware_pages_raw(uint64_t n)
{
	EFI_PHYSICAL_ADDRESS at = 0;

	if (n > UINT64_MAX - PAGE_MASK || EFI_ERROR(firmware.boot->AllocatePages(AllocateAnyPages,
						  EfiLoaderData, align_up(n, PAGE_SIZE) / PAGE_SIZE, &at)))
		return NULL;
	return (void *)at;
}

void *firmware_pages(uint64_t n)
{
	void *at = firmware_pages_raw(n);

	return at ? memset(at, 0, n) : NULL;
}

void firmware_free_pages(const void *at, uint64_t n)
{
	firmware.boot->FreePages((EFI_PHYSICAL_ADDRESS)at, align_up(n, PAGE_SIZE) / PAGE_SIZE);
}

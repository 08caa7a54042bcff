/* SPDX-License-Identifier: MIT */
/* The devices of a VM: the table of kinds, and their life in its order. One line a device. */
#pragma once

#include "guest/dev/device.h"

/* In the order in which they are made and reset: the controllers first, which take the others' interrupts. */
#define DEVICE_KINDS(KIND)                                                                                   \
	KIND(vioapic)                                                                                        \
	KIND(vpic)                                                                                           \
	KIND(vpit)                                                                                           \
	KIND(vrtc)                                                                                           \
	KIND(vuart)                                                                                          \
	KIND(vkbc)                                                                                           \
	KIND(vvga)                                                                                           \
	KIND(vacpi)                                                                                          \
	KIND(vpci)                                                                                           \
	KIND(vlegacy)                                                                                        \
	KIND(vdebugexit)                                                                                     \
	KIND(vmailbox)                                                                                       \
	KIND(vrom)

#define DEVICE_DECLARE(name) extern const struct device_kind name##_kind;
DEVICE_KINDS(DEVICE_DECLARE)
#undef DEVICE_DECLARE

#define DEVICE_INDEX(name) DEVICE_##name,
enum device_index { DEVICE_KINDS(DEVICE_INDEX) DEVICES };
#undef DEVICE_INDEX

/* NULL: this VM has none of that kind. */
struct devices {
	struct device *of[DEVICES];
};

/* The state of a device by the name of its kind, which is also that of its struct: device_of(&p->devices, vuart). */
#define device_of(devices, name) ((struct name *)(devices)->of[DEVICE_##name])

/* Bytes that the states of all kinds take together. */
size_t devices_size(void);
/* Makes the devices that the board's settings ask for, in `memory` (devices_size() zeroed bytes, aligned to 64). 0, or what an
 * init says: then none is left. */
int devices_init(struct devices *set, const struct board *board, void *memory);
/* 0, or what an attach says: then all are detached. */
int devices_attach(struct devices *set);
void devices_detach(struct devices *set);
void devices_reset(struct devices *set);
/* Destroys them, at most so many pieces of memory at a time. True: all are gone. */
bool devices_free_some(struct devices *set, unsigned most);

/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/cpu_id.h"

/* Sets what this_cpu_id() returns on the calling thread. */
extern _Thread_local unsigned test_cpu_id;

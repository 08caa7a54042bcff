/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/cpu_id.h"

/* What this_cpu_id() says on the calling thread. */
extern _Thread_local unsigned test_cpu_id;

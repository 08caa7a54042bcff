/* SPDX-License-Identifier: MIT */
/* Back ends of the tests (mm/mmu/backend.h), in which a VM has tables made from tables of the guest's. */
#pragma once

#include "mm/mmu/backend.h"

/* EPT, and indirect pages that a test makes by hand. */
extern const struct backend backend_mixed;
/* For the vCPUs of the nested guest only (tests/support/nested/nested.h): all of their tables are made from the guest's. */
extern const struct backend backend_nested;

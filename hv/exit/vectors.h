/* SPDX-License-Identifier: MIT */
#pragma once

#include "hv/vm/vcpu.h"

/* The exit was a VMCALL. If it is the trap of a real-mode vector (guest/dev/vectors.h), carries it out and returns true. */
bool exit_vectors(struct vcpu *v);

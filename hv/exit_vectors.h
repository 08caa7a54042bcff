/* SPDX-License-Identifier: MIT */
#pragma once

#include "hv/vcpu.h"

/* The exit was a VMCALL. If it is the trap of a real-mode vector (guest/vectors.h), carries it out and returns true. */
bool exit_vectors(struct vcpu *v);

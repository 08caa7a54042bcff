# SPDX-License-Identifier: MIT
"""Which machine a run uses, and why."""

import os
import subprocess
import sys

from .bochs import Bochs, bochs_command
from .errors import RunnerError
from .qemu import Qemu

TOOLS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
TOP = os.path.dirname(TOOLS)


def setup_directory():
    """Where tools/setup keeps what it made for this clone: Bochs, demo/, guests/."""
    return os.path.join(TOP, "build", "setup")


def nested_vmx():
    """(whether QEMU/KVM can run Lethe here, the reason in words); tools/setup is the one that knows."""
    answer = subprocess.run(
        [os.path.join(TOOLS, "setup"), "vmx"], stdout=subprocess.PIPE, universal_newlines=True, check=False
    )
    return answer.returncode == 0, answer.stdout.strip()


def machine(scope, options):
    """The machine that the options ask for, not yet started."""
    name = options.backend
    if name in ("auto", "kvm"):
        usable, reason = nested_vmx()
        if name == "kvm" and not usable:
            raise RunnerError("--backend kvm: " + reason)
        if name == "auto":
            name = "kvm" if usable else "bochs"
            if options.verbose or not options.steps:
                sys.stderr.write("run: machine: %s (%s)\n" % ("QEMU/KVM" if usable else "Bochs", reason))
    if name == "bochs":
        return Bochs(scope, bochs_command(setup_directory()), options)
    return Qemu(scope, name, options)

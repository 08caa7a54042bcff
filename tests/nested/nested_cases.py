# SPDX-License-Identifier: MIT
"""What is run nested in QEMU/KVM, and what must be seen. The driver is `run`, beside this file.

Each case is one QEMU. Cases of one machine around them (`outer`) run behind one start of its Linux, which costs as much
as two of them. `sample` marks those of `make test`.
"""

import os
import re
import sys
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Tuple

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "boot"))

from cases import BAD, DONE, GOOD, MACHINE_OFF, PANIC, demo, guests, initrd, kernel, vm  # noqa: E402 (the path comes first)

SHOWN = "lethe-report.txt"  # the last line of a refusal's page before it waits for a key
HOST_CPU = "the host's CPU (QEMU: -cpu host)"
READY = r"^lethe-demo: ready, tsc \d+"


@dataclass(frozen=True)
class Outer:
    """A machine around Lethe's: how its Linux is started."""

    cmdline: str = ""
    cpus: int = 1
    says: str = ""  # what start prints when the settings are in force
    machine: Tuple[str, ...] = ()  # further lines of bochsrc


KVM = Outer()
# The rest of KVM's acceleration off, which QEMU's flags do not reach: each VMREAD and VMWRITE of Lethe is an exit then.
BARE = Outer(cmdline='kvm_intel="enable_shadow_vmcs=0 enable_apicv=0"', says="enable_apicv=N enable_shadow_vmcs=N")
# Two CPUs, with MWAIT, whose controls KVM needs and without which tools/run starts several CPUs.
TWO_CPUS = Outer(cmdline="idle=halt", cpus=2, says=" 2 CPU, ", machine=('cpu: exclude_features="rdseed"',))
# Guests of KVM on shadow page tables, to compare with.
SHADOW = Outer(cmdline='kvm_intel="ept=0"', says=" ept=N ")
# Twice as slow; a nested exit, which takes 0.3 ms else, is short beside a millisecond then.
FAST_CLOCK = Outer(machine=("cpu: ips=500000000",))


@dataclass
class Case:
    """One QEMU."""

    name: str
    payload: Dict  # conf: a lethe.conf; files: name on the disk -> makes its bytes
    seen: List[str]  # regular expressions, ^ and $ by line
    words: List[str] = field(default_factory=list)  # texts that may be broken between lines
    never: List[str] = field(default_factory=lambda: [PANIC, "FAILED"])
    cpu: str = "host"
    cpus: int = 1
    machine: str = "q35"
    until: str = ""  # QEMU is ended at a line with this text; "": it ends by itself
    outer: Outer = KVM
    sample: bool = False
    command: Callable = None  # makes QEMU's command line in another way
    seconds: int = 300  # of the machine's own time


# ---- what goes on the disk ---------------------------------------------------------------------------

SERIAL = "[hypervisor]\nconsole = serial\n"


def serial(payload):
    """The same with the console on the serial port alone."""
    return dict(payload, conf=SERIAL + payload["conf"])


HELLO = serial(guests(["hello"]))
DEMOS = serial(guests([*GOOD, *BAD]))
# Their last words may be torn by another guest's; Lethe's own lines are whole. The demo guest fault ends by a triple fault.
DEMOS_SEEN = [r"^lethe: vm %s exited: %s 0" % (name, "triple-fault" if name == "fault" else "power-off") for name in GOOD]
DEMOS_SEEN += [*BAD.values(), MACHINE_OFF]
CMDLINE = "console=ttyS0,115200 quiet cryptomgr.notests=1 mitigations=off after=poweroff"


def linux(**keys):
    """Debian's kernel to its shell and power-off."""
    return {
        "conf": SERIAL + vm("demo", kernel="vmlinuz", initrd="initrd.img", cmdline=CMDLINE, memory="256M", **keys),
        "files": {"vmlinuz": kernel, "initrd.img": initrd},
    }


# q35 with OVMF: the disk's AHCI controller, at least.
DMA_OFF = r"^lethe: DMA: bus mastering switched off on [1-9]\d* functions that firmware left running; [1-9]\d* bridges keep it$"
LINUX_SEEN = [READY, r"^lethe: vm demo exited: power-off 0", MACHINE_OFF]
BENCH = {"conf": SERIAL + vm("bench", kernel="bench.bin", memory="65M"), "files": {"bench.bin": demo("bench.bin")}}
WAKEUP = {
    "conf": SERIAL
    + vm("wakeup", kernel="wakeup.bin", memory="16M")
    + vm("compute", kernel="wakeup.bin", memory="16M", cmdline="compute"),
    "files": {"wakeup.bin": demo("wakeup.bin")},
}


def readme_command(names):
    """The words of the README's line for QEMU by hand, as they stand there."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        found = re.search(r"^\$ (qemu-system-x86_64 (?:.*\\\n)*.*)$", file.read(), re.MULTILINE)
    return found.group(1).replace("\\\n", " ").split()


def kvm_command(names):
    """KVM's own nested guest instead of Lethe: the same Linux once more, which measures a guest of its KVM."""
    return [
        *names.qemu("q35", "host", 1), "-kernel", names.kernel, "-initrd", names.initrd,
        "-append", "console=ttyS0,115200 quiet cryptomgr.notests=1 mitigations=off nokaslr bench=kvm",
    ]


def kvm_procs(names):
    """The demo Linux as a guest of KVM: ticks of programs in it (tools/initramfs/procs.c; tests/bench/boot_shadow)."""
    return [
        *names.qemu("q35", "host", 1), "-m", "512M", "-kernel", names.kernel, "-initrd", names.demo,
        "-append", CMDLINE + ' nokaslr initcall_blacklist=tracer_init_tracefs run="procs fork 200 mmap 200"',
    ]


def kvm_spaces(names):
    """The demo guest spaces as a guest of KVM."""
    return [*names.qemu("q35", "host", 1), "-m", "64M", "-kernel", names.spaces]


# ---- cases -------------------------------------------------------------------------------------------


def refused(name, cpu, words, **keys):
    """A CPU on which Lethe must not start, and what it must say."""
    return Case(
        name, HELLO, [r"^Lethe cannot start on this machine:"], words, never=[PANIC, r"^lethe: "], cpu=cpu, until=SHOWN, **keys
    )


def missing(control):
    """The line of the log that says which optional controls are in use, with this one among the others."""
    return r"^lethe: VMX: .*; not there: (?:.*, )?%s(?:,|$)" % control


def reduced(name, flags, control, seen=DEMOS_SEEN):
    """The host's CPU without an optional control."""
    return Case(name, DEMOS, [*seen, missing(control)], cpu="host," + flags)


CASES = [
    # The image of `make image`, started as the README says.
    Case("by-hand", {"demo": True}, [READY], until="lethe-demo: ready", command=readme_command, sample=True),
    Case("demos", DEMOS, [*DEMOS_SEEN, r"^lethe: VMX: .*EPT with ", DMA_OFF], cpus=2, sample=True),
    Case("demos-pc", DEMOS, DEMOS_SEEN, machine="pc"),
    Case("linux", linux(), LINUX_SEEN),
    Case("linux-2", linux(vcpus=2), LINUX_SEEN, cpus=2),
    Case("linux-pc", linux(vcpus=2), LINUX_SEEN, cpus=2, machine="pc"),
    Case("bench", BENCH, [r"^bench exit_cpuid_ticks \d+ ticks", r"^bench: done", MACHINE_OFF]),
    Case("kvm-bench", {}, [r"^bench kvm_exit_cpuid_ticks \d+ ticks"], command=kvm_command),
    *[Case("kvm-%s-%s" % (name, kind), {}, [seen], command=command, until=until, outer=around)
      for kind, around in (("ept", KVM), ("shadow", SHADOW))
      for name, command, seen, until in (("procs", kvm_procs, r"^procs: mmap 200 in \d+ ticks", ""),
                                         ("spaces", kvm_spaces, r"^spaces: done", "spaces: done"))],
    # What KVM may leave out: the guests run all the same.
    reduced("no-preemption-timer", "vmx-preemption-timer=off", "preemption timer"),
    reduced("no-apicv", "vmx-apicv-xapic=off,vmx-apicv-x2apic=off,vmx-apicv-register=off,vmx-apicv-vid=off", "APIC virtualization"),
    reduced("no-vpid", "vmx-vpid=off", "VPID"),
    reduced("no-ept-ad", "vmx-eptad=off", "EPT A/D"),
    # Without unrestricted guest, guests that start without paging run on page tables that Lethe keeps for them.
    reduced("no-unrestricted-guest", "vmx-unrestricted-guest=off", "unrestricted guest",
            [pattern for pattern in DEMOS_SEEN if "vm realmode" not in pattern]
            + [r"^lethe: error: vm realmode: its image starts in real mode, which this CPU's VMX cannot run"]),
    Case("bare-kvm", DEMOS, DEMOS_SEEN, cpus=2, outer=BARE),
    Case("two-cpus", DEMOS, DEMOS_SEEN, cpus=2, outer=TWO_CPUS),
    Case("wakeup", WAKEUP, [DONE % "wakeup", DONE % "compute", MACHINE_OFF], outer=FAST_CLOCK),
    refused("no-vmx", "host,-vmx", ["no VT-x (VMX): hidden by the hypervisor around this machine, KVM"], sample=True),
    refused("no-ept", "host,vmx-ept=off", ["no EPT (extended page tables", HOST_CPU]),
    refused("kvm64", "kvm64,+vmx", ["the CPU lacks this VMX control: use MSR bitmaps", HOST_CPU]),
]

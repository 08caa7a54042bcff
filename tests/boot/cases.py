# SPDX-License-Identifier: MIT
"""What is booted, and what must be seen. The driver is `run`, beside this file.

Each case starts a machine once. Its `dialogue` goes in order: a text is expected (a regular expression, `^` and `$`
by line), a pair ("send", text) is sent, ("type", text) typed on the machine's keyboard, ("quiet", seconds) waits until
the line has been silent for so long (tools/run --quiet). `seen` must stand somewhere in the output, in whatever order;
`never` nowhere. They see the text as a person would, without escape sequences; `exact` sees the bytes. Where several
guests run behind one start of the firmware, which takes longer than they do, `seen` tells them apart by their own words.
"""

import gzip
import hashlib
import re
import struct
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Tuple, Union

SKYLAKE = "corei7_skylake_x"
LINUX_CPUS = [SKYLAKE, "corei7_haswell_4770", "corei7_icelake_u", "corei5_lynnfield_750"]
# One of each kind of VMX that Bochs has with EPT, the oldest first.
EVERY_CPU = ["corei5_lynnfield_750", "corei5_arrandale_m520", "corei7_sandy_bridge_2600k", "corei7_ivy_bridge_3770k",
             "corei7_haswell_4770", "broadwell_ult", SKYLAKE, "corei3_cnl", "corei7_icelake_u", "tigerlake",
             "sapphire_rapids", "arrow_lake", "wildcat_lake"]
# VMX without EPT, VPID, preemption timer, and fields of the VMCS for EFER and PAT.
PENRYN = "core2_penryn_t9600"
# Those with unrestricted guest: a vCPU can begin in real mode, by SIPI or by its image.
UNRESTRICTED_CPUS = EVERY_CPU[1:]

MACHINE_OFF = r"^lethe: machine off"
PANIC = r"^lethe: PANIC"

Step = Union[str, Tuple[str, str]]


@dataclass
class Case:
    """One start of a machine."""

    name: str
    dialogue: List[Step]
    seen: List[str] = field(default_factory=list)
    never: List[str] = field(default_factory=lambda: [PANIC, "FAILED"])
    # The serial line's bytes behind Lethe's line `started in`: a line belongs to the first of these names that it begins
    # with (b"" is the last), and all lines of a name together must match its expression from the first byte to the last.
    exact: Dict[bytes, bytes] = field(default_factory=dict)
    cpus: List[str] = field(default_factory=lambda: [SKYLAKE])  # models of CPU in make test
    all_cpus: List[str] = field(default_factory=list)  # further ones in make test-all
    where: str = "test"  # "test": in make test and make test-all; "all": in the latter only
    cost: float = 6  # CPU seconds of one start on an idle machine; the firmware takes 4
    args: List[str] = field(default_factory=list)  # further arguments of tools/run
    conf: str = ""  # a lethe.conf; without one, tools/run writes one for the demo guest
    files: Dict[str, Callable] = field(default_factory=dict)  # name on the disk -> makes its bytes
    # Lines, without the VM's name, of which two VMs print the same ones: each must come as often from one as from the other.
    twins: str = ""
    native: str = ""  # a demo guest that the firmware starts on the bare machine, without Lethe
    needs: List[str] = field(default_factory=list)  # of `tools/setup guests`; skipped where one could not be had
    backend: str = ""  # "": wherever there is VMX; "tcg", "bochs": there only
    timeout: float = 240
    debug: bool = False  # the build with more assertions (make DEBUG=1)
    # Ticks of Bochs that no stretch in root mode may be longer than (200 us are 10,000; the log says the longest); None: no bound.
    stretch: Optional[int] = 10000


# Bochs with several CPUs has the VMX-preemption timer count a REP MOVS or STOS as one tick, and the TSC as one for each element. So
# a guest's long string instruction looks like time in root mode, and Linux has some of a million elements as it starts. Where all
# other CPUs halt, each instruction of the one that runs takes four ticks: what is measured there looks four times as long. (storm-print
# with a screen and a second CPU: 10,804 ticks and a share of 0.422 if that one halts, 4,248 and 0.504 if a VM spins on it.)
NO_STRETCH = None


# ---- files -------------------------------------------------------------------------------------------


def demo(name):
    """A demo guest of guest/demo."""
    return lambda made: made.read(made.out + "/demo/" + name)


def kernel(made):
    """Debian's kernel."""
    return made.read(made.demo + "/vmlinuz")


def initrd(made):
    """The demo guest's initramfs."""
    return made.read(made.demo + "/initrd.img")


def other(name):
    """A file of `tools/setup guests`: a guest that other people made."""
    return lambda made: made.read(made.guests + "/" + name)


def i386_initrd(made):
    """The demo guest's initramfs for an i386 kernel."""
    return made.initramfs(made.guests + "/busybox-i386")


def gunzip(of):
    """A file without its compression."""
    return lambda made: gzip.decompress(of(made))


def short_paragraph(of):
    """A bzImage whose last unit of 16 bytes is short: syssize counts it all the same."""

    def make(made):
        image = of(made)
        setup = ((image[0x1F1] or 4) + 1) * 512
        return image[: setup + 16 * struct.unpack_from("<I", image, 0x1F4)[0] - 8]

    return make


def first(count, of):
    """The first bytes of a file, which is then truncated."""
    return lambda made: of(made)[:count]


def zeros(size):
    """A file that means nothing."""
    return lambda made: bytes(size)


def vm(name, **keys):
    """A section of lethe.conf."""
    lines = ["[vm %s]" % name]
    lines += ["%s = %s" % (key.replace("_", "-"), value) for key, value in keys.items()]
    return "\n".join(lines) + "\n"


# ---- cases -------------------------------------------------------------------------------------------

TO_SHELL = [
    r"^lethe-demo: ready, tsc \d+",
    r"demo:~# ",
    ("send", "uname -r; id -u; cat /proc/meminfo | head -n 1\\r"),
    r"-cloud-amd64\n0\nMemTotal: +\d+ kB",
    ("send", "grep -cw hypervisor /proc/cpuinfo; dmesg | grep -ciE 'oops|BUG:|unchecked MSR'\\r"),
    r"^1\n0$",
    # MTRRs as firmware leaves them: then Linux uses the PAT, with write-combining.
    ("send", "grep -c 'base=0x0c0000000.*uncachable' /proc/mtrr; dmesg | grep -c 'PAT: Configuration.*: WB  WC'\\r"),
    r"^1\n1$",
]



def rom_pattern(size):
    """The MD5 of the test device's ROM without its first KiB (guest/dev/vrom.h)."""
    words = (n * 0x9E3779B1 & 0xFFFFFFFF for n in range(256, size // 4))
    return hashlib.md5(b"".join(struct.pack("<I", word) for word in words)).hexdigest()


def debt(milliseconds, **keys):
    """The demo that makes debt and spins for so long."""
    return vm("debt", kernel="debt.bin", memory="64M", devices="rom", bar_size="4G", rom_size="1M", large_pages="off",
              removal="bulk", cmdline=milliseconds, **keys)


LINUX = [
    Case(
        "linux-shell",
        TO_SHELL + [("send", "poweroff\\r"), r"^lethe: vm demo exited: ", MACHINE_OFF],
        cpus=LINUX_CPUS,
        all_cpus=EVERY_CPU,
        args=["--cmdline", "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        cost=11,
    ),
    Case(
        "linux-typing",  # the keyboard of the machine reaches the shell on the UART, and the screen shows it
        [
            r"demo:~# ",
            ("type", "echo a$((6*7))b\\r"),
            r"^a42b$",
            ("type", "poweroff\\r"),
            r"^lethe: vm demo exited: ",
            MACHINE_OFF,
        ],
        args=["--screen", "--cmdline", "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        backend="bochs",
        cost=11,
    ),
    Case(
        "linux-suspend",  # suspend to idle sleeps until a byte comes over the UART, and then ends once and well
        [
            r"demo:~# ",
            ("send", "a=$(cut -d. -f1 /proc/uptime)\\r"),
            r"demo:~# ",
            ("send", "echo freeze >/sys/power/state\\r"),
            ("quiet", "1"),
            ("send", "\\r"),
            r"demo:~# ",
            ("send", "b=$(cut -d. -f1 /proc/uptime); echo slept $((b > a)) $(cat /sys/power/suspend_stats/success)\\r"),
            r"^slept 1 1$",
            ("send", "dmesg | grep -ciE 'oops|BUG:|WARNING|unstable'; poweroff\\r"),
            r"^0$",
            r"^lethe: vm demo exited: power-off",
            MACHINE_OFF,
        ],
        args=["--cmdline", "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        cost=13,
    ),
    Case(
        "linux-rom",  # a ROM that comes and goes while the guest works: it is right each time, and nothing else breaks
        [
            r"demo:~# ",
            ("send", "romread 3; tail -c +1025 $(romread -p) | md5sum\\r"),
            r"^romread: 3 reads of 65536 bytes in \d+ ticks\n%s  -$" % rom_pattern(65536),
            ("send", "load 100000000 $(romread -p) 20\\r"),
            r"^load: [1-9]\d* units in \d+ ticks, longest pause \d+ ticks, [1-9]\d* ROM reads$",
            ("send", "tail -c +1025 $(romread -p) | md5sum; dmesg | grep -ciE 'oops|BUG:'; poweroff\\r"),
            r"^%s  -\n0$" % rom_pattern(65536),
            r"^lethe: vm demo exited: power-off",
            MACHINE_OFF,
        ],
        args=["--set", "devices=rom", "--set", "removal=bulk", "--cmdline",
              "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        cost=15,
    ),
    Case(
        "linux-rom-2",  # the same on two CPUs: every bump fetches the other vCPU out of the guest
        [
            r"demo:~# ",
            ("send", "grep -c ^processor /proc/cpuinfo; load 50000000 $(romread -p) 20 & load 50000000; wait\\r"),
            r"^2$",
            r"^load: .* ROM reads$",
            r"^load: .* ROM reads$",
            r"demo:~# ",
            ("send", "tail -c +1025 $(romread -p) | md5sum\\r"),
            r"^%s  -$" % rom_pattern(65536),
            r"demo:~# ",
            ("send", "dmesg | grep -ciE 'oops|BUG:|WARNING|stall|lockup|unstable|segfault'; poweroff\\r"),
            r"^0$",
            r"^lethe: vm demo exited: power-off",
            MACHINE_OFF,
        ],
        seen=[
            r"^load: [1-9]\d* units in \d+ ticks, longest pause \d+ ticks, [1-9]\d* ROM reads$",
            r"^load: [1-9]\d* units in \d+ ticks, longest pause \d+ ticks, 0 ROM reads$",
        ],
        stretch=NO_STRETCH,
        args=["--cpus", "2", "--vcpus", "2", "--set", "devices=rom", "--set", "removal=bulk", "--cmdline",
              "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        cost=17,
    ),
    Case(
        "linux-shared-cpus",  # twice as many vCPUs as CPUs: they wake and wait for one another, and none is forgotten
        [
            r"demo:~# ",
            ("send", "grep -c ^processor /proc/cpuinfo; load 50000000 & load 50000000; wait\\r"),
            r"^4$",
            r"^load: [1-9]\d* units in ",
            r"^load: [1-9]\d* units in ",
            r"demo:~# ",
            ("send", "dmesg | grep -ciE 'oops|BUG:|WARNING|stall|lockup|unstable|segfault'; poweroff\\r"),
            r"^0$",
            r"^lethe: vm demo exited: power-off",
            MACHINE_OFF,
        ],
        cpus=[SKYLAKE, "corei7_sandy_bridge_2600k"],
        all_cpus=UNRESTRICTED_CPUS,
        stretch=NO_STRETCH,
        args=["--cpus", "2", "--vcpus", "4", "--cmdline",
              "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        cost=18,
        timeout=600,
    ),
    *[
        Case(
            # Without unrestricted guest no vCPU begins in real mode: Linux starts the others by the wakeup mailbox, and work is
            # done on each.
            "linux-mailbox-%d" % vcpus,
            [
                r"^lethe: VMX: .*not there: .*unrestricted guest",
                r"^lethe: vm demo: \d+ MiB, %d vCPUs$" % vcpus,
                r"demo:~# ",
                ("send", "nproc; for i in $(seq 0 %d); do taskset $((1 << i)) sh -c"
                 " 'load 20000000 >/tmp/load && echo on $(awk \"{ print \\$39 }\" /proc/self/stat)'; done\\r" % (vcpus - 1)),
                r"^%d\n" % vcpus + "".join(r"on %d\n" % i for i in range(vcpus)),
                ("send", "for i in $(seq %d); do load 50000000 & done; wait\\r" % vcpus),
                *[r"^load: [1-9]\d* units in "] * vcpus,
                r"demo:~# ",
                ("send", "dmesg | grep -ciE 'oops|BUG:|WARNING|stall|lockup|unstable|segfault'; poweroff\\r"),
                r"^0$",
                r"^lethe: vm demo exited: power-off",
                MACHINE_OFF,
            ],
            never=[PANIC, "FAILED", r"vcpus = \d, but it gets"],
            cpus=["corei5_lynnfield_750"],
            all_cpus=[PENRYN],
            stretch=NO_STRETCH,
            args=["--cpus", str(cpus), "--vcpus", str(vcpus), "--cmdline",
                  "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
            cost=18,
            timeout=600,
        )
        for vcpus, cpus in [(2, 2), (4, 2)]
    ],
    Case(
        "guest-slots",  # 10,000 tables forgotten at once, and again; the bench has the figures
        [r"^slots: delete_call_10000 \d+$", r"^slots: reclaim_pages [1-9]\d*$", r"^slots: done", MACHINE_OFF],
        conf=vm("slots", kernel="slots.bin", memory="128M", devices="rom", bar_size="32G", large_pages="off",
                removal="bulk"),
        files={"slots.bin": demo("slots.bin")},
        cost=28,
    ),
    Case(
        "guest-dirty-log",  # 10,240 pages written, logged by the CPU, and read by the guest in pieces: each a bounded exit
        [r"^slots: dirty_pages 10240$", r"^slots: done", MACHINE_OFF],
        conf=vm("slots", kernel="slots.bin", memory="128M", devices="rom", bar_size="64M", large_pages="off"),
        files={"slots.bin": demo("slots.bin")},
    ),
    Case(
        "guest-debt",  # a guest that does not exit gives 1,600 forgotten tables back, 12 a millisecond
        [r"^debt: done", MACHINE_OFF],
        cpus=[SKYLAKE, "corei5_lynnfield_750"],  # the latter's preemption timer is not used: erratum
        conf=debt(170),
        files={"debt.bin": demo("debt.bin")},
    ),
    Case(
        "guest-debt-idle-cpu",  # ... and a CPU that idles does it in less
        [r"^debt: done", MACHINE_OFF],
        args=["--cpus", "2"],
        conf=debt(30, cpus=0),
        files={"debt.bin": demo("debt.bin")},
    ),
    Case(
        "native-linux",  # the same without Lethe: if this fails, it is the test bed
        [r"^native: start tsc \d+", r"^lethe-demo: ready, tsc \d+", r"demo:~# "],
        args=["--native", "--cmdline", "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        backend="bochs",
        cost=10,
    ),
]

DONE = r"^(?:\[\w+\] )?%s: done"  # where several guests run, each line begins with the name of its own

GOOD = {
    "hello": DONE % "hello",
    "exits": DONE % "exits",
    "interrupt": DONE % "interrupt",
    "longmode": DONE % "longmode",
    "avx": DONE % "avx",
    "realmode": DONE % "realmode",
    "fault": r"fault: now a triple fault$",
}
BAD = {
    "triple": r"^lethe: vm triple exited: triple-fault",
    "exec_mmio": r"^lethe: vm exec_mmio exited: unsupported",
    "unknown_insn": r"^lethe: vm unknown_insn exited: unsupported",
}
FLAT = {"realmode": {"format": "flat", "entry_mode": 16, "load_address": "0x7c00"}}


def guests(names):
    """lethe.conf with these demo guests, and their files."""
    conf = "".join(vm(name, kernel=name + ".bin", memory="16M", **FLAT.get(name, {})) for name in names)
    return {"conf": conf, "files": {name + ".bin": demo(name + ".bin") for name in names}}


GUESTS = [
    Case("guest-hello", [GOOD["hello"], r"^lethe: vm hello exited: power-off", MACHINE_OFF], **guests(["hello"])),
    Case(
        # Each refresh of its text screen is a piece of work that is bounded.
        "guest-vga",
        [r"vga: done$", r"^lethe: vm vga exited: power-off", MACHINE_OFF],
        **guests(["vga"]),
    ),
    # One start of the firmware for all others: they share a CPU, some die, and none may disturb another.
    Case(
        "guests-together",
        [MACHINE_OFF],
        seen=list(GOOD.values())
        + list(BAD.values())
        + [r"^lethe: vm %s exited: power-off" % name for name in GOOD if name != "fault"]
        + [r"^lethe: vm fault exited: triple-fault"],
        all_cpus=UNRESTRICTED_CPUS,
        **guests([*GOOD, *BAD]),
    ),
    # The same with an assertion at each access to a VMCS that it is the current one, while vCPUs take turns.
    Case(
        "guests-together-debug",
        [MACHINE_OFF],
        seen=list(GOOD.values())
        + list(BAD.values())
        + [r"^lethe: vm hello: rehearsed with each of \d{2,} allocations failing: refused in words \d{2,} times, everything came back"],
        debug=True,
        cost=60,  # the build
        **guests([*GOOD, *BAD]),
    ),
]

# Lines of a trace are whole, and so are the guest's between them; each guest comes to its end.
TRACED = r"^lethe: trace \d+ "



def traced(name, subjects):
    """lethe.conf with one demo guest and a live trace, and its file."""
    made = guests([name])
    return {**made, "conf": "[hypervisor]\ntrace = %s\n" % subjects + made["conf"]}


TRACES = [
    Case(
        # Exits of a guest that has interrupts; what the console does is none of them. A line takes the serial line 8 ms: with a line
        # for each of the exits that an interrupt causes, the guest's timer of 10 ms would leave it no time.
        "trace-exits",
        [TRACED + r"exits vm 0 vcpu 0: I/O instruction at 0x10[0-9a-f]+, qualification 0x3f80000$",
         r"^interrupt: done", r"^lethe: vm interrupt exited: power-off", MACHINE_OFF],
        cost=7,
        **traced("interrupt", "exits:io+hlt+interrupt"),
        never=[PANIC, "FAILED", r"(?<!^)lethe: trace", "external interrupt.*\n.*external interrupt.*\n.*external interrupt"],
    ),
    Case(
        "trace-filter",  # two lines of two reasons, and no more
        [TRACED + r"exits vm 0 vcpu 0: CPUID at ", r"^lethe: trace: no more of exits is shown after 2 lines",
         r"^exits: done", MACHINE_OFF],
        **traced("exits", "exits:cpuid+rdmsr:2"),
        never=[PANIC, "FAILED", r"(?<!^)lethe: trace", r"trace \d+ exits.*(?<!: CPUID)(?<!: RDMSR) at "],
    ),
    Case(
        "trace-others",  # all the other subjects at once, on a CPU whose interrupts Lethe injects
        [r"^interrupt: done", MACHINE_OFF],
        seen=[
            TRACED + r"boot: own page tables at 0x",
            TRACED + r"boot: vm 0 vcpu 0: first entry, on CPU 0$",
            TRACED + r"mmu vm 0 vcpu 0: INVEPT of EPTP 0x",
            TRACED + r"irq vm 0 vcpu 0: inject 0x800000",
            TRACED + r"io vm 0 vcpu 0: out 0x20 size 1 = 0x11$",
        ],
        cost=10,
        **traced("interrupt", "mmu, irq, io, boot"),
        never=[PANIC, "FAILED", r"(?<!^)lethe: trace"],
        cpus=["corei5_lynnfield_750"],
    ),
]

# An operating system whose timer is faster than the serial line: the number of lines lets it go on.
TRACES += [
    Case(
        "linux-trace",
        [r"^lethe: trace: no more of exits is shown after 1000 lines", r"demo:~# ", ("send", "poweroff\\r"),
         r"^lethe: vm demo exited: power-off", MACHINE_OFF],
        never=[PANIC, r"(?<!^)lethe: trace"],
        args=["--hv", "trace=exits, mmu, irq:200, io:200, boot", "--cmdline",
              "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        cost=16,
    ),
]

GUESTS += [
    Case(
        "guests-wakeup",  # a vCPU that wakes need not wait for the end of another's turn on the same CPU
        [MACHINE_OFF],
        seen=[DONE % "wakeup", DONE % "compute"],
        cpus=[SKYLAKE, "corei5_lynnfield_750"],  # the latter's preemption timer is not used: erratum
        conf=vm("wakeup", kernel="wakeup.bin", memory="16M")
        + vm("compute", kernel="wakeup.bin", memory="16M", cmdline="compute"),
        files={"wakeup.bin": demo("wakeup.bin")},
    ),
]

# Kinds of storm.bin, and the CPUs that each needs.
STORMS = {
    "cpuid": 1,
    "hypercall": 1,
    "msr": 1,
    "port": 1,
    "string": 1,
    "device": 1,
    "copy": 1,
    "print": 1,
    "newlines": 1,
    "bytes": 1,
    "uart": 1,
    "alarm": 1,
    "timer": 1,
    "oneshot": 1,
    "sipi": 2,
    "init": 2,
    "ipi": 2,
    "deaf": 2,
    "high": 2,
    "nmi": 2,
    "text": 1,
}
# Their second vCPU never runs: all of its CPU is the neighbour's, of others half.
STORMS_ELSEWHERE = ["deaf", "high", "nmi"]


def storm(kind, args=()):
    """Arguments of a case: one VM floods, another on the same CPU measures. Where the first has a second CPU, it floods that
    one from elsewhere."""
    cpus = STORMS[kind]
    more = {"vcpus": 2, "cpus": "0, 1"} if cpus == 2 else {}
    return {
        "args": ["--cpus", str(cpus), *args],
        # Two CPUs in Bochs are threads of one core, which is to be shared here.
        "conf": "[hypervisor]\nsmt = on\nlog = debug\n" + vm("neighbour", kernel="neighbour.bin", memory="16M", cpus=cpus - 1)
        + vm("storm", kernel="storm.bin", memory="16M", cmdline=kind, **more),
        "files": {name: demo(name) for name in ("neighbour.bin", "storm.bin")},
    }


# With a screen, too, where what is printed is drawn.
STORMS_SHOWN = ["print", "newlines", "bytes", "text"]

GUESTS += [
    Case(
        "storm-%s%s" % (kind, "-screen" * screen),  # a neighbour's wake-ups come within a millisecond, and it has its share of the CPU
        [r"^neighbour: (done|FAILED)", r"^lethe: root stretch: .*\)$"],
        seen=[r"storm: begins"]
        + [r"^share (9[5-9]\d|1000)$"] * (kind in STORMS_ELSEWHERE)
        + [r"^share (4[89]\d|[5-9]\d\d)$"] * (kind == "oneshot")  # 469 if the neighbour pays for its turns' beginnings and ends
        + [r"^lethe: console: screen "] * screen,
        never=[PANIC, "FAILED", r"^lethe: vm storm exited"],
        timeout=120,
        **storm(kind, ["--screen"] * screen),
    )
    for kind, screen in [(kind, False) for kind in STORMS] + [(kind, True) for kind in STORMS_SHOWN]
]
GUESTS += [
    Case(
        "storm-own-timer",  # a guest that floods: its own timer is late by at most 100 us and one exit
        [DONE % "storm", r"^lethe: vm storm exited: power-off", MACHINE_OFF],
        cost=10,
        cpus=[SKYLAKE, "corei5_lynnfield_750"],  # the latter's preemption timer is not used: erratum
        **guests(["storm"]),
    ),
]

# What a storm's other vCPUs do, with as many as a VM may have on one CPU: no stretch is longer for that.
CROWDS = ["sleepers", "fast", "spin", "pause", "ipi", "high", "inside", "lowest", "init", "base"]


def crowd(kind, vms, vcpus):
    """Arguments of a case: so many VMs with so many vCPUs each flood the CPU of one that measures, but is not judged."""
    return {
        "conf": "[hypervisor]\nlog = debug\n"
        + vm("neighbour", kernel="neighbour.bin", memory="16M", cmdline="crowd")
        + "".join(vm("storm%d" % n, kernel="storm.bin", memory="16M", cmdline=kind, vcpus=vcpus) for n in range(vms)),
        "files": {name: demo(name) for name in ("neighbour.bin", "storm.bin")},
    }


GUESTS += [
    Case(
        "crowd-%s" % kind,
        [r"^neighbour: done", r"^lethe: root stretch: .*\)$"],
        seen=[r"storm: begins"],
        never=[PANIC, "FAILED", r"^lethe: vm storm\d+ exited"],
        timeout=120,
        cost=8,
        **crowd(kind, 1, 64),
    )
    for kind in CROWDS
]
GUESTS += [
    Case(
        "crowd-of-vms",  # ... of as many VMs as there may be
        [r"^neighbour: done", r"^lethe: root stretch: .*\)$"],
        never=[PANIC, "FAILED", r"^lethe: vm storm\d+ exited"],
        timeout=120,
        cost=8,
        **crowd("ipi", 15, 5),
    ),
    Case(
        "crowd-ends",  # all vCPUs of a VM end at once
        [r"^lethe: vm storm0 exited: triple-fault", r"^neighbour: done", MACHINE_OFF],
        timeout=120,
        **crowd("stop", 1, 64),
    ),
]

# The guest that crosses every mode of paging with every right, on CPUs that have more of them and on those that have less.
PAGING = r"paging: all [1-9]\d* checks passed$"
PAGING_CPUS = [SKYLAKE, "corei7_sandy_bridge_2600k", "corei5_lynnfield_750", "sapphire_rapids"]


def paging(*mmus):
    """Arguments of a case: a VM with the guest `paging` for each of these back ends. Of two, each line comes twice, and so
    do the hashes of memory."""
    return {
        "conf": "".join(vm(mmu + str(n), kernel="paging.bin", memory="16M", mmu=mmu) for n, mmu in enumerate(mmus)),
        "files": {"paging.bin": demo("paging.bin")},
        "twins": r"paging: .*" if len(mmus) == 2 else "",
    }


GUESTS += [
    Case(
        "guest-paging",  # under EPT the CPU does it all itself
        ["^" + PAGING, r"^lethe: vm ept0 exited: power-off", MACHINE_OFF],
        cpus=[SKYLAKE],
        all_cpus=PAGING_CPUS,
        **paging("ept"),
    ),
    Case(
        "guest-paging-twins",  # two runs end with the same memory
        [PAGING, PAGING, MACHINE_OFF],
        where="all",
        cost=8,
        **paging("ept", "ept"),
    ),
    Case(
        "native-paging",  # the same without Lethe: what the guest expects is what the CPU does
        ["^" + PAGING],
        native="paging.bin",
        backend="bochs",
        cpus=[SKYLAKE, "core2_penryn_t9600"],
        all_cpus=PAGING_CPUS + ["core2_penryn_t9600"],
    ),
]

AD_OFF = r"^lethe: vm \d+: page tables in read-only memory at 0xc[0-9a-f]{4}: EPT's A and D flags go off"

GUESTS += [
    Case(
        "guest-romwalk",  # page tables in read-only memory, where each walk counts as a write (EPT A/D)
        [AD_OFF, DONE % "romwalk", r"^lethe: vm romwalk exited: power-off", MACHINE_OFF],
        **guests(["romwalk"]),
    ),
    Case(
        "guest-romwalk-without-ad",
        [DONE % "romwalk", r"^lethe: vm romwalk exited: power-off", MACHINE_OFF],
        never=[PANIC, "FAILED", AD_OFF],
        cpus=["corei7_sandy_bridge_2600k", "corei5_lynnfield_750"],
        **guests(["romwalk"]),
    ),
]

GUESTS += [
    Case(
        "guest-vcpus-cut",  # a second vCPU would begin in real mode, for this is no 64-bit Linux: the VM has one, and is told of no other
        [
            r"^lethe: .*vm two: vcpus = 2, but it gets 1: others start in real mode",
            r"^lethe: vm two: 16 MiB, 1 vCPU$",
            DONE % "hello",
            r"^lethe: vm two exited: power-off",
            MACHINE_OFF,
        ],
        cpus=["corei5_lynnfield_750"],
        conf=vm("two", kernel="hello.bin", memory="16M", vcpus=2),
        files={"hello.bin": demo("hello.bin")},
    ),
]

# Where mailbox.bin has its last vCPU begin, by a word on its command line, and how its VM ends.
MAILBOX_ENDS = {
    "canonical": ("triple-fault", r"vcpu 3: triple fault: its wakeup vector, 0x8000000000000000, is not canonical$"),
    "unmapped": ("triple-fault", r"vcpu 3: triple fault$"),
    "hole": ("unsupported", r"vcpu 3: it executes at 0xd0000000, where there is no RAM$"),
}

GUESTS += [
    Case(
        "guests-mailbox",  # the wakeup mailbox obeys its specification and nothing else; a bad vector ends the VM that wrote it
        [MACHINE_OFF],
        seen=[r"^(?:\[mailbox\] )?mailbox: done", r"^lethe: vm mailbox exited: power-off", GOOD["hello"]]
        + [r"^lethe: vm %s exited: %s " % (word, end) for word, (end, _) in MAILBOX_ENDS.items()]
        + [r"^lethe: error: vm %s %s" % (word, said) for word, (_, said) in MAILBOX_ENDS.items()],
        cpus=["corei5_lynnfield_750"],
        all_cpus=[PENRYN],
        conf=vm("mailbox", kernel="mailbox.bin", memory="16M", vcpus=4)
        + "".join(vm(word, kernel="mailbox.bin", memory="16M", vcpus=4, cmdline=word) for word in MAILBOX_ENDS)
        + vm("hello", kernel="hello.bin", memory="16M"),
        files={name: demo(name) for name in ("mailbox.bin", "hello.bin")},
    ),
]


# What the VM in the background of escapes.asm sends, as it is shown.
BACKGROUND = [
    r"^\[back\] \^\[\[2J\^\[\[5;17H\^\[\[6n\^\[\[c\^\[\]0;title\^G\^E\\x9b6n\\xc2\\x9b6n$",
    r"^\[back\] \^\[\[1A\^M\^\[\[2Klethe: forged line$",
    r"^\[back\] a(\^H){8}lethe: forged by backspaces$",
    r"^\[back\]         \^\[\[31mred \u00e9$",
]

# All its bytes, and all others, each of which Lethe or the VM in front sends. A line of another VM ends a begun line of
# the one in front; digits are those of the cursor's place.
EXACT_BACKGROUND = (
    rb"(\[back\] \^\[\[2J\^\[\[5;17H\^\[\[6n\^\[\[c\^\[\]0;title\^G\^E\\x9b6n\\xc2\\x9b6n\r\n"
    rb"\[back\] \^\[\[1A\^M\^\[\[2Klethe: forged line\r\n"
    rb"\[back\] a(\^H){8}lethe: forged by backspaces\r\n"
    rb"\[back\] {9}\^\[\[31mred \xc3\xa9\r\n){6}"
    rb"\[back\] rounds over\r\n"
)
EXACT_FOREGROUND = (
    rb"front: ready\r\ngot 0000006b\r\n\x1b\[6n(\r\n)?got 0000001b\r\ngot 0000005b\r\n(got 000000(3[0-9b])\r\n)+got 00000052\r\n"
    rb"front: answered\r\ngot 00000071\r\nfront: done\r\n\x1b\[6n\n"
    rb"lethe: vm front exited: power-off 0\r\ngot 00000078\r\nok: received what was typed\r\nback: done\r\n"
    rb"lethe: vm back exited: power-off 0\r\nlethe: root stretch: at most \d+ ticks[^\r]*\r\nlethe: machine off\r\n"
)

GUESTS += [
    Case(
        # A VM in the background moves no cursor, forges no line, and gets none of the terminal's answers; the VM in
        # front gets its own.
        "guests-escapes",
        [
            r"^front: ready",
            ("type", "k"),
            r"^got 0000006b$",
            r"^got 0000001b$",
            r"^front: answered",
            r"^\[back\] rounds over",
            ("type", "q"),
            r"^got 00000071$",
            DONE % "front",
            r"^lethe: vm front exited: power-off",
            ("type", "x"),
            r"^got 00000078$",
            DONE % "back",
            MACHINE_OFF,
        ],
        seen=BACKGROUND,
        exact={b"[back] ": EXACT_BACKGROUND, b"": EXACT_FOREGROUND},
        never=[PANIC, "FAILED", r"^lethe: forged", r"^front: answered\n(?:.*\n)*?got 0000001b"],
        args=["--screen"],
        conf=vm("front", kernel="escapes.bin", memory="16M")
        + vm("back", kernel="escapes.bin", memory="16M", cmdline="back"),
        files={"escapes.bin": demo("escapes.bin")},
        backend="bochs",
        cost=10,
    ),
]


def code(hexadecimal):
    """A flat image of these bytes."""
    return lambda made: bytes.fromhex(hexadecimal)


# Real-mode code that comes to a vector that no code has set, by its first bytes, and how its VM ends.
REAL_ENDS = {
    "ud": ("90 0f0b", r"vector 06h \(#UD\) in real mode at 0000:7c01"),
    "de": ("31c0 f7f0", r"vector 00h \(#DE\) in real mode at 0000:7c02"),
    "gp": ("90 a1ffff", r"vector 0dh \(#GP\) in real mode at 0000:7c01"),  # a word that wraps at 64 KiB
    "boot": ("cd19", r"int 19h at 0000:7c02 gives the machine back to a BIOS"),
    "noboot": ("cd18", r"int 18h at 0000:7c02 gives the machine back to a BIOS"),
    "rom": ("ea 0000 00f9", r"vector 03h \(#BP\) in real mode at f900:0001"),  # a jump to where a BIOS would be
}

GUESTS += [
    Case(
        "guests-entry",  # what kernels ask of a PC that has booted them: GRUB's state, the MP table, real mode
        [MACHINE_OFF],
        seen=[
            DONE % "early",
            DONE % "mp",
            r"processors: 4$",
            DONE % "trampoline",
            r"^lethe: vm trampoline: BIOS call int 15h AX=E820: ",
        ],
        conf=vm("early", kernel="early.bin", memory="16M")
        + vm("mp", kernel="mp.bin", memory="16M", vcpus=4)
        + vm("trampoline", kernel="trampoline.bin", memory="16M"),
        files={name: demo(name) for name in ("early.bin", "mp.bin", "trampoline.bin")},
    ),
    Case(
        "guests-real-mode-ends",  # real mode without a BIOS ends in words, and says that a BIOS may be missing
        [MACHINE_OFF],
        seen=[words for _, words in REAL_ENDS.values()]
        + [r"^lethe: vm %s exited: unsupported" % name for name in REAL_ENDS]
        + [r"this image may want a BIOS", r"^lethe: vm ffff exited: reset"],
        conf="".join(
            vm(name, kernel=name + ".bin", memory="16M", **FLAT["realmode"]) for name in [*REAL_ENDS, "ffff"]
        ),
        files={**{name + ".bin": code(ends[0]) for name, ends in REAL_ENDS.items()},
               "ffff.bin": code("ea 0000 ffff")},
    ),
]

GUESTS += [
    Case(
        "guests-cpu",  # what a guest's debugger and its exception handlers see is what a CPU of its own would show
        [MACHINE_OFF],
        seen=[DONE % name for name in ["debug", "exceptions"]],
        cpus=[SKYLAKE, "corei5_lynnfield_750"],
        **guests(["debug", "exceptions"]),
    ),
]

# The CPU and its local APIC as the manual has them: on CPUs that virtualise the local APIC in full, in part, not at all.
OWN_CPU = ["apic", "msrs", "tsc"]
GUESTS += [
    Case(
        "guests-cpu-state",
        [MACHINE_OFF],
        seen=[DONE % name for name in OWN_CPU],
        cpus=[SKYLAKE, "corei7_sandy_bridge_2600k"],
        all_cpus=["corei7_haswell_4770", "corei5_lynnfield_750"],
        cost=6,
        **guests(OWN_CPU),
    ),
    Case(
        "guest-init",  # a second CPU after power-up, after INIT, and after INIT with an NMI waiting
        [DONE % "init", r"^lethe: vm init exited: power-off", MACHINE_OFF],
        args=["--cpus", "2"],
        cpus=[SKYLAKE],
        all_cpus=["corei7_haswell_4770", "corei7_sandy_bridge_2600k"],
        cost=6,
        conf=vm("init", kernel="init.bin", memory="16M", vcpus=2),
        files={"init.bin": demo("init.bin")},
    ),
    Case(
        "guest-ends-together",  # what vCPUs that fail at the same time put into the log is bounded: one dump
        [r"^lethe: error: vm together vcpu \d: triple fault", r"^lethe: vm together exited: triple-fault", MACHINE_OFF],
        never=[PANIC, r"(?s)vcpu \d: triple fault.*vcpu \d: triple fault"],
        args=["--cpus", "2"],
        conf=vm("together", kernel="together.bin", memory="16M", vcpus=2, **dict(FLAT["realmode"], load_address="0x8000")),
        files={"together.bin": demo("together.bin")},
    ),
]

# What hostile.bin can be asked for by a word on its command line, and how its VM ends then.
HOSTILE_ENDS = {
    "gate": "unsupported",
    "desc": "unsupported",
    "push": "unsupported",
    "walk": "unsupported",
    "real": "unsupported",
    "task": "unsupported",
    "init": "reset",
}

GUESTS += [
    Case(
        "guests-hostile",  # one that tries everything, some that end badly, and one that notices nothing of it
        [MACHINE_OFF],
        seen=[r"^(?:\[hostile\] )?hostile: survived", r"^lethe: vm hostile exited: power-off 0", GOOD["exits"]]
        + [r"^lethe: vm %s exited: %s " % end for end in HOSTILE_ENDS.items()],
        conf=vm("hostile", kernel="hostile.bin", memory="16M")
        + "".join(vm(word, kernel="hostile.bin", memory="16M", cmdline=word) for word in HOSTILE_ENDS)
        + vm("exits", kernel="exits.bin", memory="16M"),
        files={name: demo(name) for name in ("hostile.bin", "exits.bin")},
        cpus=[SKYLAKE, "corei5_lynnfield_750"],
        all_cpus=EVERY_CPU,
        cost=20,  # 36 on the oldest model
        timeout=600,
    ),
]

DMA = r"^lethe: DMA: 0000:00:%s: bus mastering "

GUESTS += [
    Case(
        # What firmware left running is switched off, but bridges and a display; a network card and USB controllers of all
        # kinds are planted. The guest runs, so the machine goes on without them.
        "dma-quiesced",
        [DONE % "hello", MACHINE_OFF],
        seen=[
            DMA % r"01\.1 8086:7010 storage: IDE" + "goes off$",
            DMA % r"01\.2 8086:7020 USB controller" + "goes off$",
            DMA % r"03\.0 8086:100e network: Ethernet" + "goes off$",
            DMA % r"04\.0 8086:24c2 USB controller" + "goes off$",
            DMA % r"04\.7 8086:24cd USB controller" + "goes off$",
            DMA % r"05\.0 1912:0015 USB controller" + "goes off$",
            DMA % r"00\.0 8086:1237 bridge: host" + "stays on: a bridge$",
            r"^lethe: DMA: bus mastering switched off on 8 functions that firmware left running; 3 bridges keep it$",
        ],
        never=[PANIC, "FAILED", r"DMA: .*(pending|cannot)", r"VT-d"],
        args=[arg for line in (
            "pci: enabled=1, chipset=i440fx, slot1=pcivga, slot2=e1000, slot3=usb_ehci, slot4=usb_xhci",
            "e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=null, ethdev=none",
            "usb_ehci: enabled=1",
            "usb_xhci: enabled=1",
        ) for arg in ("--machine-arg", line)],
        conf="[hypervisor]\nlog = debug\n" + vm("hello", kernel="hello.bin", memory="16M"),
        files={"hello.bin": demo("hello.bin")},
        backend="bochs",
    ),
]

FIRST_ENTRY = r"^lethe: trace \d+ boot: vm %d vcpu %d: first entry, on CPU %d$"
CORE_TAKEN = r"^lethe: error: lethe\.conf:%d: \[vm %s\]: CPU %d is in a core that vm %s has, .*: expected cpus of other cores"


def smt(name, settings, vms, **rest):
    """A case of two cores with two threads each."""
    conf = "[hypervisor]\ntrace = boot\n" + settings
    conf += "".join(vm(vm_name, kernel="hello.bin", memory="16M", **keys) for vm_name, keys in vms.items())
    return Case(name, [MACHINE_OFF], conf=conf, files={"hello.bin": demo("hello.bin")},
                args=["--cpus", "4", "--threads", "2"], cost=8, **rest)


GUESTS += [
    smt(  # on a CPU that needs it, a core belongs to one VM: a lethe.conf that says otherwise is refused, line by line
        "smt-same-vm",
        "",
        {"a": {"cpus": "0"}, "b": {"cpus": "1"}, "c": {"cpus": "2-3", "vcpus": 2}, "d": {}, "e": {"cpus": "3"}},
        seen=[
            r"^lethe: 4 CPUs in VMX root mode$",
            r"^lethe: SMT: each core of several threads belongs to one VM \(smt = same-vm\)$",
            CORE_TAKEN % (10, "b", 1, "a"),
            r"^lethe: error: lethe\.conf:16: \[vm d\]: all cores belong to other VMs .*: expected fewer VMs",
            CORE_TAKEN % (22, "e", 3, "c"),
            FIRST_ENTRY % (0, 0, 0),
            FIRST_ENTRY % (2, 0, 2),
            r"^lethe: vm a exited: power-off",
            r"^lethe: vm c exited: power-off",
        ],
        never=[PANIC, "FAILED", r"vm [bde] exited", r"smt = on"],
    ),
    smt(  # VMs that name no CPUs get a core each, the larger one on both of its threads
        "smt-placement",
        "smt = same-vm\n",
        {"a": {"vcpus": 2}, "b": {}},
        seen=[FIRST_ENTRY % (0, 0, 0), FIRST_ENTRY % (1, 0, 2), r"^lethe: vm a exited: power-off",
              r"^lethe: vm b exited: power-off"],
        never=[PANIC, "FAILED", r"lethe: error"],
    ),
    smt(  # one thread of each core is used; CPUs that are parked are named where lethe.conf wants them
        "smt-off",
        "smt = off\n",
        {"a": {"cpus": "0"}, "b": {"cpus": "1-2"}, "c": {"cpus": "3"}, "d": {"vcpus": 2}},
        seen=[
            r"^lethe: 2 CPUs in VMX root mode$",
            r"^lethe: SMT: 2 CPUs are parked \(smt = off\): each core runs one thread$",
            r"lethe\.conf:11: \[vm b\]: CPU 1 is parked \(smt = off\) and is not used$",
            r"^lethe: error: lethe\.conf:15: \[vm c\]: cpus names no CPU that can run guests",
            FIRST_ENTRY % (0, 0, 0),
            FIRST_ENTRY % (1, 0, 2),
            FIRST_ENTRY % (3, 0, 0),
            r"^lethe: vm a exited: power-off",
            r"^lethe: vm b exited: power-off",
            r"^lethe: vm d exited: power-off",
        ],
        never=[PANIC, "FAILED", r"vm c exited", r"on CPU [13]$"],
    ),
    smt(  # the threads of a core run two VMs, with a warning
        "smt-on",
        "smt = on\n",
        {"a": {"cpus": "0"}, "b": {"cpus": "1"}},
        seen=[
            r"^lethe: warning: SMT: smt = on: VMs that share a core can learn of one another by speculation here",
            FIRST_ENTRY % (0, 0, 0),
            FIRST_ENTRY % (1, 0, 1),
            r"^lethe: vm a exited: power-off",
            r"^lethe: vm b exited: power-off",
        ],
        never=[PANIC, "FAILED", r"lethe: error"],
    ),
    smt(  # on a CPU whose threads cannot learn of one another, nothing is asked and nothing said
        "smt-not-needed",
        "",
        {"a": {"cpus": "0"}, "b": {"cpus": "1"}},
        seen=[FIRST_ENTRY % (0, 0, 0), FIRST_ENTRY % (1, 0, 1), r"^lethe: vm a exited: power-off",
              r"^lethe: vm b exited: power-off"],
        never=[PANIC, "FAILED", r"lethe: error", r"lethe: .*SMT"],
        cpus=["arrow_lake"],
    ),
]

REFUSED = r"^Lethe cannot start (on this machine|with these files):"

# The whole page on QEMU/TCG: what is lost on the way from the firmware to the runner is missed here.
TCG_PAGE = r"""
Lethe cannot start on this machine:
  - no VT-x (VMX): hidden by the hypervisor around this machine, QEMU without KVM (TCG): TCG
    emulates no VT-x: start QEMU with -accel kvm -cpu host,+vmx on a host with nested VT-x, or use
    Bochs (make run does either)

Found: QEMU TCG CPU version 2.5+, in a virtual machine of TCGTCGTCGTCG
The same, and all that was found, is in \EFI\BOOT\lethe-report.txt
""".lstrip("\n")

INPUT = [
    Case(
        "refuse-no-vmx",
        ["^" + re.escape(TCG_PAGE), r"^\rPress a key to go back to the firmware \(10 s\) "],
        backend="tcg",
    ),
    Case(
        "refuse-once",  # the firmware, when no boot option is left, starts Lethe again: the page is not shown again
        [
            REFUSED,
            r"Press a key to go back to the firmware",
            ("send", "\\r"),
            r"^The firmware has started Lethe again\. It still cannot start; lethe-report\.txt says why\.",
            r"Press any key to enter the Boot Manager Menu",
        ],
        never=[PANIC, r"Lethe cannot start(?s:.*)Lethe cannot start"],
        args=["--no-config"],
        backend="bochs",
    ),
    Case(
        "refuse-configuration",  # every mistake at once, with file, line, and what was expected
        [REFUSED],
        seen=[
            r"lethe\.conf:2: .*expected",
            r"lethe\.conf:4: .*expected",
            r"lethe\.conf:5: .*expected",
        ],
        conf="[hypervisor]\nconsole = parallel\n[vm a]\nmemory = 12Q\nvcpus = none\nkernel = hello.bin\n",
        files={"hello.bin": demo("hello.bin")},
    ),
    Case(
        "refuse-files",  # two files that are not there and a guest larger than the machine, all said at once
        [REFUSED],
        seen=[r"nowhere\.bin", r"nothing\.img", r"too little memory: .*lower memory ="],
        conf=vm("a", kernel="nowhere.bin", memory="64M")
        + vm("b", kernel="vmlinuz", initrd="nothing.img")
        + vm("c", kernel="hello.bin", memory="64G"),
        files={"vmlinuz": kernel, "hello.bin": demo("hello.bin")},
    ),
    Case(
        "refuse-empty-disk",  # neither a lethe.conf nor a kernel
        [REFUSED, r"there is neither lethe\.conf"],
        args=["--no-config"],
    ),
    Case(
        "bad-images",  # each VM is refused in words; the one that is right runs
        [MACHINE_OFF],
        seen=[
            r"cut\.bzi.*truncated",
            r"cut\.bin: is truncated in its multiboot header",
            r"zeros\.bin",
            r"big\.img.*does not fit",
            GOOD["hello"],
        ],
        conf=vm("a", kernel="cut.bzi", memory="128M")
        + vm("b", kernel="cut.bin", memory="16M")
        + vm("c", kernel="zeros.bin", memory="16M", format="linux")
        + vm("d", kernel="vmlinuz", initrd="big.img", memory="80M")
        + vm("e", kernel="hello.bin", memory="16M"),
        files={
            "cut.bzi": first(5 << 20, kernel),
            "cut.bin": first(16, demo("hello.bin")),
            "zeros.bin": zeros(70000),
            "vmlinuz": kernel,
            "big.img": zeros(81 << 20),
            "hello.bin": demo("hello.bin"),
        },
    ),
    Case(
        "default-configuration",  # no lethe.conf, but a kernel and an initrd beside Lethe
        [r"^No lethe\.conf: starting vmlinuz with initrd\.img", r"Linux version .*-cloud-amd64", r"RAMDISK: \[mem"],
        args=["--no-config"],
        files={"vmlinuz": kernel, "initrd.img": initrd},
    ),
]

# Guests that other people made. In `make test` one of each kind; the others are siblings of it.
LINUX_CMDLINE = "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off"


def debian(kernel_file, initrd_maker, **keys):
    """lethe.conf with a Debian kernel of `tools/setup guests`, and its files."""
    keys = {"memory": "256M", "cmdline": LINUX_CMDLINE, **keys}
    return {
        "conf": vm("debian", kernel="vmlinuz", initrd="initrd.img", **keys),
        "files": {"vmlinuz": other(kernel_file), "initrd.img": initrd_maker},
    }


# What Linux says of tables that it does not like.
TABLES_WRONG = r"(?i)ACPI (BIOS )?(warning|error)|MPTABLE: .*(bad|broken|bug)|\[Firmware Bug\]"

OTHERS = [
    Case(
        "other-memtest",  # memtest86+ in little memory, cut in its last paragraph: three of its tests, painted as VGA text
        [r"walking ones, no cache", r"own address", r"Moving inversions, 1s & 0s"],
        never=[PANIC, r"Errors: +[1-9]", r"Unexpected interrupt"],
        needs=["memtest86+"],
        cost=8,
        conf=vm("memtest", kernel="memtest.bin", memory="16M", cmdline="console=ttyS0,115200"),
        files={"memtest.bin": short_paragraph(other("memtest86+"))},
    ),
    Case(
        "other-bios",  # Xen asks the BIOS in real mode and lives without answers; what cannot is told so when it ends
        [MACHINE_OFF],
        seen=[
            r"^lethe: vm xen: BIOS call int 15h AX=E820: ",
            r"\(XEN\) Xen version 4\.",
            r"\(XEN\) dom0 kernel not specified",
            r"^lethe: vm ipxe exited: (unsupported|triple-fault)",  # in garbage: how far it gets is chance
            r"^lethe: vm memdisk exited: unsupported",
            r"this image may want a BIOS(?s:.*)this image may want a BIOS",
        ],
        needs=["xen.gz", "ipxe.lkrn", "memdisk"],
        cost=8,
        conf=vm("xen", kernel="xen.bin", memory="256M", cmdline="com1=115200,8n1 console=com1")
        + vm("ipxe", kernel="ipxe.lkrn", memory="64M")
        + vm("memdisk", kernel="memdisk", memory="64M"),
        files={"xen.bin": gunzip(other("xen.gz")), "ipxe.lkrn": other("ipxe.lkrn"), "memdisk": other("memdisk")},
    ),
    Case(
        "other-i386-pae",  # no 64-bit entry point; with acpi=off the CPUs and the wiring are those of the MP table
        [
            r"found SMP MP-table at \[mem 0x000f0000",
            r"demo:~# ",
            ("send", "uname -m; grep -c ^processor /proc/cpuinfo; grep -c IO-APIC.*ttyS0 /proc/interrupts\\r"),
            r"^i686\n2\n1$",
            ("send", "reboot\\r"),
            r"^lethe: vm debian exited: reset",
            MACHINE_OFF,
        ],
        never=[PANIC, TABLES_WRONG],
        needs=["vmlinuz-i386-686-pae", "busybox-i386"],
        cost=30,
        timeout=480,
        stretch=NO_STRETCH,
        args=["--cpus", "2"],
        **debian("vmlinuz-i386-686-pae", i386_initrd, vcpus=2, cmdline=LINUX_CMDLINE + " acpi=off"),
    ),
    Case(
        "other-i386",  # without PAE, with ACPI
        [
            r"demo:~# ",
            ("send", "uname -m; dmesg | grep -c 'ACPI: FACS'\\r"),
            r"^i686\n[12]$",
            ("send", "poweroff\\r"),
            r"^lethe: vm debian exited: power-off",
            MACHINE_OFF,
        ],
        never=[PANIC, TABLES_WRONG],
        needs=["vmlinuz-i386-686", "busybox-i386"],
        where="all",
        cost=30,
        timeout=480,
        **debian("vmlinuz-i386-686", i386_initrd),
    ),
    *[
        Case(
            "other-%s-shadow" % name,  # PAE paging, 32-bit paging, and paging that is off, made into tables of 8-byte entries
            [
                r"demo:~# ",
                ("send", "uname -m; grep -cw pae /proc/cpuinfo; dmesg | grep -ciE 'oops|BUG:'; poweroff\\r"),
                r"^i686\n1\n0$",
                r"^lethe: vm debian exited: power-off",
                MACHINE_OFF,
            ],
            never=[PANIC, TABLES_WRONG],
            needs=["vmlinuz-" + name, "busybox-i386"],
            cpus=[PENRYN],
            all_cpus=[SKYLAKE],
            where=where,
            cost=30,
            timeout=480,
            stretch=NO_STRETCH,
            **debian("vmlinuz-" + name, i386_initrd, mmu="shadow"),
        )
        for name, where in [("i386-686-pae", "test"), ("i386-686", "all")]
    ],
    Case(
        "other-i386-vcpus-cut",  # where a SIPI starts no vCPU: it knows no wakeup mailbox, and has one vCPU, for which it waits not
        [
            r"^lethe: .*vm debian: vcpus = 2, but it gets 1: ",
            r"demo:~# ",
            ("send", "uname -m; nproc; dmesg | grep -c 'failed to report alive'; poweroff\\r"),
            r"^i686\n1\n0$",
            r"^lethe: vm debian exited: power-off",
            MACHINE_OFF,
        ],
        never=[PANIC, TABLES_WRONG],
        needs=["vmlinuz-i386-686-pae", "busybox-i386"],
        cpus=["corei5_lynnfield_750"],
        where="all",
        cost=30,
        timeout=480,
        **debian("vmlinuz-i386-686-pae", i386_initrd, vcpus=2),
    ),
    Case(
        "other-testing-mailbox",  # the newest kernel starts another vCPU by the wakeup mailbox
        [
            r"demo:~# ",
            ("send", "nproc; dmesg | grep -ciE 'oops|BUG:|WARNING|stall|lockup'; poweroff\\r"),
            r"^2\n0$",
            r"^lethe: vm debian exited: power-off",
            MACHINE_OFF,
        ],
        never=[PANIC, TABLES_WRONG],
        needs=["vmlinuz-testing"],
        cpus=["corei5_lynnfield_750"],
        where="all",
        cost=40,
        timeout=480,
        stretch=NO_STRETCH,
        args=["--cpus", "2"],
        **debian("vmlinuz-testing", initrd, vcpus=2),
    ),
    Case(
        "other-testing",  # the newest kernel that Debian has
        [
            r"^lethe-demo: ready, tsc \d+",
            r"demo:~# ",
            ("send", "dmesg | grep -ciE 'oops|BUG:|unchecked MSR'; poweroff\\r"),
            r"^0$",
            r"^lethe: vm debian exited: power-off",
            MACHINE_OFF,
        ],
        never=[PANIC, TABLES_WRONG],
        needs=["vmlinuz-testing"],
        where="all",
        cost=40,
        timeout=480,
        **debian("vmlinuz-testing", initrd),
    ),
]

SPECULATION_DONE = r"^lethe: speculation, needed, done: "
SPECULATION_MISSING = r"^lethe: warning: speculation, needed, microcode missing: "
SPECULATION_NOT = r"^lethe: speculation, not needed: "

SPECULATION = [
    Case(
        "speculation-no-microcode",  # Bochs's older models have none of the bits
        [MACHINE_OFF],
        seen=[
            SPECULATION_DONE + r"RSB \(return predictions replaced after exits\), "
            r"L1TF \(L1D overwritten by reads at VM switches\)$",
            SPECULATION_MISSING + r"Spectre v2 \(IBPB; retpolines are used\), RSBA \(IBRS\), MDS \(MD_CLEAR\), "
            r"MMIO stale data \(FB_CLEAR\), GDS \(GDS_CTRL\)$",
            SPECULATION_NOT + r"BHI, PBRSB \(only with enhanced IBRS\), ITS, RFDS, SRBDS \(not this CPU model\), "
            r"TAA \(no TSX\)$",
            r"^lethe: speculation: [1-9]\d* flushes for another vCPU, [1-9]\d* after other VMs' data were handled$",
            DONE % "hello",
            DONE % "exits",
        ],
        conf="[hypervisor]\nlog = debug\n" + guests(["hello", "exits"])["conf"],
        files=guests(["hello", "exits"])["files"],
    ),
    Case(
        "speculation-old",  # the first CPUs with EPT
        [MACHINE_OFF],
        seen=[
            SPECULATION_DONE + r"RSB \(return predictions replaced after exits\), "
            r"L1TF \(L1D overwritten by reads at VM switches\)$",
            SPECULATION_MISSING + r"Spectre v2 \(IBPB; retpolines are used\), MDS \(MD_CLEAR\)$",
            SPECULATION_NOT + r"BHI, PBRSB \(only with enhanced IBRS\), RSBA, ITS, MMIO stale data, RFDS, GDS, SRBDS "
            r"\(not this CPU model\), TAA \(no TSX\)$",
            GOOD["hello"],
        ],
        cpus=["corei5_lynnfield_750"],
        **guests(["hello"]),
    ),
    Case(
        "speculation-history",  # enhanced IBRS without BHI_DIS_S
        [MACHINE_OFF],
        seen=[
            SPECULATION_DONE + r"Spectre v2 \(enhanced IBRS always on, IBPB at VM switches\), BHI \(branch history "
            r"overwritten after exits\), PBRSB \(a CALL and LFENCE after exits\)$",
            SPECULATION_MISSING + r"MMIO stale data \(FB_CLEAR\), GDS \(GDS_CTRL\)$",
            SPECULATION_NOT + r"RSB, RSBA \(enhanced IBRS\), ITS \(only within a guest\), L1TF \(RDCL_NO\), "
            r"MDS, RFDS, SRBDS \(not this CPU model\), TAA \(no TSX\)$",
            DONE % "msrs",
            DONE % "exits",
        ],
        cpus=["corei7_icelake_u"],
        **guests(["msrs", "exits"]),
    ),
    Case(
        "speculation-microcode",  # nothing is missing
        [MACHINE_OFF],
        seen=[
            SPECULATION_DONE + r"Spectre v2 \(enhanced IBRS always on, IBPB at VM switches\), BHI \(BHI_DIS_S always on\), "
            r"PBRSB \(a CALL and LFENCE after exits\)$",
            SPECULATION_NOT + r"RSB, RSBA \(enhanced IBRS\), ITS, MDS, MMIO stale data, RFDS, GDS, SRBDS \(not this CPU "
            r"model\), L1TF \(RDCL_NO\), TAA \(no TSX\)$",
            DONE % "msrs",
            DONE % "exits",
        ],
        never=[PANIC, "FAILED", "microcode missing"],
        cpus=["arrow_lake"],
        **guests(["msrs", "exits"]),
    ),
    Case(
        "speculation-all",  # also what no CPU of Bochs needs: IBRS by the MSR areas, L1D flush, VERW, thunks
        [r"^lethe: mitigations = all: every measure that the CPU has the means for, needed or not$", MACHINE_OFF],
        seen=[DONE % name for name in ("msrs", "exits", "interrupt", "hello")]
        + [r"^lethe: speculation: [1-9]\d* flushes for another vCPU, [1-9]\d* after other VMs' data were handled$"],
        cpus=["arrow_lake"],
        conf="[hypervisor]\nmitigations = all\nlog = debug\n" + guests(["msrs", "exits", "interrupt", "hello"])["conf"],
        files=guests(["msrs", "exits", "interrupt", "hello"])["files"],
    ),
    Case(
        "speculation-off",
        [r"^lethe: mitigations = off: guests can learn of one another by speculation$", MACHINE_OFF],
        seen=[DONE % "msrs", DONE % "exits"],
        never=[PANIC, "FAILED", r"speculation, "],
        cpus=["arrow_lake"],
        conf="[hypervisor]\nmitigations = off\n" + guests(["msrs", "exits"])["conf"],
        files=guests(["msrs", "exits"])["files"],
    ),
]

SHADOW_CPUS = [SKYLAKE, "corei5_lynnfield_750", PENRYN]
# A first fault makes tables of all levels, and their notes; two exits one after the other count as one stretch (hv/clock.c).
SHADOW_STRETCH = 20000


def on_shadow(names, **more):
    """lethe.conf with these demo guests on shadow page tables, and their files."""
    return {
        "conf": "".join(vm(name, kernel=name + ".bin", memory="16M", mmu="shadow") for name in names),
        "files": {name + ".bin": demo(name + ".bin") for name in names},
        **more,
    }


# This guest has tables that are linked from everywhere: to give one up, and to undo what was made from it, takes longer.
PAGING_STRETCH = 60000

# Those of GOOD that know real mode do so from their first instruction on.
SHADOW_GOOD = [name for name in GOOD if name != "realmode"] + ["debug", "exceptions", "msrs", "apic", "early"]
BOTH = ["exits", "longmode", "interrupt"]

SHADOW = [
    Case(
        "shadow-guests",  # paging off, 32-bit and 4-level, faults and devices, and guests that end badly
        [MACHINE_OFF],
        seen=[GOOD.get(name, r"^(?:\[\w+\] )?%s: done" % name) for name in SHADOW_GOOD]
        + list(BAD.values())
        + [r"^lethe: vm fault exited: triple-fault"],
        cpus=SHADOW_CPUS,
        stretch=SHADOW_STRETCH,
        cost=12,
        timeout=600,
        **on_shadow([*SHADOW_GOOD, *BAD]),
    ),
    Case(
        "shadow-and-ept",  # VMs of both kinds take turns on one CPU
        [MACHINE_OFF],
        stretch=SHADOW_STRETCH,
        seen=[r"^(?:\[%s-%s\] )?%s: done" % (name, mmu, name) for name in BOTH for mmu in ("ept", "shadow")]
        + [r"^lethe: vm %s-%s exited: power-off" % (name, mmu) for name in BOTH for mmu in ("ept", "shadow")],
        cpus=[SKYLAKE, "corei5_lynnfield_750"],
        conf="".join(
            vm("%s-%s" % (name, mmu), kernel=name + ".bin", memory="16M", mmu=mmu) for name in BOTH for mmu in ("ept", "shadow")
        ),
        files={name + ".bin": demo(name + ".bin") for name in BOTH},
    ),
    Case(
        "shadow-hostile",  # one that tries everything, and some that end badly
        [MACHINE_OFF],
        seen=[r"^(?:\[hostile\] )?hostile: survived", r"^lethe: vm hostile exited: power-off 0", GOOD["exits"]]
        + [r"^lethe: vm %s exited: %s " % end for end in HOSTILE_ENDS.items()],
        conf=vm("hostile", kernel="hostile.bin", memory="16M", mmu="shadow")
        + "".join(vm(word, kernel="hostile.bin", memory="16M", cmdline=word, mmu="shadow") for word in HOSTILE_ENDS)
        + vm("exits", kernel="exits.bin", memory="16M", mmu="shadow"),
        files={name: demo(name) for name in ("hostile.bin", "exits.bin")},
        cpus=[SKYLAKE],
        stretch=SHADOW_STRETCH,
        all_cpus=["corei5_lynnfield_750", PENRYN],
        cost=36,
        timeout=600,
    ),
    Case(
        "shadow-paging-twins",  # under EPT and on shadow tables the guest ends with the same memory
        [PAGING, PAGING, MACHINE_OFF],
        cost=12,
        timeout=600,
        stretch=PAGING_STRETCH,
        **paging("ept", "shadow"),
    ),
    Case(
        "shadow-paging",
        ["^" + PAGING, MACHINE_OFF],
        cpus=[PENRYN],
        all_cpus=[PENRYN, "corei5_lynnfield_750", "corei7_sandy_bridge_2600k", "sapphire_rapids"],
        cost=12,
        timeout=600,
        stretch=PAGING_STRETCH,
        **paging("shadow"),
    ),
    Case(
        # Stores into page tables of all kinds have the same effect on both, also one that its own table stands in the way of.
        "shadow-table-stores",
        [MACHINE_OFF],
        seen=[
            r"^(?:\[(stores|shadow)\] )?tablestores: done(?s:.*)^(?:\[(stores|shadow)\] )?tablestores: done",
            r"^lethe: vm stores exited: power-off",
            r"^lethe: vm shadow exited: power-off",
            r"^(?:\[root\] )?the store into the directory is done$",
            r"^lethe: vm root exited: power-off",
        ],
        cpus=SHADOW_CPUS,
        stretch=SHADOW_STRETCH,
        conf="".join(
            vm(name, kernel="tablestores.bin", memory="16M", **keys)
            for name, keys in [("stores", {}), ("shadow", {"mmu": "shadow"}), ("root", {"mmu": "shadow", "cmdline": "root"})]
        ),
        files={"tablestores.bin": demo("tablestores.bin")},
    ),
    Case(
        "shadow-refusals",  # real mode is for EPT with unrestricted guest
        [MACHINE_OFF],
        stretch=SHADOW_STRETCH,
        seen=[
            r"^lethe: error: vm realmode: its image starts in real mode, which takes EPT: it cannot have mmu = shadow$",
            r"^lethe: error: vm trampoline vcpu 0: it leaves protected mode \(CR0 = 0x[0-9a-f]+\), and shadow page tables cannot "
            r"run real mode$",
            r"^lethe: vm trampoline exited: unsupported",
            r"^lethe: .*vm two: vcpus = 2, but it gets 1: others start in real mode, which shadow page tables cannot run, ",
            r"^lethe: vm two exited: power-off",
            r"^lethe: vm ept exited: power-off",
        ],
        conf=vm("realmode", kernel="realmode.bin", memory="16M", mmu="shadow", **FLAT["realmode"])
        + vm("trampoline", kernel="trampoline.bin", memory="16M", mmu="shadow")
        + vm("two", kernel="hello.bin", memory="16M", vcpus=2, mmu="shadow")
        + vm("ept", kernel="realmode.bin", memory="16M", mmu="ept", **FLAT["realmode"]),
        files={name: demo(name) for name in ("realmode.bin", "trampoline.bin", "hello.bin")},
        never=[PANIC, r"^(?:\[\w+\] )?FAILED"],
    ),
    Case(
        "shadow-without-ept",  # a CPU that has no EPT: guests run on shadow page tables, one that insists on EPT does not
        [MACHINE_OFF],
        seen=[
            r"^lethe: VMX: no EPT: guests run on shadow page tables$",
            r"^lethe: error: vm ept: mmu = ept: this CPU has no EPT; without that line its guest runs on shadow page tables$",
            DONE % "hello",
            r"^lethe: vm auto exited: power-off",
        ],
        cpus=[PENRYN],
        conf=vm("ept", kernel="hello.bin", memory="16M", mmu="ept") + vm("auto", kernel="hello.bin", memory="16M"),
        files={"hello.bin": demo("hello.bin")},
    ),
    Case(
        "linux-twins",  # what Linux works out is the same under EPT and on shadow tables
        [r"^lethe: vm ept exited: power-off", MACHINE_OFF],
        seen=[r"^lethe: vm shadow exited: power-off"],
        stretch=NO_STRETCH,
        twins=r"twin: \w+ [0-9a-f]{32}",
        conf="".join(
            vm(mmu, kernel="vmlinuz", initrd="initrd.img", memory="256M", mmu=mmu,
               cmdline="console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet run=twin after=poweroff")
            for mmu in ("ept", "shadow")
        ),
        files={"vmlinuz": kernel, "initrd.img": initrd},
        cost=45,
        timeout=600,
    ),
    Case(
        "linux-shadow",
        TO_SHELL + [("send", "poweroff\\r"), r"^lethe: vm demo exited: power-off", MACHINE_OFF],
        cpus=SHADOW_CPUS,
        stretch=NO_STRETCH,
        args=["--mmu", "shadow", "--cmdline", "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        cost=20,
    ),
]

CASES = LINUX + GUESTS + SHADOW + SPECULATION + TRACES + INPUT + OTHERS

# SPDX-License-Identifier: MIT
"""What is booted, and what must be seen. The driver is `run`, beside this file.

Each case starts a machine once. Its `dialogue` goes in order: a text is expected (a regular expression, `^` and `$`
by line), a pair ("send", text) is sent, ("type", text) typed on the machine's keyboard. `seen` must stand somewhere
in the output, in whatever order; `never` nowhere. Where several guests run behind one start of the firmware, which
takes longer than they do, `seen` tells them apart by their own words.
"""

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Tuple, Union

SKYLAKE = "corei7_skylake_x"
LINUX_CPUS = [SKYLAKE, "corei7_haswell_4770", "corei7_icelake_u", "corei5_lynnfield_750"]

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
    cpus: List[str] = field(default_factory=lambda: [SKYLAKE])
    args: List[str] = field(default_factory=list)  # further arguments of tools/run
    conf: str = ""  # a lethe.conf; without one, tools/run writes one for the demo guest
    files: Dict[str, Callable] = field(default_factory=dict)  # name on the disk -> makes its bytes
    backend: str = ""  # "": wherever there is VMX; "tcg", "bochs": there only
    timeout: float = 240


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
]

LINUX = [
    Case(
        "linux-shell",
        TO_SHELL + [("send", "poweroff\\r"), r"^lethe: vm demo exited: ", MACHINE_OFF],
        cpus=LINUX_CPUS,
        args=["--cmdline", "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
    ),
    Case(
        "linux-typing",  # the keyboard of the machine reaches the shell on the UART, and the screen shows it
        [
            r"demo:~# ",
            ("type", "echo a$((6*7))b\\r"),
            r"^a42b$",
        ],
        args=["--screen", "--cmdline", "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        backend="bochs",
    ),
    Case(
        "native-linux",  # the same without Lethe: if this fails, it is the test bed
        [r"^native: start tsc \d+", r"^lethe-demo: ready, tsc \d+", r"demo:~# "],
        args=["--native", "--cmdline", "console=ttyS0,115200 cryptomgr.notests=1 mitigations=off quiet"],
        backend="bochs",
    ),
]

DONE = r"^(?:\[\w+\] )?%s: done"  # where several guests run, each line begins with the name of its own

GOOD = {
    "hello": DONE % "hello",
    "exits": DONE % "exits",
    "interrupt": DONE % "interrupt",
    "longmode": DONE % "longmode",
    "vga": r"vga: done$",
    "fault": r"^fault: now a triple fault",
}
BAD = {
    "triple": r"^lethe: vm triple exited: triple-fault",
    "exec_mmio": r"^lethe: vm exec_mmio exited: unsupported",
    "unknown_insn": r"^lethe: vm unknown_insn exited: unsupported",
}

GUESTS = [
    Case(
        "guest-" + name,
        [seen, r"^lethe: vm %s exited: " % name, MACHINE_OFF],
        conf=vm(name, kernel=name + ".bin", memory="16M"),
        files={name + ".bin": demo(name + ".bin")},
    )
    for name, seen in GOOD.items()
] + [
    Case(
        "guest-realmode",
        [DONE % "realmode", MACHINE_OFF],
        conf=vm("realmode", kernel="realmode.bin", memory="16M", format="flat", entry_mode=16, load_address="0x7c00"),
        files={"realmode.bin": demo("realmode.bin")},
    ),
    Case(
        "guests-bad-and-good",  # three that die, and one that lives on beside them
        [MACHINE_OFF],
        seen=list(BAD.values()) + [GOOD["exits"]],
        conf="".join(vm(name, kernel=name + ".bin", memory="16M") for name in [*BAD, "exits"]),
        files={name + ".bin": demo(name + ".bin") for name in [*BAD, "exits"]},
    ),
]

REFUSED = r"^Lethe cannot start (on this machine|with these files):"

INPUT = [
    Case(
        "refuse-no-vmx",
        [REFUSED, r"no VT-x \(VMX\).*QEMU without KVM"],
        backend="tcg",
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
        "refuse-missing-files",
        [REFUSED],
        seen=[r"nowhere\.bin", r"nothing\.img"],
        conf=vm("a", kernel="nowhere.bin", memory="64M") + vm("b", kernel="vmlinuz", initrd="nothing.img"),
        files={"vmlinuz": kernel},
    ),
    Case(
        "refuse-too-large",  # a guest larger than the machine
        [REFUSED, r"too little memory: .*lower memory ="],
        conf=vm("a", kernel="hello.bin", memory="64G"),
        files={"hello.bin": demo("hello.bin")},
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
        [r"demo:~# "],
        args=["--no-config"],
        files={"vmlinuz": kernel, "initrd.img": initrd},
    ),
]

CASES = LINUX + GUESTS + INPUT

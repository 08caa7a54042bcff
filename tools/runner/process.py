# SPDX-License-Identifier: MIT
"""Children and the temporary directory of one run, and that nothing of them stays behind.

Three nets, one under the other: the `with` block ends the children and removes the directory, also after
^C, SIGTERM and SIGHUP; the kernel kills the children when this process is killed (PR_SET_PDEATHSIG); and
the next run removes the directories of runs that are no more.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
PREFIX = "lethe-run-"


class Stopped(Exception):
    """A signal asked this process to end."""

    def __init__(self, number):
        super().__init__("stopped by " + signal.Signals(number).name)
        self.number = number


def _on_signal(number, _frame):
    raise Stopped(number)


class Scope:
    """What belongs to one run. Use it in a `with` block."""

    def __init__(self):
        self.directory = None
        self.children = []
        self._libc = ctypes.CDLL(None, use_errno=True)

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _on_signal)
        _sweep()
        self.directory = tempfile.mkdtemp(prefix="%s%d-" % (PREFIX, os.getpid()))
        return self

    def __exit__(self, *_exception):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for child in self.children:
            end(child)
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        """The path of a file in the run's own directory."""
        return os.path.join(self.directory, name)

    def spawn(self, argv, **options):
        """Starts a child that does not outlive this process, in a process group of its own."""
        parent = os.getpid()

        def in_child():
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)  # the parent ended before the kernel knew of our wish

        child = subprocess.Popen(argv, start_new_session=True, preexec_fn=in_child, **options)
        self.children.append(child)
        return child


def cpu_seconds(child):
    """The CPU time that a child has taken so far; 0 when it is gone."""
    try:
        with open("/proc/%d/stat" % child.pid, encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()  # from the third on (proc(5))
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end(child):
    """Ends a child and its process group: asks first, then insists."""
    for number, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 10.0)):
        if child.poll() is not None:
            break
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            pass
        deadline = time.monotonic() + patience
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    try:
        os.killpg(child.pid, signal.SIGKILL)  # what the child itself may have left
    except (ProcessLookupError, PermissionError):
        pass


def _sweep():
    """Removes the directories of runs whose process is gone."""
    base = tempfile.gettempdir()
    for name in os.listdir(base):
        found = re.match(re.escape(PREFIX) + r"(\d+)-", name)
        if not found or os.path.exists("/proc/" + found.group(1)):
            continue
        path = os.path.join(base, name)
        try:
            if os.stat(path).st_uid == os.getuid():
                shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:
            pass

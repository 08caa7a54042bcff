# SPDX-License-Identifier: MIT
"""The parts of tools/run that need no machine, and what it says to a person who mistypes something."""

import io
import os
import re
import subprocess
import sys
import time
import unittest
from contextlib import redirect_stderr
from unittest import mock

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))

from runner import session as session_module  # noqa: E402
from runner.bochs import diagnosis_lines  # noqa: E402
from runner.cli import parser  # noqa: E402
from runner.dialogue import Dialogue, Transcript  # noqa: E402
from runner.errors import RunnerError  # noqa: E402
from runner.session import Session  # noqa: E402
from runner.suggest import nearest, unknown_model  # noqa: E402


def dialogue(*expected, also=()):
    """A dialogue that only expects."""
    steps = [("expect", re.compile(text, re.MULTILINE)) for text in expected]
    return Dialogue(steps, [re.compile(text, re.MULTILINE) for text in also], 1)


def run(*arguments):
    """tools/run with arguments that end it before a machine starts: (status, what it said)."""
    done = subprocess.run(
        [os.path.join(TOP, "tools", "run"), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, universal_newlines=True, check=False, timeout=60)
    return done.returncode, done.stdout


class TranscriptTest(unittest.TestCase):
    def test_escape_sequences_are_left_out_in_any_pieces(self):
        text = Transcript()
        for byte in b"a\x1b[1;31mb\x1b]0;title\x07c\r\r\nd\x1b[":
            text.feed(bytes([byte]))
        self.assertEqual(text.text, "abc\nd")

    def test_last_lines_are_what_stands_in_the_end(self):
        text = Transcript()
        text.feed(b"one\r\n10%\r20%\r\n\r\nthree")
        self.assertEqual(text.last_lines(2), ["20%", "three"])


class QuietTest(unittest.TestCase):
    def setUp(self):
        self.now = 100.0
        steps = [("expect", re.compile("sleeps")), ("quiet", 2.0), ("send", "x"), ("expect", re.compile("woke"))]
        self.d = Dialogue(steps, [], 1, clock=lambda: self.now)

    def later(self, seconds, data=b""):
        """What is to be sent then."""
        self.now += seconds
        return self.d.feed(data)

    def test_nothing_is_sent_before_the_silence_is_over(self):
        self.assertEqual(self.later(5), [])
        self.assertFalse(self.d.timed)
        self.assertEqual(self.later(5, b"it sleeps"), [])
        self.assertTrue(self.d.timed)
        self.assertEqual(self.later(1.9), [])
        self.assertEqual(self.later(0.2), [("send", "x")])
        self.assertFalse(self.d.timed)
        self.assertFalse(self.d.done)
        self.later(0, b"woke")
        self.assertTrue(self.d.done)

    def test_what_comes_meanwhile_begins_the_silence_anew(self):
        self.later(0, b"it sleeps")
        self.assertEqual(self.later(1.9, b"."), [])
        self.assertEqual(self.later(1.9), [])
        self.assertEqual(self.d.waiting_for, "silence")
        self.assertEqual(self.later(0.2), [("send", "x")])


class SeenTest(unittest.TestCase):
    def seen(self, text, *expected, also=()):
        d = dialogue(*expected, also=also)
        d.feed(text)
        return d.take_seen()

    def test_the_line_that_met_an_expectation_is_shown(self):
        self.assertEqual(self.seen(b"one\nhello: done at last\nthree\n", "hello: done"), ["hello: done at last"])

    def test_an_expectation_over_two_lines_shows_both(self):
        self.assertEqual(self.seen(b"one\ntwo\nthree\n", r"one\ntwo$"), ["one | two"])

    def test_an_expectation_that_begins_with_a_newline_shows_the_line_behind_it(self):
        self.assertEqual(self.seen(b"one\ntwo\n", r"\ntw"), ["two"])

    def test_a_line_still_to_come_is_shown_as_far_as_it_is(self):
        self.assertEqual(self.seen(b"one\ndemo:~# ", "demo:~# "), ["demo:~#"])

    def test_also_counts_once(self):
        d = dialogue("two", also=["one"])
        d.feed(b"one\n")
        d.feed(b"two one\n")
        self.assertEqual((d.take_seen(), d.take_seen(), d.met, d.done), (["one", "two one"], [], 2, True))

    def test_nothing_is_seen_twice(self):
        d = dialogue("x$", "x$")
        d.feed(b"ax\n")
        d.feed(b"bx\n")
        self.assertEqual(d.take_seen(), ["ax", "bx"])


class DiagnosisTest(unittest.TestCase):
    REPAIRED = ["bochsfix: 64-bit idiv: repaired", "Bochs connected to screen"]
    OFF = ["00905448827p[ACPI  ] >>PANIC<< ACPI control: soft power off"]

    def test_a_normal_power_off_has_no_reasons(self):
        noise = ["0e[APIC0 ] APIC: TSC-Deadline timer is disabled", "1i[CPU0  ] CPU is in long mode",
                 "2e[CPU0  ] RDMSR MSR_IA32_SPEC_CTRL: not enabled"]
        self.assertEqual(diagnosis_lines(self.REPAIRED, noise + self.OFF), [])

    def test_a_failed_entry_is_shown_in_words(self):
        log = ["12e[CPU0  ] VMFAIL: VMCS EXEC CTRL: guest VPID == 0"] + self.OFF
        self.assertEqual(diagnosis_lines([], log), ["Bochs: CPU0: VMFAIL: VMCS EXEC CTRL: guest VPID == 0"])

    def test_a_reset_and_a_panic_are_shown(self):
        log = ["1e[CPU1  ] exception(): 3rd (13) exception with no resolution, shutdown status is 0x00",
               "2p[MEM0  ] >>PANIC<< Write outside the limits"]
        self.assertEqual([line.split(":")[1] for line in diagnosis_lines([], log)], [" CPU1", " MEM0"])

    def test_many_reasons_are_cut_in_the_middle(self):
        log = ["%de[CPU0  ] VMFAIL: %d" % (n, n) for n in range(100)]
        lines = diagnosis_lines([], log)
        self.assertEqual((len(lines), lines[0][-1], lines[3], lines[-1][-2:]), (7, "0", "...", "99"))

    def test_a_repair_that_failed_is_shown(self):
        self.assertEqual(len(diagnosis_lines(["bochsfix: 64-bit idiv: wrong, and unknown"], [])), 1)


class SuggestTest(unittest.TestCase):
    MODELS = ["core2_penryn_t9600", "corei7_skylake_x", "corei7_haswell_4770", "ryzen", "Skylake-Client-v1"]

    def test_the_model_that_was_meant_is_first(self):
        self.assertEqual(nearest("corei7_skylak", self.MODELS)[0], "corei7_skylake_x")
        self.assertEqual(nearest("haswell", self.MODELS)[0], "corei7_haswell_4770")
        self.assertEqual(nearest("RYZEN", self.MODELS)[0], "ryzen")

    def test_nothing_is_suggested_for_nonsense(self):
        self.assertEqual(unknown_model("Bochs", "zzzz", self.MODELS),
                         "--cpu zzzz: Bochs has no such model; --cpu help lists them")


class UsageTest(unittest.TestCase):
    def test_an_unknown_option_names_the_one_that_was_meant(self):
        status, text = run("--kernal", "x")
        self.assertEqual((status, text.count("\n")), (2, 1))
        self.assertIn("--kernal: there is no such option; did you mean --kernel", text)

    def test_a_guest_larger_than_the_machine_is_said_at_once(self):
        status, text = run("--guest-mem", "4G", "--expect", "x")
        self.assertEqual(status, 2)
        self.assertIn("--guest-mem 4096M is not less than the machine's memory, 2048M", text)

    @unittest.skipUnless(os.path.exists(os.path.join(TOP, "build", "setup", "bochs")), "Bochs is not set up")
    def test_an_unknown_model_of_cpu_is_named_with_its_neighbours(self):
        status, text = run("--backend", "bochs", "--cpu", "corei7_skylak", "--expect", "x", "--no-config", "--efi", __file__)
        self.assertEqual((status, text.count("\n")), (2, 1))
        self.assertIn("Bochs has no such model; nearest: corei7_skylake_x", text)

    def test_help_says_the_rates_of_the_clocks(self):
        text = " ".join(parser().format_help().split())
        self.assertIn("the TSC has 50 MHz", text)
        self.assertIn("the TSC has 100 MHz", text)


class Machine:
    """A machine whose serial line is a pipe that the test writes to; a picture per call."""

    firmware_seconds = 9
    drains = ()

    def __init__(self, pictures=(b"same",)):
        self.serial, self.line = os.pipe()
        self.serial_in = self.line
        self.pictures = list(pictures)
        self.over = False

    def say(self, text):
        os.write(self.line, text)

    def ended(self):
        return self.over

    def wait(self):
        pass

    @staticmethod
    def ended_well():
        return True

    @staticmethod
    def diagnosis():
        return "\n    Bochs: why"

    def picture(self):
        return self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0]


class SessionTest(unittest.TestCase):
    def setUp(self):
        for name, value in (("SILENCE_SECONDS", 0.2), ("GRACE_SECONDS", 0.1), ("STILL_SECONDS", 0.5),
                            ("STILL_MOST_SECONDS", 2), ("QUIET_SECONDS", 0.05)):
            patch = mock.patch.object(session_module, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def session(self, machine, d, timeout=5, **more):
        said = io.StringIO()
        with redirect_stderr(said):
            try:
                result = Session(machine, d, timeout, **more).run()
            except RunnerError as error:
                result = error
        return result, said.getvalue()

    def test_the_start_and_what_was_matched_are_said(self):
        machine = Machine()
        machine.say(b"lethe: up\r\n")
        _, said = self.session(machine, dialogue("up$"))
        self.assertRegex(said, r"\Arun: firmware starts \(about 9 s\)\nrun: [\d.]+ s: seen: lethe: up\n\Z")

    def test_a_long_silence_is_broken(self):
        machine = Machine()
        machine.say(b"working")
        result, said = self.session(machine, dialogue("never"), timeout=0.7)
        self.assertIn("time-out", str(result))
        self.assertGreaterEqual(said.count(" s: last line: working\n"), 1)

    def test_a_silent_shell_on_a_terminal_is_left_alone(self):
        for begun, notes in ((b"firmware", True), (b"lethe: Lethe 1", False), (b"native: start tsc 1", False)):
            machine = Machine()
            machine.say(b"\n" + begun + b"\n")
            console = mock.Mock(ended=False, open=False)
            self.session(machine, dialogue(), timeout=0.6, console=console)
            said = [call.args[0] for call in console.note.call_args_list]
            self.assertEqual(len(said) > 1, notes, said)

    def test_a_dead_guest_comes_with_the_reasons_of_the_machine(self):
        machine = Machine()
        machine.say(b"lethe: vm a exited: entry-failed 0\n")
        result, _ = self.session(machine, dialogue("never"))
        self.assertIn("the guest ended", str(result))
        self.assertIn("Bochs: why", str(result))

    def test_a_text_is_sent_after_a_silence(self):
        machine = Machine()
        machine.say(b"sleeps\n")
        steps = [("expect", re.compile("sleeps")), ("quiet", 0.3), ("send", "woke\n"), ("expect", re.compile("woke"))]
        result, said = self.session(machine, Dialogue(steps, [], 1))
        self.assertIsNone(result)
        self.assertIn("seen: woke", said)  # the line of this machine gives back what it is given

    def test_a_picture_is_taken_when_it_has_stopped_changing(self):
        machine = Machine([b"1", b"2", b"2", b"3", b"4", b"whole"])
        machine.say(b"up\n")
        self.assertEqual(self.session(machine, dialogue("up"), picture=True)[0], b"whole")

    def test_a_picture_of_a_machine_that_ends_is_its_last(self):
        machine = Machine([b"1", b"last"])
        machine.say(b"up\n")
        os.close(machine.line)
        machine.serial_in, machine.over = None, True
        self.assertEqual(self.session(machine, dialogue("up"), picture=True)[0], b"last")

    def test_a_screen_without_rest_does_not_hold_the_run(self):
        machine = Machine()
        count = iter(range(10**6))
        machine.picture = lambda: b"%d" % next(count)
        machine.say(b"up\n")
        start = time.monotonic()
        _, said = self.session(machine, dialogue("up"), picture=True)
        self.assertLess(time.monotonic() - start, 5)
        self.assertIn("the picture may be torn", said)

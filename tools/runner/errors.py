# SPDX-License-Identifier: MIT
"""How a run can fail, and with which exit status."""


class RunnerError(Exception):
    """Something does not work as it should; the message says what. Exit status 1."""

    status = 1


class UsageError(RunnerError):
    """What was asked for makes no sense, or is not there. Exit status 2."""

    status = 2

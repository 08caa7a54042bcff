# SPDX-License-Identifier: MIT
"""What the benchmarks that start machines share."""

import importlib.machinery
import importlib.util
import os
import sys


class Unmeasured(Exception):
    """Why there is no such figure."""


def say(text):
    """A line of progress."""
    sys.stderr.write("bench: %s\n" % text)
    sys.stderr.flush()


def script(name):
    """A benchmark of this folder as a module."""
    path = os.path.join(os.path.dirname(os.path.realpath(__file__)), name)
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module

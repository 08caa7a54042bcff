# SPDX-License-Identifier: MIT
"""What may have been meant by a name that does not exist."""

import difflib


def nearest(name, names, most=3):
    """The names that are most like `name`, best first; may be empty."""
    lower = {known.lower(): known for known in names}
    found = difflib.get_close_matches(name.lower(), list(lower), n=most, cutoff=0.5)
    # A beginning or a part that was typed right counts for more than what the letters have in common.
    part = [known for known in lower if name.lower() in known]
    return [lower[known] for known in dict.fromkeys(part[:most] + found)][:most]


def did_you_mean(name, names):
    """A clause for the end of a message: "; did you mean A or B?", or nothing."""
    found = nearest(name, names, 2)
    return "; did you mean %s?" % " or ".join(found) if found else ""


def unknown_model(machine, name, models):
    """The message for a CPU model that the machine does not have."""
    found = nearest(name, models)
    return "--cpu %s: %s has no such model; %s--cpu help lists them" % (
        name, machine, "nearest: %s; " % ", ".join(found) if found else ""
    )

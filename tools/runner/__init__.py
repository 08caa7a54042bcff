# SPDX-License-Identifier: MIT
"""The parts of tools/run.

    cli       the command line; decides what is to be done
    conf      lethe.conf and the files that go beside it; builds the disk image
    backends  which machine is used, and why
    bochs     the machine under Bochs        \\  each gives a serial line as file descriptors,
    qemu      the machine under QEMU         /  and knows how its end looks
    session   the loop: serial line, terminal, dialogue, time, the machine's end
    dialogue  --expect and --send
    console   the terminal of an interactive run, with its escape key
    suggest   what was meant by a name that does not exist
    screen    a picture of the machine's screen
    process   children, the temporary directory, and that nothing of them stays behind
    errors    how a run can fail
"""

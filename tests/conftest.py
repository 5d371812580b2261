"""What holds for every test."""

import signal

from hypothesis import settings

# How fast a machine is tells nothing about whether a law holds.
settings.register_profile("laws", deadline=None)
settings.load_profile("laws")

# Who is started in the background ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

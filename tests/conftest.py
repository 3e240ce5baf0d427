"""What every test relies on."""

import signal

# A job started in the background ignores Ctrl-C, and so would every program that a test starts: a
# handler here becomes the default there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

"""What every test relies on."""

import os
import signal

# The models are tiny and several processes test at a time: more threads only wait for each other.
# It has to be said before torch or numpy is imported, and the programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A job started in the background ignores Ctrl-C, and so would every program that a test starts: a
# handler here becomes the default there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

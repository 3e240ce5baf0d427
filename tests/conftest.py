"""What every test relies on."""

import os
import signal

# A process that tests beside others keeps to a core of its own, and so does all that it starts:
# threads of one would wait for the other's, and what is timed would be the other's work too.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

# A job started in the background ignores Ctrl-C, and so would every program that a test starts: a
# handler here becomes the default there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The service that runs these tests is not to be told what they judge.
for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
    os.environ.pop(name, None)

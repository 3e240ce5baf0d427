"""Everything that needs torch or transformers."""

import os

# torch's threads spin while they wait for one another, which costs little on a quiet machine (5 %)
# and several times the work beside any other busy process. It is read once, when torch is loaded;
# whoever sets it otherwise is left alone.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

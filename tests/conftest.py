"""What all tests share."""

import os

# Processes that tests start meet the installed package, not the folder ``vidpc`` of the tree, which lacks ``vidpc.cli``.
os.environ["PYTHONSAFEPATH"] = "1"
# Before torch is loaded: on a busy machine, threads that wait actively for one another make the suite many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

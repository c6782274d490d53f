"""What all tests share."""

import os

# Processes that tests start meet the installed package, not the folder ``vidpc`` of the tree, which lacks ``vidpc.cli``.
os.environ["PYTHONSAFEPATH"] = "1"

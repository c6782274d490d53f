"""``python -m vidpc.cli`` is ``vidpc``."""

import sys

from .main import main

sys.exit(main())

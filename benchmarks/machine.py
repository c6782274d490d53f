"""What the figures of a benchmark depend on, and how they are told."""

import json
import os
import platform
import sys
from pathlib import Path

import av
import scipy
import torch

from vidpc import __version__


def machine() -> dict[str, object]:
    """The machine and the versions of what does the work."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scipy": scipy.__version__,
        "av": av.__version__,
        "vidpc": __version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def tell(result: dict[str, object], out: Path | None) -> None:
    """Prints the figures and the machine as JSON, and writes them to ``out`` where that is a file."""
    text = json.dumps({**result, "machine": machine()}, indent=2)
    sys.stdout.write(text + "\n")
    if out:
        out.write_text(text + "\n")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())

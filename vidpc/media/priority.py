"""The priority of this program, which encoders are not to change."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def usual_priority() -> Iterator[None]:
    """Threads that the block raised to real time, or began there, are scheduled afterwards as this one was before.

    SVT-AV1 does that where a program runs as root: everything else on the machine would stand still, and programs that are
    started later inherit it. Does nothing where there is no such scheduling.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").glob("*"):
            with suppress(OSError):  # it has just ended
                if os.sched_getscheduler(int(thread.name)) != policy:
                    os.sched_setscheduler(int(thread.name), policy, parameter)

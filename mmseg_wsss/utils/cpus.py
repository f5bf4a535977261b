"""Count the processors."""

import os


def available_cpus() -> int:
    """Return the number of CPUs on which this process may run, all on macOS.

    The doctor has its own copy, since it imports no other part.
    """
    affinity = getattr(os, 'sched_getaffinity', None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1

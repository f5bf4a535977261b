"""Sections of gpu_check.py: modules with ``rows(setting)`` and a share of the time.

A row is a dictionary with ``what`` and ``ok``. A section runs in an empty working
directory; what comes last has what time is left.
"""

from . import (
    compiled,
    deterministic,
    environment,
    inference,
    parity,
    parts,
    runner,
    steps,
    strategies,
    trainings,
)

SECTIONS = {
    module.__name__.rpartition('.')[2]: module
    for module in (
        environment,
        parity,
        parts,
        steps,
        runner,
        inference,
        strategies,
        deterministic,
        compiled,
        trainings,
    )
}

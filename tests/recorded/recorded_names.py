"""Recorded names, what they are called now, and the files that hold the steps."""

import json
from collections.abc import Mapping
from pathlib import Path

STEPS = Path(__file__).parent / 'steps'

# Recorded names and what they are called now: keys of the log, names of pseudo-labels
# and of networks, and names of parameters and buffers. A key that ends with '.' stands
# for all names that begin with it.
RENAMED: dict[str, str] = {
    'ratio_labelled': 'ratio_labeled',
    'classes': 'num_effective_classes',
    'isda': 'isda_ratio',
}

# Methods that are recorded under another name, and cases that were recorded and are not
# offered any more.
RECORDED_METHODS = {'CAM': 'WSSSBase', 'SupervisedSegmentor': 'SemiBaseSegmentor'}
DROPPED_CASES = {'TSCD: walk'}  # TSCD's labels never use the affinity

# Recorded names that need not exist any more, of a method or of all ('*'). As above, a
# name that ends with '.' stands for all that begin with it.
MAY_VANISH: dict[str, tuple[str, ...]] = {
    '*': ('loss_idle',),  # always 0
    'CAM': ('decode_head.', 'prediction'),
    'RCMMAM': ('decode_head.', 'prediction'),
    'AffinityNet': ('decode_head.', 'prediction'),
    'IRNet': ('decode_head.', 'prediction'),
    'TSCD': ('use_affinity',),  # always 0
}

# Pseudo-labels that methods have had since; they are computed from recorded ones.
ADDED = ('fused_cam',)


def recorded_name(name: str) -> str:
    """Recorded name of what is called ``name`` now."""
    return _translated(name, {new: old for old, new in RENAMED.items()})


def present_name(name: str) -> str:
    """Present name of what is recorded as ``name``."""
    return _translated(name, RENAMED)


def _translated(name: str, table: Mapping[str, str]) -> str:
    if name in table:
        return table[name]
    for old, new in table.items():
        if old.endswith('.') and name.startswith(old):
            return new + name.removeprefix(old)
    return name


def may_vanish(method: str, name: str) -> bool:
    """Whether ``MAY_VANISH`` lists a recorded name."""
    listed = MAY_VANISH['*'] + MAY_VANISH.get(method, ())
    return any(
        name == item or (item.endswith('.') and name.startswith(item))
        for item in listed
    )


def file_of(method: str) -> Path:
    """File of the cases of a method."""
    return STEPS / f'{RECORDED_METHODS.get(method, method)}.json'


def read(method: str) -> dict:
    """Recorded cases of a method by their names."""
    recorded = RECORDED_METHODS.get(method, method)
    found = json.loads(file_of(method).read_text())
    return {
        method + name.removeprefix(recorded): case
        for name, case in found.items()
        if name not in DROPPED_CASES
    }

"""How far recomputed steps are from those recorded."""

import math
from collections.abc import Iterator

from helpers.methods import METHODS
from recorded_cases import Case
from recorded_names import may_vanish

# Largest relative deviation. On one machine, with one number of threads, everything
# agrees to the bit. Other kernels (two threads, AVX2 in place of AVX-512, MKL's of
# SSE4.2) add up in another order: what is float64 throughout then differs by 1e-14 at
# most. Weakly supervised methods keep some maps in float32 whatever the type of the
# model (logits of the decode head at the size of the image, CAM, CRF), and their values
# differ by up to 3e-7; so do diagnostics that are shares of counts.
RTOL = {'float64': 1e-9, 'float32': 1e-6}

# Cases that were recorded anew since their numbers changed on purpose, and why.
REPLACED: dict[str, str] = {
    'ASDT: guide of the whole image': 'the guide is RGB as all others, it was BGR',
    'RRM: no background': 'class 0 is not balanced against all others',
    'ASDT: no background': 'class 0 is not balanced against all others',
    'AFA: train_mode': 'the images of the walk are in train mode, with their mirrors',
}


def differences(method: str, old: dict, new: dict) -> Iterator[tuple[str, float]]:
    """Relative deviation of every recorded value from the one found now.

    It is infinite where a value is missing, and where labels differ in any pixel. What
    is close to 0 counts relative to the values beside it: the sum of a tensor relative
    to its norm, the norm of a gradient relative to the largest one of the step.

    Args:
        method: Key of ``METHODS``.
        old: Recorded case.
        new: The same, recomputed.

    Yields:
        Place and deviation of each value.
    """

    def names(part: str, old: dict, new: dict) -> Iterator[str]:
        for name in sorted(old.keys() | new.keys()):
            place = f'{part}/{name}'
            if name in old and name in new:
                yield name
            elif name not in old:
                yield from ()
                missing.append((f'{place}: not recorded', math.inf))
            elif not may_vanish(method, name):
                missing.append((f'{place}: missing', math.inf))

    missing: list[tuple[str, float]] = []
    if len(old['steps']) != len(new['steps']):
        missing.append(('number of steps', math.inf))
    for i, (first, second) in enumerate(zip(old['steps'], new['steps'])):
        for name in names(f'step {i}', first, second):
            place = f'step {i}/{name}'
            yield place, _deviation(first[name], second[name])
    largest = [max(column) for column in zip(*old['gradients'].values())]
    for name in names('gradients', old['gradients'], new['gradients']):
        pairs = zip(old['gradients'][name], new['gradients'][name], largest)
        for i, (first, second, scale) in enumerate(pairs):
            yield f'gradients/{name}/step {i}', _deviation(first, second, scale)
    for name in names('state', old['state'], new['state']):
        (total, norm), (new_total, new_norm) = old['state'][name], new['state'][name]
        yield f'state/{name}/sum', _deviation(total, new_total, norm)
        yield f'state/{name}/norm', _deviation(norm, new_norm)
    for when in names('labels', old['labels'], new['labels']):
        first, second = old['labels'][when], new['labels'][when]
        for name in names(f'labels/{when}', first, second):
            place = f'labels/{when}/{name}'
            for key in ('histogram', 'crc32'):
                same = first[name][key] == second[name][key]
                yield f'{place}/{key}', 0.0 if same else math.inf
            for i, values in enumerate(zip(first[name]['soft'], second[name]['soft'])):
                yield f'{place}/soft {("sum", "norm")[i]}', _deviation(*values)
    yield from missing


def _deviation(old: float, new: float, scale: float = 0.0) -> float:
    if old == new:
        return 0.0
    if not (math.isfinite(old) and math.isfinite(new)):
        return math.inf
    return abs(old - new) / max(abs(old), abs(new), abs(scale), 1e-12)


def rtol(case: Case, place: str) -> float:
    """Largest relative deviation of a value, see :func:`differences`."""
    semi = METHODS[case.method].semi
    diagnostic = place.startswith('step ') and 'loss' not in place
    return RTOL['float64' if semi and not diagnostic else 'float32']

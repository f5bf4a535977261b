"""Refiners and losses against their references, with their times."""

import importlib.util
from collections.abc import Iterator
from functools import partial

import isda
import local_affinity
import rcm_mam
import torch
from timing import to_device
from torch import Tensor

from mmseg_wsss.models.refiners import DenseCRF, LocalAffinityRefiner

from .environment import copy_speed
from .losses import NAMES, arguments, call_loss, images, with_gradient
from .measuring import Setting, milliseconds, profile_of, relative_gap, waits_of

SHARE = 18
CRF = {'bilateral_sxy': 83.0, 'bilateral_srgb': 5.0, 'bilateral_compat': 4.0}
RCM_MAM = {'contrast': 'RCM: prototypes, loss, gradient', 'walk': 'RandomWalk'}
# No feature is zero: the formula has no gradient there.
SMALL = {'contrast': (2, 32, 3, 9), 'walk': (3, 4)}
BACKENDS = ('eager', 'triton', 'compile')


def rows(setting: Setting) -> Iterator[dict]:
    yield dense_crf(setting)
    for kind in ('par', 'varm'):
        yield from local_affinity_rows(kind, setting)
    yield isda_row(setting)
    for case in rcm_mam.CASES:
        yield rcm_mam_row(case, setting)
    for name in NAMES:
        yield loss_row(name, setting)


def dense_crf(setting: Setting) -> dict:
    """The CRF of ASDT's teacher B, 21 labels, on the device and on two cores."""
    torch.manual_seed(0)
    num, size = (2, 41) if setting.tiny else (4, 321)
    batch = images(num, size), torch.rand(num, 21, size, size).softmax(1)
    img, prob = to_device(batch, setting.device)
    crf = DenseCRF(**CRF)
    same = crf(img, prob).argmax(1).cpu() == crf(*batch).argmax(1)
    calls = {setting.device: lambda: crf(img, prob)}
    on_cores = {'torch': crf}
    if importlib.util.find_spec('pydensecrf'):
        on_cores['pydensecrf2'] = DenseCRF(**CRF, backend='pydensecrf', num_workers=2)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    host = {name: lambda run=run: run(*batch) for name, run in on_cores.items()}
    took = milliseconds(host, setting, repeats=1)
    torch.set_num_threads(threads)
    call = calls[setting.device]
    return {
        'what': f'DenseCRF, 21 labels, {num} x {size}',
        'same_labels': float(same.double().mean()),
        'ok': float(same.double().mean()) > 0.999,
        'ms': milliseconds(calls, setting),
        'ms_two_cores': took,
        'waits': waits_of(call, setting),
        **profile_of(call, setting),
    }


def local_affinity_rows(kind: str, setting: Setting) -> Iterator[dict]:
    """Every backend of the refiner against the formula in float64."""
    case = '2x3x40x48' if setting.tiny else '4x8x256x256'
    img, (mask,) = local_affinity.inputs_of(case, setting.device)
    expected = local_affinity.formula(img.double(), mask.double(), kind)
    iterations = LocalAffinityRefiner(kind).num_iters
    calls = {'formula': lambda: local_affinity.formula(img, mask, kind)}
    for backend in BACKENDS[: 3 if setting.gpu else 1]:
        what = f'{kind.upper()}, {backend}, {case}'
        refiner = LocalAffinityRefiner(kind, backend=backend)
        try:
            gap = relative_gap(refiner(img, mask), expected)
        except Exception as error:
            yield {'what': what, 'ok': False, 'error': repr(error)[:300]}
            continue
        calls[backend] = lambda refiner=refiner: refiner(img, mask)
        took = milliseconds(calls, setting)
        # Triton stores its weights in half precision.
        width, limit = (2, 2e-3) if backend == 'triton' else (4, 1e-4)
        pixels = len(img) * img[0, 0].numel()
        moved = iterations * pixels * (48 * width + 2 * 4 * mask.shape[1])
        speed = moved / took[backend] / 1e6
        yield {
            'what': what,
            'gap': gap,
            'ok': gap < limit,
            'ms': {backend: took[backend], 'formula': took['formula']},
            'GBs': speed,
            'share_of_copy': speed / copy_speed(setting),
            **profile_of(calls[backend], setting),
        }
        if backend != 'eager':
            del calls[backend]


def isda_row(setting: Setting) -> dict:
    classes, pixels = (5, 300) if setting.tiny else (21, 16384)
    runs = {
        run: isda.calls_of(run, classes, pixels, setting.device) for run in isda.RUNS
    }
    for calls in runs.values():
        calls['update']()
    offsets = [runs[run]['shift']() for run in ('ours', 'formula')]
    gap = relative_gap(*offsets)
    took = {
        f'{part}, {run}': calls[part] for run, calls in runs.items() for part in calls
    }
    return {
        'what': f'ISDA, {classes} classes, {pixels} pixels',
        'gap': gap,
        'ok': gap < 1e-4,
        'ms': milliseconds(took, setting),
        'waits': waits_of(runs['ours']['update'], setting),
        **profile_of(runs['ours']['update'], setting),
    }


def rcm_mam_row(case: str, setting: Setting) -> dict:
    sizes = SMALL if setting.tiny else rcm_mam.SIZES
    calls = {
        run: rcm_mam.call_of(run, case, sizes, setting.device) for run in rcm_mam.RUNS
    }
    gap = relative_gap(*(calls[run]() for run in ('here', 'formula')))
    return {
        'what': RCM_MAM[case],
        'gap': gap,
        'ok': gap < 1e-3,
        'ms': milliseconds(calls, setting),
        'waits': waits_of(calls['here'], setting),
        **profile_of(calls['here'], setting),
    }


def loss_row(name: str, setting: Setting) -> dict:
    """Compare a loss and its gradient with float64 on the CPU."""
    value, rest = arguments(name, setting)

    def wide(x: Tensor) -> Tensor:
        return x.double() if x.is_floating_point() else x

    expected = with_gradient(name, value.double(), tuple(map(wide, rest)))
    value, rest = to_device((value, rest), setting.device)

    calls = {'eager': lambda: with_gradient(name, value, rest)}
    if name == 'dense_energy_loss' and setting.gpu:
        kernel = partial(call_loss, backend='triton')
        calls['triton'] = lambda: with_gradient(name, value, rest, kernel)
    gaps = {run: relative_gap(call(), expected) for run, call in calls.items()}
    return {
        'what': name,
        'gap': gaps,
        'ok': max(gaps.values()) < 1e-3,
        'ms': milliseconds(calls, setting),
        'waits': waits_of(calls['eager'], setting),
        **profile_of(calls['eager'], setting),
    }

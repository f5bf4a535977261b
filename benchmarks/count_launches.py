"""Count launches, host waits, copies, collectives and graph breaks, without a GPU.

    python benchmarks/count_launches.py                 # everything
    python benchmarks/count_launches.py isda_update MKD --lines

Parts run at published sizes; methods run in each of their phases, on the tiny network
of the tests with 4 images of 65 x 65. Only forward passes run, on an emulated device,
see ``emulated_cuda.py``; a launch costs 6 to 8 microseconds of host time. Collectives
are counted in a process group of two ranks that sends nothing, and graph breaks of
``torch.compile`` on a CPU. Prints a table and writes its rows to
``benchmarks/results/launches.json``; rows with other names are kept.
"""

import argparse
import importlib.util
import json
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest import mock

import torch
import torch._dynamo as dynamo
import torch.distributed as dist
from emulated_cuda import Counts, count, on_gpu
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch.testing._internal.distributed.fake_pg import FakeStore

import mmseg_wsss  # noqa: F401  registers everything
from mmseg_wsss.models.losses import dense_energy_losses, regional_contrastive_loss
from mmseg_wsss.models.pseudo_labels import refine_inside, regional_prototypes
from mmseg_wsss.models.refiners import LocalAffinityRefiner, RandomWalk
from mmseg_wsss.models.utils import ImplicitSemanticAugmentation

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests'))

from helpers.methods import METHODS  # noqa: E402
from helpers.tiny import batch_of, set_phase, tiny_network  # noqa: E402

RESULT = ROOT / 'benchmarks' / 'results' / 'launches.json'
COLLECTIVES = ('all_reduce', 'all_gather', 'all_gather_into_tensor', 'broadcast')


def isda() -> tuple:
    """Return estimator, features and labels of 4 images of 64 x 64, as in MKD."""
    label = torch.randint(0, 21, (4 * 64 * 64,))
    return ImplicitSemanticAugmentation(21, 256), torch.randn(len(label), 256), label


def isda_update() -> Callable:
    estimator, feat, label = on_gpu(isda())
    return lambda: estimator.update(feat, label)


def isda_shift() -> Callable:
    estimator, _, label = on_gpu(isda())
    weight = on_gpu(torch.randn(21, 256))
    return lambda: estimator.shift(weight, label, 0.5)


def regions() -> tuple:
    """Return the features and regions of 8 crops of 384 x 384."""
    return torch.randn(8, 256, 48, 48), torch.randint(0, 21, (8, 384, 384))


def rcm_loss() -> Callable:
    feat, region = on_gpu(regions())
    prototypes = on_gpu(torch.randn(21, 256))
    return lambda: regional_contrastive_loss(feat, prototypes, region)


def rcm_prototypes() -> Callable:
    feat, region = on_gpu(regions())
    return lambda: regional_prototypes(feat, region, 21)


def random_walk() -> Callable:
    """Return the random walk of PSA on an image of 500 x 375."""
    walk = RandomWalk()
    shapes = (1, 20, 47, 63), (1, walk.num_pairs, 47, 63)
    maps, affinity = on_gpu([torch.rand(shape) for shape in shapes])
    return lambda: walk(maps, affinity)


def after_first(call: Callable) -> Callable:
    """Return a call after its first run, which copies constants."""
    count(call)
    return call


def refined(kind: str, backend: str) -> Callable:
    """Return a call of PAR or VARM on 4 images of 256 x 256, 8 maps each."""
    refiner = LocalAffinityRefiner(kind, backend=backend)
    img, maps = on_gpu([torch.rand(4, channels, 256, 256) for channels in (3, 8)])
    return after_first(lambda: refiner(img, maps))


def padded(kind: str, backend: str) -> Callable:
    """Return a call of PAR or VARM on 4 padded crops; counts do not depend on size."""
    refiner = LocalAffinityRefiner(kind, backend=backend)
    prob, img = torch.rand(4, 2, 4, 128, 128), torch.rand(4, 3, 128, 128)
    valid = torch.zeros(4, 128, 128, dtype=torch.bool)
    for inside, width in zip(valid, (128, 70, 100, 50)):
        inside[:, :width] = True
    prob, img, valid = on_gpu([prob, img, valid])
    return after_first(lambda: refine_inside(prob, img, valid, refiner))


def dense_energy_triton() -> Callable:
    """Return a call of the energy of both heads of ASDT on 4 crops of 321 x 321."""
    size = (4, 321, 321)
    probs = on_gpu([torch.rand(4, 21, *size[1:]) for _ in range(2)])
    img, roi = on_gpu([torch.rand(4, 3, *size[1:]), torch.ones(size)])
    pseudo = on_gpu(torch.full(size, 255))
    return lambda: dense_energy_losses(probs, img, roi, pseudo, backend='triton')


PARTS = {
    call.__name__: call
    for call in (isda_update, isda_shift, rcm_loss, rcm_prototypes, random_walk)
}
KINDS = ('par', 'varm')
PARTS |= {f'{kind}_padded': partial(padded, kind, 'eager') for kind in KINDS}
# Parts that run Triton kernels, counted where it is installed (make env-extras).
TRITON_PARTS = {
    'dense_energy_triton': dense_energy_triton,
    **{f'{kind}_triton': partial(refined, kind, 'triton') for kind in KINDS},
    **{f'{kind}_padded_triton': partial(padded, kind, 'triton') for kind in KINDS},
}
if importlib.util.find_spec('triton'):
    PARTS |= TRITON_PARTS


def method_steps(name: str) -> Iterator[tuple[str, Callable, Callable]]:
    """Yield each phase of a method, and its step on the device and on the CPU."""
    steps = []
    for place in (on_gpu, lambda value: value):
        model = place(tiny_network(name))
        steps.append((model, *place(batch_of(name, num=4, size=(65, 65)))))

    def step(place: int, phase: dict) -> None:
        model, inputs, data_samples = steps[place]
        set_phase(model, phase)
        model(inputs, data_samples, mode='loss')

    for phase in METHODS[name].phases:
        switches = {k: v for k, v in phase.items() if k != 'progress'}
        text = ', '.join(k if on else f'no {k}' for k, on in switches.items())
        label = f'{name} ({text})' if text else name
        yield label, lambda p=phase: step(0, p), lambda p=phase: step(1, p)


def count_collectives(call: Callable[[], object]) -> int:
    """Return the number of collectives of a call on one of two ranks."""
    calls: Counter[str] = Counter()

    def counted(name: str) -> Callable:
        function = getattr(dist, name)

        def run(*args: object, **kwargs: object) -> object:
            calls[name] += 1
            return function(*args, **kwargs)

        return run

    dist.init_process_group('fake', store=FakeStore(), rank=0, world_size=2)
    try:
        with ExitStack() as stack:
            for name in COLLECTIVES:
                stack.enter_context(mock.patch.object(dist, name, counted(name)))
            call()
    finally:
        dist.destroy_process_group()
    return calls.total()


def graph_breaks(name: str, phase: dict) -> int:
    """Return the number of graph breaks in a step: the number of graphs minus 1."""
    model = tiny_network(name)
    set_phase(model, phase)
    torch.compiler.reset()
    return dynamo.explain(model)(*batch_of(name), mode='loss').graph_break_count


def measure(names: list[str]) -> Iterator[tuple[str, Counts, int | None]]:
    """Yield label, counts and (for methods) collectives of parts and methods."""
    for name in names:
        torch.manual_seed(0)
        if name in PARTS:
            part = PARTS[name]()
            count(part)  # the first call fills caches, such as a CRF's lattice
            yield name, count(part), None
            continue
        for label, on_device, on_host in method_steps(name):
            count(on_device)
            yield label, count(on_device), count_collectives(on_host)


def main() -> None:
    known = [*PARTS, *METHODS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('names', nargs='*', default=known, metavar='NAME')
    parser.add_argument('--lines', action='store_true', help='print launches by line')
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    if unknown := set(args.names) - set(known):
        parser.error(f'expected names among {known}, got {sorted(unknown)}')
    warnings.filterwarnings('ignore')
    logging.disable(logging.INFO)
    init_default_scope('mmseg')
    result = {}
    keys = ('launches', 'waits', 'copies', 'mixed', 'collectives', 'graph_breaks')
    table = Table('part or method', *keys)
    breaks = [
        graph_breaks(name, phase)
        for name in args.names
        if name in METHODS
        for phase in METHODS[name].phases
    ]
    for label, counts, collectives in measure(args.names):
        row = counts.totals()
        if collectives is not None:
            row |= {'collectives': collectives, 'graph_breaks': breaks.pop(0)}
        at = {'waits_at': counts.waits, 'copies_at': counts.copies}
        result[label] = row | {k: dict(v.most_common()) for k, v in at.items() if v}
        table.add_row(label, *(str(row.get(key, 0)) for key in keys))
        if args.lines:
            for line, number in counts.launches.most_common(20):
                print(f'{label}: {number} {line}')
    args.out.parent.mkdir(exist_ok=True)
    if args.out.exists():
        result = json.loads(args.out.read_text()) | result
    args.out.write_text(json.dumps(result, indent=1) + '\n')
    Console().print(table)


if __name__ == '__main__':
    main()

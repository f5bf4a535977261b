"""Trainings of every method by MMEngine's Runner: AMP, one rank of NCCL, resuming."""

import math
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from helpers.tiny import tiny_config, write_tiny_voc
from helpers.training import Run, train, unformatted_configs
from mmengine.config import Config

from mmseg_wsss.engine.launch import prepare

from .measuring import Setting

SHARE = 17
HALF, END = 2, 4
AMP = {
    'float16': {'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic', 'dtype': 'float16'},
    'bfloat16': {'type': 'AmpOptimWrapper', 'dtype': 'bfloat16'},
}
PLAIN = {'float32': {'type': 'OptimWrapper'}}


def rows(setting: Setting) -> Iterator[dict]:
    one_rank()
    wrappers = AMP if setting.gpu else PLAIN  # MMEngine refuses AMP on a CPU
    with unformatted_configs():
        data = write_tiny_voc(Path('voc').absolute())
        for name in setting.methods:
            for dtype, wrapper in wrappers.items():
                row = {'what': f'{name}, {dtype}', 'ok': False}
                work = Path(f'{name}_{dtype}').absolute()
                try:
                    row |= resumed(name, data, work, wrapper)
                except Exception as error:
                    row['error'] = repr(error)[:300]
                yield row


def one_rank() -> None:
    """Set what torchrun sets for a group of one process."""
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        port = sock.getsockname()[1]
    one = {'RANK': 0, 'WORLD_SIZE': 1, 'LOCAL_RANK': 0, 'LOCAL_WORLD_SIZE': 1}
    os.environ.update({key: str(value) for key, value in one.items()})
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))


def resumed(name: str, data: Path, work: Path, wrapper: dict) -> dict:
    """Train to the half, and resume from there."""
    runs = []
    for until in (HALF, END):
        cfg = tiny_config(name, data, work, END, resume=until == END)
        cfg.optim_wrapper |= wrapper
        runs.append(run(cfg, until))
    first, second = runs
    iterations = [*first.losses, *second.losses]
    return {
        'ok': iterations == [*range(END)] and finite(first) and finite(second),
        'iterations': iterations,
        'loss': second.losses.get(END - 1, {}).get('loss'),
    }


def run(cfg: Config, until: int) -> Run:
    """Train in a process group of one rank."""
    cfg.launcher = 'pytorch'
    prepare(cfg)
    return train(cfg, until=until)


def finite(run: Run) -> bool:
    """Return whether losses and weights are finite."""
    weights = [
        value
        for key, value in run.state.items()
        if key.startswith('model') and getattr(value, 'is_floating_point', bool)()
    ]
    losses = [value for logs in run.losses.values() for value in logs.values()]
    return all(map(math.isfinite, losses)) and all(
        bool(weight.isfinite().all()) for weight in weights
    )

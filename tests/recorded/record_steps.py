"""Record training steps of every method on a tiny network, and recompute them.

The files in ``tests/recorded/steps`` hold what each step of a short training in float64
logged, the gradients, the pseudo-labels, and the state that was left behind.
``test_recorded_steps.py`` recomputes them with :func:`run_case`, so that a change of
structure can be told from a change of numbers::

    python tests/recorded/record_steps.py            # write all files anew
    python tests/recorded/record_steps.py --check    # largest deviation of each case
    python tests/recorded/record_steps.py AFA --only 'AFA: OPTION'    # add this case

Do not write the files anew to make a test pass. Where a name changed, note it in
``RENAMED`` of ``recorded_names.py``; where something was removed on purpose, in its
``MAY_VANISH``; where an argument of a config changed its name, in
``recorded_cases.py``. Where a number changed on purpose, note the case and the reason
in ``REPLACED`` of ``deviations.py``, and write this case alone by ``--only``.
"""

import argparse
import itertools
import json
import math
import random
import re
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from deviations import REPLACED, differences
from helpers.methods import METHODS
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from recorded_cases import PREDICT_ON, Case, batch, build, cases
from recorded_names import (
    ADDED,
    STEPS,
    file_of,
    may_vanish,
    present_name,
    read,
    recorded_name,
)
from torch.utils.data import DataLoader

import mmseg_wsss  # noqa: F401  (registers everything)

_runs = itertools.count()


def fill(model: torch.nn.Module) -> None:
    """Give every weight a value that follows from its recorded name alone.

    So it depends neither on the order in which the parts are built nor on parts that
    are absent. Buffers other than running statistics stay as they are.
    """
    stats = ('running_mean', 'running_var')
    tensors = dict(model.named_parameters()) | {
        name: buffer for name, buffer in model.named_buffers() if name.endswith(stats)
    }
    for name, tensor in tensors.items():
        rng = np.random.default_rng(zlib.crc32(recorded_name(name).encode()))
        noise = rng.standard_normal(tuple(tensor.shape))
        if tensor.dim() > 1:
            noise *= math.sqrt(2 / tensor[0].numel())
        else:
            noise *= 0.1
            # Scales of normalisation and variances lie about 1.
            noise = np.abs(noise) + 0.8 if name.endswith(('weight', 'var')) else noise
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(noise))


class _Recorder(Hook):
    """Sets the weights before the training, seeds each step, and notes what it does."""

    priority = 'LOWEST'  # after the hooks of the method

    def __init__(self, case: Case) -> None:
        self.case = case
        self.steps: list[dict] = []
        self.gradients: dict[str, list[float]] = {}
        self.labels: dict[str, dict] = {}

    def before_train(self, runner: Runner) -> None:
        fill(runner.model)
        runner.optim_wrapper.optimizer.register_step_pre_hook(
            lambda *_: self._note_gradients(runner.model)
        )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        last = runner.iter == self.case.iters - 1
        if last or (self.case.detailed and runner.iter == 0):
            self.labels[f'before step {runner.iter}'] = self._labels(runner.model)
        random.seed(runner.iter)
        np.random.seed(runner.iter)
        torch.manual_seed(1000 + runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        self.steps.append(
            {
                recorded_name(key): float(torch.as_tensor(value).detach())
                for key, value in outputs.items()
            }
        )

    def result(self, model: torch.nn.Module) -> dict:
        """What the training did, in the form of the files."""
        state = {
            recorded_name(name): [float(value.double().sum()), _norm(value)]
            for name, value in model.state_dict().items()
            if not name.startswith('data_preprocessor.')
            and not name.endswith('num_batches_tracked')
        }
        gradients = self.gradients
        if not self.case.detailed:
            state, gradients = _grouped(state, 1), _grouped(gradients, 0)
        return {
            'steps': self.steps,
            'gradients': _rounded(gradients),
            'labels': self.labels,
            'state': _rounded(state),
        }

    def _note_gradients(self, model: torch.nn.Module) -> None:
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                gradient = parameter.grad
                norm = 0.0 if gradient is None else _norm(gradient)
                self.gradients.setdefault(recorded_name(name), []).append(norm)

    @torch.no_grad()
    def _labels(self, model: Any) -> dict:
        """Pseudo-labels of the batch of the first step, or what the networks predict.

        Where there are no details, it is without the image that has no tags, and of the
        last network of ``PREDICT_ON``.
        """
        model.eval()
        found = {}
        data = batch(self.case, 0)
        if METHODS[self.case.method].semi:
            data = {key: value['unsup_weak'] for key, value in data.items()}
            data = model.data_preprocessor(data, False)
            for name in PREDICT_ON[self.case.method][-1 - 4 * self.case.detailed :]:
                before, model.predict_on = model.predict_on, present_name(name)
                results = model.predict(data['inputs'], data['data_samples'])
                model.predict_on = before
                pairs = [(r.pred_sem_seg.data, r.seg_logits.data) for r in results]
                found[name] = _label_digest(pairs)
        else:
            if not self.case.detailed:
                data = {key: value[:2] for key, value in data.items()}
            data = model.data_preprocessor(data, False)
            method = self.case.method
            sources = [
                name
                for name in METHODS[method].pseudo_sources
                if not (name in ADDED or may_vanish(method, name))
            ]
            results = model.pseudo_labels(data['inputs'], data['data_samples'], sources)
            for source in sources:
                pairs = [result[source] for result in results]
                found[recorded_name(source)] = _label_digest(pairs)
        model.train()
        return found


def _norm(tensor: torch.Tensor) -> float:
    return float(tensor.detach().double().norm())


def _label_digest(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> dict:
    """Histogram and checksum of labels, and sum and norm of their soft maps."""
    labels = torch.cat([label.flatten() for label, _ in pairs]).numpy()
    soft = torch.cat([soft.double().flatten() for _, soft in pairs])
    values, counts = np.unique(labels, return_counts=True)
    return {
        'histogram': {str(v): int(n) for v, n in zip(values, counts)},
        'crc32': zlib.crc32(labels.astype('<i8').tobytes()),
        'soft': _rounded([float(soft.sum()), _norm(soft)]),
    }


def _grouped(values: dict[str, list[float]], num_sums: int) -> dict[str, list[float]]:
    """Sums and norms of all tensors of which the first two parts of the name agree.

    Args:
        values: Of each tensor ``num_sums`` sums, and norms.
        num_sums: Number of sums.
    """
    groups: dict[str, list[list[float]]] = {}
    for name, row in sorted(values.items()):
        groups.setdefault('.'.join(name.split('.')[:2]), []).append(row)
    return {
        name: [
            math.fsum(column) if i < num_sums else math.hypot(*column)
            for i, column in enumerate(zip(*rows))
        ]
        for name, rows in groups.items()
    }


def _rounded(node: Any) -> Any:
    """Numbers with 12 digits."""
    if isinstance(node, dict):
        return {key: _rounded(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_rounded(value) for value in node]
    return float(f'{node:.11e}')


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Leave oneDNN out, and put every setting and generator back afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        with torch.backends.mkldnn.flags(enabled=False):
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def draws() -> list[float]:
    """What the random numbers of this build of torch are."""
    with plain_kernels():
        torch.manual_seed(0)
        ones = torch.ones(40, 40, dtype=torch.float64)
        kept = [F.dropout(ones), F.dropout2d(ones[:, :, None, None], 0.3)]
        powers = torch.arange(ones.numel(), dtype=torch.float64).view_as(ones)
        sums = [float((item.view_as(ones) * powers).sum()) for item in kept]
        uniform = float((torch.rand(40, 40).double() * powers).sum())
        return [*sums, uniform, float(torch.randint(2**62, ()))]


@cache
def _visualizer() -> Visualizer:
    return Visualizer('recorded')  # each takes its time to draw an empty figure


def recorded_draws() -> list[float]:
    """What they were when the steps were recorded."""
    return json.loads((STEPS / 'draws.json').read_text())


def run_case(case: Case) -> dict:
    """Train a case with MMEngine's Runner; returns what its file holds."""
    init_default_scope('mmseg')
    with plain_kernels(), tempfile.TemporaryDirectory() as work_dir:
        hooks = METHODS[case.method].hooks if case.hooks is None else case.hooks
        recorder = _Recorder(case)
        batches = [batch(case, step) for step in range(case.iters)]
        off = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler')
        runner = Runner(
            build(case),
            work_dir,
            train_dataloader=DataLoader(batches, collate_fn=lambda items: items[0]),
            train_cfg={'type': 'IterBasedTrainLoop', 'max_iters': case.iters},
            optim_wrapper={
                'type': 'OptimWrapper',
                'optimizer': {'type': 'SGD', 'lr': 0.01, 'momentum': 0.9},
            },
            default_hooks=dict.fromkeys((*off, 'checkpoint')),
            custom_hooks=[dict(deepcopy(hook)) for hook in hooks],
            env_cfg={'mp_cfg': {'mp_start_method': 'fork', 'opencv_num_threads': 0}},
            visualizer=_visualizer(),
            log_level='ERROR',
            default_scope='mmseg',
            randomness={'seed': 3},
            # MMEngine keeps loggers and logged values under this name.
            experiment_name=f'recorded_{next(_runs)}',
        )
        runner.register_hook(recorder)
        # A recorded run is shorter than its schedules, which the check refuses.
        with mock.patch('mmseg_wsss.engine.hooks.phase_hook.check_once'):
            runner.train()
        return recorder.result(runner.model)


def _text(found: dict) -> str:
    """JSON in which the innermost lists and mappings have one line each."""
    text = json.dumps(found, indent=1)
    inner = re.compile(r'([\[{])\n\s*([^\[\]{}]*?)\n\s*([\]}])')
    return inner.sub(lambda m: m[1] + re.sub(r'\n\s*', ' ', m[2]) + m[3], text) + '\n'


def main() -> None:
    """Write the files, or compare with them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument('methods', nargs='*', default=list(METHODS))
    parser.add_argument('--check', action='store_true', help='write nothing')
    parser.add_argument('--digits', action='store_true', help='print each deviation')
    parser.add_argument(
        '--only',
        metavar='CASE',
        action='append',
        help='write this case alone, which is new or listed in REPLACED',
    )
    args = parser.parse_args()
    STEPS.mkdir(exist_ok=True)
    for method in args.methods:
        kept = json.loads(file_of(method).read_text()) if args.only else {}
        found = {}
        for name, case in cases().items():
            if case.method != method or (args.only and name not in args.only):
                continue
            if name in kept and name not in REPLACED:
                parser.error(f'{name} is recorded; give the reason in REPLACED')
            start = time.perf_counter()
            found[name] = run_case(case)
            spent = time.perf_counter() - start
            if not args.check:
                print(f'{name}: {spent:.2f} s')
                continue
            old = json.loads(json.dumps(read(method)[name]))
            rows = sorted(differences(method, old, found[name]), key=lambda r: -r[1])
            print(f'{name}: {spent:.2f} s, {rows[0][1]:.1e} ({rows[0][0]})')
            if args.digits:
                print(*(f'    {place}: {by:.1e}' for place, by in rows[:20]), sep='\n')
        if not args.check:
            file_of(method).write_text(_text(kept | found))
    if not (args.check or args.only):
        (STEPS / 'draws.json').write_text(json.dumps(draws()) + '\n')


if __name__ == '__main__':
    sys.exit(main())

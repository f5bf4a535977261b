"""Refuse to compare runs whose data, budget or start differ."""

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from mmseg_wsss.utils.configs import walk

from .comparison import PARTS, Comparison, Run, check_parts, digest_of

MISSING = 'nothing'


def check_fair(comparison: Comparison, allowed: Sequence[str] = ()) -> None:
    """Raise a ValueError if a run differs from the baseline in what must be equal.

    Data are the sets of training and test images, with their lists and labels, not the
    augmentations of the training images. The budget is the number of steps and the
    numbers of images per step, of each source. The start is the run in ``starts`` or
    ``load_from``; without either, the pretrained weights of the model's parts.

    Args:
        comparison: The comparison.
        allowed: Parts out of ``PARTS`` that may differ, besides those that the file
            allows.
    """
    check_parts(allowed, comparison.name)
    parts = [
        part for part in PARTS if part not in (*allowed, *comparison.allow_different)
    ]
    base = comparison.runs[comparison.baseline]
    expected = parts_of(comparison, base)
    for run in comparison.runs.values():
        found = parts_of(comparison, run)
        for part in parts:
            if found[part] != expected[part]:
                difference = _difference(found[part], expected[part])
                if part == 'start' and run.start != base.start:
                    difference = f'{_start(run)} against {_start(base)}'
                raise ValueError(
                    f'{comparison.name}: {run.name!r} and the baseline {base.name!r} '
                    f'differ in their {part}: {difference}'
                    f'; make them equal, or pass --allow-different {part}'
                )


def _start(run: Run) -> str:
    return 'no run' if run.start is None else repr(run.start)


def parts_of(comparison: Comparison, run: Run) -> dict[str, Any]:
    """Return what must be equal between runs: data, budget and start."""
    cfg = run.load()
    loader = cfg.train_dataloader
    data = {'train': _without_pipelines(loader.dataset.to_dict())}
    if run.tests:
        data['test'] = cfg.test_dataloader.dataset.to_dict()
    if run.sources:
        data['export'] = cfg.export_dataloader.dataset.to_dict()
    start: Any = cfg.get('load_from')
    if run.start is not None:
        start = _chain(comparison, run.start)
    if start is None:
        start = _pretrained(cfg.model.to_dict())
    return {
        'data': data,
        'budget': {
            'steps': optimizer_steps(cfg),
            'images per step': images_per_step(cfg),
            'source_ratio': list(loader.sampler.get('source_ratio') or ()),
        },
        'start': {'network': start},
    }


def _pretrained(model: dict) -> list[str]:
    """Return the checkpoints that parts of a model are initialized from."""
    return sorted(
        {
            str(part['checkpoint'])
            for _, part in walk(model)
            if isinstance(part, dict) and part.get('type') == 'Pretrained'
        }
    )


def _chain(comparison: Comparison, name: str | None) -> list[str]:
    """Return the digests of a start and of the starts before it."""
    if name is None:
        return []
    run = comparison.starts[name]
    return [digest_of(run.load()), *_chain(comparison, run.start)]


def optimizer_steps(cfg: Config) -> int:
    """Return the number of steps of the optimizer, the last one included."""
    times = cfg.optim_wrapper.get('accumulative_counts', 1)
    return -(-int(cfg.train_cfg.max_iters) // int(times))


def images_per_step(cfg: Config) -> int:
    """Return how many images a step of the optimizer sees on one process."""
    times = cfg.optim_wrapper.get('accumulative_counts', 1)
    return int(cfg.train_dataloader.batch_size) * int(times)


def _without_pipelines(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _without_pipelines(v) for k, v in node.items() if k != 'pipeline'}
    return [_without_pipelines(v) for v in node] if isinstance(node, list) else node


def _difference(found: dict, expected: dict) -> str:
    """Name the first value that differs."""
    pairs = [dict(_leaves(found)), dict(_leaves(expected))]
    for key in [*pairs[0], *pairs[1]]:
        first, second = (pair.get(key, MISSING) for pair in pairs)
        if first != second:
            return f'{key} is {first} against {second}'
    return f'{found} against {expected}'


def _leaves(node: dict) -> list[tuple[str, Any]]:
    return [
        (path, part) for path, part in walk(node) if not isinstance(part, dict | list)
    ]

"""Check that the runs of a comparison have the same data, budget and start."""

import inspect
from collections.abc import Collection, Sequence
from typing import Any

from mmengine.config import Config

from mmseg_wsss.datasets.samplers import MultiSourceSampler
from mmseg_wsss.utils.configs import walk, walk_dicts

from .comparison import PARTS, Comparison, Options, Run, check_parts, digest_of
from .run_inputs import tested_dataset
from .setting import apply_setting

MISSING = 'nothing'


def check_fair(comparison: Comparison, allowed: Sequence[str] = ()) -> None:
    """Check that no run differs from the baseline in data, budget or start.

    The data are the training images with their lists and the transforms that load them
    and their labels (but not augmentations), the images of the export, and the images
    and settings of tests with the same name. The budget is the number of optimizer
    steps, the number of images per step, the ratio of their sources, and the crop size.
    The start is the run in ``starts``, or ``load_from``; without either, the pretrained
    weights of the model's parts.

    Args:
        comparison: The comparison.
        allowed: Parts from ``PARTS`` that may differ, besides those that the file
            allows.

    Raises:
        ValueError: If a run differs in another part; the message gives the difference.
    """
    check_parts(allowed, comparison.name)
    parts = [
        part for part in PARTS if part not in (*allowed, *comparison.allow_different)
    ]
    base = comparison.runs[comparison.baseline]
    for run in comparison.runs.values():
        found = parts_of(comparison, run, base.tests)
        expected = parts_of(comparison, base, run.tests)
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


def parts_of(
    comparison: Comparison, run: Run, tests: Collection[str] | None = None
) -> dict[str, Any]:
    """Return what must be equal between runs: data, budget and start.

    Args:
        comparison: The comparison.
        run: One of its runs.
        tests: Names of the tests that count; all by default.
    """
    cfg = run.load()
    loader = cfg.train_dataloader
    dataset = loader.dataset.to_dict()
    data = {
        'train': _loaded(dataset),
        'test': {
            name: _test(cfg, setting)
            for name, setting in run.tests.items()
            if tests is None or name in tests
        },
    }
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
            'source_ratio': _source_ratio(loader.sampler),
            'crop_size': _crop_sizes(dataset),
        },
        'start': {'network': start},
    }


def _pretrained(model: dict) -> list[str]:
    """Return the checkpoints from which parts of a model are initialized."""
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
    """Return the number of optimizer steps, an incomplete last one included."""
    times = cfg.optim_wrapper.get('accumulative_counts', 1)
    return -(-int(cfg.train_cfg.max_iters) // int(times))


def images_per_step(cfg: Config) -> int:
    """Return the number of images per optimizer step of one process."""
    times = cfg.optim_wrapper.get('accumulative_counts', 1)
    return int(cfg.train_dataloader.batch_size) * int(times)


def _loaded(node: Any) -> Any:
    """Return the config of a dataset with only the loading steps of its pipelines."""
    if isinstance(node, dict):
        return {
            k: _loads(v) if k == 'pipeline' else _loaded(v) for k, v in node.items()
        }
    return [_loaded(part) for part in node] if isinstance(node, list) else node


def _loads(pipeline: Any) -> list[dict]:
    steps = walk_dicts(pipeline)
    names = ((step, str(step.get('type')).rpartition('.')[2]) for step in steps)
    return [step for step, name in names if name.startswith('Load')]


def _test(cfg: Config, setting: Options) -> dict[str, Any]:
    """Return the images of a test and its complete setting."""
    parameters = list(inspect.signature(apply_setting).parameters.values())[1:]
    values = {one.name: setting.get(one.name, one.default) for one in parameters}
    values['scales'] = list(values['scales'])
    return {'dataset': tested_dataset(cfg, setting), **values}


def _source_ratio(sampler: dict) -> list[float]:
    default: Sequence[float] = ()
    if str(sampler['type']).rpartition('.')[2] == MultiSourceSampler.__name__:
        parameters = inspect.signature(MultiSourceSampler).parameters
        default = parameters['source_ratio'].default
    return list(sampler.get('source_ratio') or default)


def _crop_sizes(dataset: dict) -> list[str]:
    """Return the height and width of the crops of a dataset, each size once."""
    sizes = (part['crop_size'] for part in walk_dicts(dataset) if 'crop_size' in part)
    pairs = ((size, size) if isinstance(size, int) else size for size in sizes)
    return sorted({f'{height} x {width}' for height, width in pairs})


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

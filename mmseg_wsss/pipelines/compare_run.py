"""Train and measure one run of a comparison, in a process of its own.

``python -m mmseg_wsss.pipelines.compare_run FILE NAME SEED ROOT``
"""

import contextlib
import fcntl
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmseg_wsss.engine.launch import TRAINING_ERRORS
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.launch import one_line_errors

from .comparison import Comparison, Run, digest_of, read_comparison
from .comparison_check import images_per_step
from .measure import measure

RESULT = 'run.json'


def wanted_of(run: Run) -> dict[str, Any]:
    """Return what is scored of a run, as stored with its result."""
    wanted = {'sources': list(run.sources), 'tests': dict(run.tests)}
    return json.loads(json.dumps(wanted))


def finished(comparison: Comparison, run: Run, seed: int, root: str) -> dict | None:
    """Return the result of a finished run, or None."""
    cfg = comparison.config(run, seed, root)
    path = Path(cfg.work_dir, RESULT)
    if not path.is_file():
        return None
    result = json.loads(path.read_text('utf-8'))
    return result if result['wanted'] == wanted_of(run) else None


def do_run(comparison: Comparison, run: Run, seed: int, root: str) -> dict[str, Any]:
    """Train a run, or go on with it, measure it and store the result.

    Args:
        comparison: The comparison.
        run: One of its runs or starts.
        seed: Seed of the run.
        root: Folder of the runs.

    Returns:
        Name, config, options, seed, digest, folder, steps, images seen, seconds,
        machine, scores and areas of each image, see :func:`.measure`.
    """
    cfg = comparison.config(run, seed, root)
    with _locked(Path(cfg.work_dir)):
        result = measure(cfg, cfg.work_dir, run.sources, run.tests, per_image=True)
        found = _facts(cfg, run, seed) | {
            key: result.get(key) for key in ('seconds', 'machine')
        }
        found |= {
            'scores': _scores(result),
            'areas': _areas(result),
            'images': result.get('images', {}),
            'wanted': wanted_of(run),
        }
        with atomic_write(Path(cfg.work_dir, RESULT), 'w') as file:
            json.dump(found, file, indent=1)
    return found


def _facts(cfg: Config, run: Run, seed: int) -> dict[str, Any]:
    steps, images = cfg.train_cfg.max_iters, images_per_step(cfg)
    return {
        'config': Path(run.config).name,
        'cfg_options': json.loads(json.dumps(dict(run.cfg_options), default=str)),
        'without': list(run.without),
        'hooks': json.loads(json.dumps(dict(run.hooks), default=str)),
        'start': run.start,
        'seed': seed,
        'digest': digest_of(cfg),
        'folder': cfg.work_dir,
        'steps': steps,
        'images_a_step': images,
        'images_seen': steps * images,
    }


def _scores(result: dict[str, Any]) -> dict[str, float]:
    """Name the scores of :func:`.measure`: ``val/TEST``, ``train/SOURCE``."""
    scores: dict[str, float] = {}
    for name, values in result.get('val', {}).items():
        found = [v for key, v in values.items() if key.rpartition('/')[2] == 'mIoU']
        scores |= {f'val/{name}': found[0]} if found else {}
    for key, value in result.get('train', {}).items():
        source, _, kind = key.rpartition('/')
        scores[f'train/{source}' + ('' if kind == 'mIoU' else f'/{kind}')] = value
    return {name: round(value, 4) for name, value in scores.items()}


def _areas(result: dict[str, Any]) -> dict[str, list[str]]:
    parts = result.get('areas', {})
    return {
        f'{split}/{name}': lines
        for split, part in parts.items()
        for name, lines in part.items()
        if lines
    }


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process work in a folder at a time; the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@one_line_errors(*TRAINING_ERRORS)
def main() -> None:
    """Do the run of the command line."""
    file, name, seed, root = sys.argv[1:5]
    comparison = read_comparison(file)
    run = {**comparison.runs, **comparison.starts}[name]
    do_run(comparison, run, int(seed), root)


if __name__ == '__main__':
    main()

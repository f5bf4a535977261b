"""Train and measure one run of a comparison, in its own process.

``python -m mmseg_wsss.pipelines.compare_run FILE NAME SEED ROOT``
"""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmseg_wsss.engine.checkpoints import read_checkpoint
from mmseg_wsss.engine.launch import TRAINING_ERRORS
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.launch import one_line_errors
from mmseg_wsss.utils.locks import file_lock

from .compare_report import images_by_test, runs_of
from .comparison import (
    Comparison,
    Run,
    digest_of,
    final_checkpoint,
    read_comparison,
)
from .comparison_check import images_per_step, optimizer_steps
from .measure import RECORD, drop_record, measure
from .run_inputs import file_digests

RESULT = 'run.json'
LOCK = '.lock'


def wanted_of(run: Run) -> dict[str, Any]:
    """Return the sources and tests to score of a run, as stored with its result."""
    wanted = {'sources': list(run.sources), 'tests': dict(run.tests)}
    return json.loads(json.dumps(wanted))


def finished(comparison: Comparison, run: Run, seed: int, root: str) -> dict | None:
    """Return the result of a finished run, or None.

    A run is unfinished if its start has another network by now, for example because
    another machine rounds differently, or if the content of a list, a tag file or a
    training mask has changed. Scores and areas that only other comparisons asked for
    are left out.
    """
    result = _stored(comparison.config(run, seed, root).work_dir)
    if result is None:
        return None
    if run.start is not None:
        start = _stored(comparison.config_of_start(run, seed, root).work_dir) or {}
        network = start.get('network')  # None: unknown, from an older report
        if network not in (None, result.get('start_network')):
            return None
    wanted, found = wanted_of(run), result['wanted']
    files, known = file_digests(run, wanted), result.get('files', {})
    if any(known.get(name, digest) != digest for name, digest in files.items()):
        return None
    missing = set(wanted['sources']) - set(found['sources'])
    if missing or any(
        found['tests'].get(name) != test for name, test in wanted['tests'].items()
    ):
        return None
    result['wanted'] = wanted
    names = {f'val/{name}' for name in wanted['tests']}
    names |= {f'train/{source}' for source in wanted['sources']}
    names |= {'train'} if wanted['sources'] else set()
    for part in ('scores', 'areas', 'images'):
        result[part] = {
            key: value
            for key, value in result[part].items()
            if key in names or key.rpartition('/')[0] in names - {'train'}
        }
    return result


def restore(path: str | os.PathLike, root: str | os.PathLike) -> set[Path]:
    """Store the runs of a saved report as finished, in addition to those in ``root``.

    The name of a run's folder contains a digest of its config, so that runs of
    different configs are not confused. If ``root`` already has a run, the scores of
    both are kept, and those in ``root`` take precedence; if the networks differ, only
    those in ``root`` are kept. A run in training is left out, with a line.

    Args:
        path: JSON file of a comparison.
        root: Folder of the runs.

    Returns:
        Folders of the report's runs below ``root``.

    Raises:
        ValueError: If the file is not a report.
    """
    try:
        results = runs_of(json.loads(Path(path).read_text('utf-8')))
        folders = [Path(root, run['folder']) for run in results]
        for run in results:
            _both(run['wanted'], run['wanted'])
            del run['name']  # another comparison may use another name
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'{path}: expected a JSON file that compare.py has written: {error!r}'
        ) from error
    for folder, saved in zip(folders, results):
        busy = f'{folder} is in use: its saved scores are left out, repeat this later'
        try:
            with file_lock(folder / LOCK, busy):
                _merge(saved, folder)
        except BlockingIOError as error:  # a training, which stores its own at its end
            print(error, file=sys.stderr)
    return set(folders)


def _merge(saved: dict[str, Any], folder: Path) -> None:
    """Add the scores of a saved run to those of the same network in its folder."""
    known = _stored(folder)
    if known is not None:
        if saved.get('network') not in (None, known.get('network')):
            return
        parts = ('scores', 'areas', 'images')
        merged = {part: saved[part] | known[part] for part in parts}
        wanted = _both(saved['wanted'], known['wanted'])
        saved = known | merged | {'wanted': wanted}
    _store(saved, folder)


def _store(result: dict[str, Any], folder: Path) -> None:
    with atomic_write(folder / RESULT, 'w') as file:
        json.dump(result, file, indent=1)


def _stored(folder: str | os.PathLike) -> dict | None:
    path = Path(folder, RESULT)
    if not path.is_file():
        return None
    result = json.loads(path.read_text('utf-8'))
    return result | {'images': images_by_test(result['images'], result['areas'])}


def _both(earlier: dict, wanted: dict) -> dict:
    """Merge what two comparisons score; the tests of ``wanted`` take precedence."""
    sources = dict.fromkeys([*earlier['sources'], *wanted['sources']])
    return {'sources': [*sources], 'tests': earlier['tests'] | wanted['tests']}


def do_run(comparison: Comparison, run: Run, seed: int, root: str) -> dict[str, Any]:
    """Train a run, or resume it, measure it and store the result.

    Args:
        comparison: The comparison.
        run: One of its runs or starts.
        seed: Seed of the run.
        root: Folder of the runs.

    Returns:
        Config, options, seed, folder, steps, number of training images, seconds,
        machine, versions, digests of the network, the start's network and the files,
        scores, and areas of each image, see :func:`.measure`.
    """
    cfg = comparison.config(run, seed, root)
    with file_lock(Path(cfg.work_dir, LOCK)):
        stored, wanted = _stored(cfg.work_dir), wanted_of(run)
        if stored is not None:  # keep what other comparisons asked for
            wanted = _both(stored['wanted'], wanted)
        files = file_digests(run, wanted)
        inputs = dict(files)
        if run.start is not None:
            start = comparison.config_of_start(run, seed, root)
            inputs['start'] = _network(start)
            _drop_other_start(stored, inputs['start'], cfg.work_dir)
        result = measure(
            cfg,
            cfg.work_dir,
            wanted['sources'],
            wanted['tests'],
            per_image=True,
            digest=digest_of(comparison.config(run, seed, '')),
            inputs=inputs,
            need_checkpoint=run.name in comparison.starts,
        )
        found = _facts(cfg, run, seed) | {
            key: result.get(key) for key in ('seconds', 'machine', 'versions')
        }
        if final_checkpoint(cfg).is_file():
            found['network'] = _network(cfg)
        elif stored is not None:
            found['network'] = stored.get('network')
        if 'start' in inputs:
            found['start_network'] = inputs['start']
        found |= {
            'files': files,
            'scores': _scores(result),
            'areas': _areas(result),
            'images': result.get('images', {}),
            'wanted': wanted,
        }
        _store(found, Path(cfg.work_dir))
    return found


def _drop_other_start(stored: dict | None, start: str, work_dir: str) -> None:
    """Drop a training that is not known to have started from this network.

    The record of an interrupted training of an older version names no start; it
    continues.
    """
    path = Path(work_dir, RECORD)
    if stored is None or not path.is_file():
        return
    known = 'start' in json.loads(path.read_text('utf-8')).get('inputs', {})
    if not known and stored.get('start_network') != start:
        drop_record(work_dir)


def _network(cfg: Config) -> str:
    """Return the SHA-256 of the final weights of a training."""
    digest = hashlib.sha256()
    weights = read_checkpoint(final_checkpoint(cfg))['state_dict']
    for name, value in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _facts(cfg: Config, run: Run, seed: int) -> dict[str, Any]:
    steps, images = optimizer_steps(cfg), images_per_step(cfg)
    return {
        'config': Path(run.config).name,
        'cfg_options': json.loads(json.dumps(dict(run.cfg_options), default=str)),
        'without': list(run.without),
        'hooks': json.loads(json.dumps(dict(run.hooks), default=str)),
        'start': run.start,
        'seed': seed,
        'folder': cfg.work_dir,
        'steps': steps,
        'images_a_step': images,
        'images_seen': cfg.train_cfg.max_iters * cfg.train_dataloader.batch_size,
    }


def _scores(result: dict[str, Any]) -> dict[str, float]:
    """Return the scores of :func:`.measure` as ``val/TEST`` and ``train/SOURCE``."""
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


@one_line_errors(*TRAINING_ERRORS)
def main() -> None:
    """Execute the run on the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # keeps what was measured
    file, name, seed, root = sys.argv[1:5]
    comparison = read_comparison(file)
    runs = {**comparison.runs, **comparison.starts}
    if name not in runs:
        raise ValueError(f'{file} no longer has the run {name!r}; compare again')
    do_run(comparison, runs[name], int(seed), root)


if __name__ == '__main__':
    main()

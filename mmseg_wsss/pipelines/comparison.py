"""Read a comparison: runs of several configs with equal data, budget and start.

Its file is a config, see ``configs/comparisons/README.md``.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmseg_wsss.utils.configs import config_path, require

Options = Mapping[str, Any]
PARTS = ('data', 'budget', 'start')
SHARED = ('WSSS_SHARED', '../shared')  # environment variable and default in the configs


@dataclass(frozen=True)
class Run:
    """Run of a comparison: a config with changes.

    Args:
        name: Name in the table.
        config: Config file, relative to the comparison's folder or to ``configs/``.
        cfg_options: Values that override the config.
        without: Keys to remove from the config, parts joined by dots.
        hooks: Arguments by type of custom hook that override the config; None removes
            the hook.
        start: Name of the run in ``starts`` that trains its initial network.
        max_iters: Number of steps, in place of the config's.
        sources: Pseudo-labels to score on ``export_dataloader``.
        tests: Test settings by name, see :func:`.measure`.
    """

    name: str
    config: str
    cfg_options: Options = field(default_factory=dict)
    without: Sequence[str] = ()
    hooks: Options = field(default_factory=dict)
    start: str | None = None
    max_iters: int | None = None
    sources: Sequence[str] = ()
    tests: Options = field(default_factory=dict)

    def load(self) -> Config:
        """Return the config with its changes, but without seed and start."""
        return deepcopy(self._config)

    @cached_property
    def _config(self) -> Config:
        cfg = Config.fromfile(self.config)
        for key in self.without:
            *outer, last = key.split('.')
            try:
                node = _item(cfg, outer)
                node[last]  # raises if missing, unlike pop of a ConfigDict
                node.pop(last)
            except (KeyError, IndexError, TypeError, ValueError):
                raise ValueError(
                    f'{self.name}: {self.config} has no {key}; leave it out of without'
                ) from None
        cfg.merge_from_dict(dict(self.cfg_options))
        require(cfg, 'train_dataloader.dataset', 'train_cfg.max_iters')
        for kind, options in self.hooks.items():
            of_kind = [hook for hook in cfg.custom_hooks if hook.type == kind]
            if len(of_kind) != 1:
                raise ValueError(
                    f'{self.name}: expected one {kind} in custom_hooks of '
                    f'{self.config}, found {len(of_kind)}'
                )
            if options is None:
                cfg.custom_hooks.remove(of_kind[0])
            else:
                of_kind[0].update(options)
        set_steps(cfg, self.max_iters or cfg.train_cfg.max_iters)
        return cfg


@dataclass(frozen=True)
class Comparison:
    """Content of a comparison file.

    Args:
        name: Name of the file.
        baseline: Name of the run with which the others are compared.
        runs: The runs by name.
        starts: Runs that train the initial networks of the others.
        seeds: Seeds of each run.
        score: Name of the main score, such as ``val/TEST`` or ``train/SOURCE``.
        allow_different: Parts that may differ between the runs.
    """

    name: str
    baseline: str
    runs: Mapping[str, Run]
    starts: Mapping[str, Run]
    seeds: tuple[int, ...]
    score: str
    allow_different: tuple[str, ...] = ()

    def config(self, run: Run, seed: int, root: str | os.PathLike) -> Config:
        """Return the complete config of a run, with its work folder below ``root``.

        The folder is named after the config, the seed and a digest, so that equal runs
        of several comparisons are trained once and a changed config gets a new folder.
        """
        cfg = run.load()
        cfg.merge_from_dict({'randomness.seed': seed})
        start = None
        if run.start is not None:
            start = final_checkpoint(self.config_of_start(run, seed, root))
            cfg.load_from = str(start.relative_to(root))  # the same on all machines
        folder = f'seed{seed}-{digest_of(cfg)[:10]}'
        cfg.work_dir = str(Path(root, Path(run.config).stem, folder))
        if start is not None:
            cfg.load_from = str(start)
        return cfg

    def config_of_start(self, run: Run, seed: int, root: str | os.PathLike) -> Config:
        """Return the complete config of the start of a run that has one."""
        assert run.start is not None
        return self.config(self.starts[run.start], seed, root)

    def jobs(self) -> Iterator[tuple[Run, int]]:
        """Yield runs and seeds in the order of training, starts first."""
        for seed in self.seeds:
            yield from ((run, seed) for run in self.starts.values())
            yield from ((run, seed) for run in self.runs.values())


def final_checkpoint(cfg: Config) -> Path:
    """Return the path of the final checkpoint of a training."""
    return Path(cfg.work_dir, f'iter_{cfg.train_cfg.max_iters}.pth')


def digest_of(cfg: Config) -> str:
    """Return the SHA-256 of a config's values.

    It does not depend on the work folder, nor on the location of the shared data.
    """
    values = cfg.to_dict() | {'work_dir': None}
    text = json.dumps(values, sort_keys=True, default=str)
    shared = json.dumps(os.environ.get(*SHARED))[:-1]
    text = text.replace(f'{shared}/', '"$WSSS_SHARED/')
    return hashlib.sha256(text.encode()).hexdigest()


def read_comparison(
    path: str | os.PathLike,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
) -> Comparison:
    """Read a comparison file.

    Args:
        path: Config file.
        seeds: Seeds in place of the file's.
        only: Names of the runs to select besides the baseline; all by default.

    Returns:
        The comparison; its main score is by default the first test's, else the first
        source's.

    Raises:
        ValueError: If a key is unknown or missing, or a name does not exist; the
            message gives the file and the key.
        FileNotFoundError: If a config does not exist.
    """
    given = Config.fromfile(path).to_dict()
    given = {key: value for key, value in given.items() if not key.startswith('_')}
    common = {key: given.pop(key, None) for key in ('sources', 'tests', 'max_iters')}
    options = given.pop('cfg_options', {})
    own_seeds = given.pop('seeds', (0,))
    seeds = own_seeds if seeds is None else seeds
    tables = {}
    for table in ('runs', 'starts'):
        tables[table] = {
            name: _read_run(
                path, name, entry, common if table == 'runs' else {}, options
            )
            for name, entry in (given.pop(table, None) or {}).items()
        }
    runs, starts = tables['runs'], tables['starts']
    baseline, score = given.pop('baseline', None), given.pop('score', None)
    allowed = tuple(given.pop('allow_different', ()))
    if given:
        raise ValueError(f'{path}: unknown keys {sorted(given)}')
    if baseline not in runs:
        raise ValueError(f'{path}: baseline {baseline!r} is none of the runs {[*runs]}')
    _check_starts(path, runs, starts)
    if only is not None:
        runs, starts = _selected(path, runs, starts, [baseline, *only])
    if not isinstance(seeds, Sequence) or not 0 < len(set(seeds)) == len(seeds):
        raise ValueError(f'{path}: expected a list of different seeds, found {seeds}')
    check_parts(allowed, path)
    first = runs[baseline]
    scores = [f'val/{name}' for name in first.tests]
    scores += [f'train/{name}' for name in first.sources]
    score = scores[0] if score is None else score
    if not any(f'{score}/'.startswith(f'{known}/') for known in scores):
        raise ValueError(f'{path}: score {score!r} is none of {scores}')
    name = Path(path).stem
    return Comparison(name, baseline, runs, starts, tuple(seeds), score, allowed)


def _check_starts(
    path: str | os.PathLike, runs: Mapping[str, Run], starts: Mapping[str, Run]
) -> None:
    """Raise a ValueError unless all starts exist and none depends on itself."""
    if both := sorted(runs.keys() & starts.keys()):
        raise ValueError(f'{path}: {both} are names of runs and of starts; rename one')
    for run in (*runs.values(), *starts.values()):
        chain = [run.name]
        while run.start is not None:
            if run.start not in starts:
                raise ValueError(
                    f'{path}: start {run.start!r} of {run.name} is none of {[*starts]}'
                )
            if run.start in chain:
                raise ValueError(f'{path}: starts {chain} begin with each other')
            run = starts[run.start]
            chain.append(run.name)


def _selected(
    path: str | os.PathLike,
    runs: Mapping[str, Run],
    starts: Mapping[str, Run],
    names: Sequence[str],
) -> tuple[dict[str, Run], dict[str, Run]]:
    """Return the runs with these names, in the file's order, and their starts."""
    if unknown := [name for name in names if name not in runs]:
        raise ValueError(f'{path}: {unknown} are none of the runs {[*runs]}')
    chosen = {name: run for name, run in runs.items() if name in names}
    needed = {start for run in chosen.values() for start in starts_of(run, starts)}
    return chosen, {name: run for name, run in starts.items() if name in needed}


def starts_of(run: Run, starts: Mapping[str, Run]) -> Iterator[str]:
    """Yield the start of a run, the start of this start, and so on."""
    while run.start is not None:
        yield run.start
        run = starts[run.start]


def check_parts(parts: Sequence[str], source: str | os.PathLike) -> None:
    """Raise a ValueError, which names the source, if a part is unknown."""
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise ValueError(
            f'{source}: allow_different has {unknown}; choose out of {list(PARTS)}'
        )


def _read_run(
    path: str | os.PathLike,
    name: str,
    entry: Options,
    common: Options,
    options: Options,
) -> Run:
    known = {key: value for key, value in common.items() if value is not None}
    try:
        if 'config' not in entry:
            raise ValueError(f'{path}: run {name!r} has no config')
        values: dict[str, Any] = {**known, **entry}
        values['cfg_options'] = {**options, **values.get('cfg_options', {})}
        config = Path(path).parent / values['config']
        values['config'] = str(
            config if config.is_file() else config_path(values['config'])
        )
        run = Run(name, **values)
    except TypeError as error:
        raise ValueError(f'{path}: run {name!r}: {error}') from error
    if common and not run.tests and not run.sources:
        raise ValueError(f'{path}: run {name!r} has neither sources nor tests to score')
    return run


def _item(node: Any, names: Sequence[str]) -> Any:
    """Return a part of a nested config by keys, and indices of lists."""
    for name in names:
        node = node[int(name)] if isinstance(node, list) else node[name]
    return node


def set_steps(cfg: Config, steps: int) -> None:
    """Set the number of steps, and the end of schedules that end with the training.

    Args:
        cfg: Config of an iteration-based training, changed in place.
        steps: Number of steps.
    """
    old = cfg.train_cfg.max_iters
    schedules = cfg.get('param_scheduler') or []
    for schedule in schedules if isinstance(schedules, list) else [schedules]:
        if schedule.get('end') == old:
            schedule['end'] = steps
    cfg.train_cfg.update(max_iters=steps, val_interval=steps)
    # Every fifth of the steps has a checkpoint to resume from; the last one counts.
    cfg.merge_from_dict(
        {
            'default_hooks.checkpoint.interval': max(1, steps // 5),
            'default_hooks.checkpoint.save_best': None,
        }
    )

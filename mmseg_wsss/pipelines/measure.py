"""Train a config and measure it, as for the tables of the README."""

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.engine.launch import build_runner, resume_last
from mmseg_wsss.utils import atomic_write

from .comparison import digest_of, final_checkpoint
from .image_areas import ImageAreasHook
from .setting import apply_setting

Setting = Mapping[str, Any]


@safe_checkpoints()
def measure(
    config: str | os.PathLike | Config,
    work_dir: str | os.PathLike,
    sources: Sequence[str] = (),
    settings: Mapping[str, Setting] | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    per_image: bool = False,
) -> dict[str, Any]:
    """Train a config, or resume its training, and measure it.

    ``measure.json`` in the work folder stores the result of each finished part with a
    digest of the config; finished parts are not repeated. Another config in the same
    folder starts anew, and a setting that has changed is tested again.

    Args:
        config: Config or its file.
        work_dir: Folder of checkpoints, logs and the result.
        sources: Pseudo-labels to evaluate on ``export_dataloader``, see the model's
            ``pseudo_sources``.
        settings: Test settings on ``test_dataloader`` by name: arguments of
            :func:`apply_setting`, and ``cfg_options`` that override the config in this
            test. One plain test by default.
        cfg_options: Values that override the config.
        per_image: Whether to add the areas of each image, see
            :func:`.image_areas.write_areas`.

    Returns:
        ``config``, ``seconds`` of training with its interrupted parts, ``machine``,
        ``train`` (scores of the pseudo-labels), ``val`` (scores by setting) and
        ``settings``; scores in per cent. With ``per_image`` also ``areas``: ``train``
        by source and ``val`` by setting, one line per image, and ``images``: their
        names in ``train`` and ``val``.
    """
    cfg = _load(config, work_dir, cfg_options)
    digest = digest_of(cfg)
    path = Path(work_dir, 'measure.json')
    result = json.loads(path.read_text()) if path.is_file() else {}

    def save() -> None:
        with atomic_write(path, 'w') as file:
            json.dump(result, file, indent=1)

    if result.get('digest') != digest:
        if result:  # of another config
            Path(work_dir, 'last_checkpoint').unlink(missing_ok=True)
        result = {'digest': digest, 'config': _name_of(cfg), 'machine': machine()}
        save()
    checkpoint = final_checkpoint(cfg)
    if not result.get('trained') or not checkpoint.is_file():
        begin = time.monotonic()
        try:
            _train(deepcopy(cfg))
            result['trained'] = True
        finally:  # an interrupted training has taken time, too
            seconds = time.monotonic() - begin
            result['seconds'] = result.get('seconds', 0) + seconds
            save()
    areas = result.get('areas', {})
    known = areas.get('train') if per_image else result.get('train')
    if sources and (known is None or set(result['sources']) != set(sources)):
        hook = ImageAreasHook()
        result['train'] = _evaluate_sources(deepcopy(cfg), checkpoint, sources, hook)
        result['sources'] = list(sources)
        if per_image:
            _note(result, 'train', hook, hook.areas(result['train']))
        save()
    val, tested = result.setdefault('val', {}), result.setdefault('settings', {})
    settings = {'single scale': {}} if settings is None else settings
    for name, setting in settings.items():
        stored = json.loads(json.dumps(setting))
        done = name in (areas.get('val', {}) if per_image else val)
        if not done or tested.get(name, stored) != stored:
            hook = ImageAreasHook()
            val[name] = _test_setting(deepcopy(cfg), checkpoint, setting, hook)
            tested[name] = stored
            if per_image:
                _note(result, 'val', hook, {name: hook.areas(val[name]).get('')})
            areas = result.get('areas', {})
            save()
    return result


def machine() -> str:
    """Describe this machine: processor, threads, GPU and version of torch."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    threads = f'{torch.get_num_threads()} of {os.cpu_count()} cores'
    return f'{platform.machine()}, {threads}, {gpu}, torch {torch.__version__}'


def _load(
    config: str | os.PathLike | Config,
    work_dir: str | os.PathLike,
    cfg_options: Mapping[str, Any] | None,
) -> Config:
    cfg = deepcopy(config) if isinstance(config, Config) else Config.fromfile(config)
    cfg.merge_from_dict(dict(cfg_options or {}))
    cfg.work_dir = str(work_dir)
    return cfg


def _name_of(cfg: Config) -> str | None:
    return cfg.filename and Path(cfg.filename).name


def _note(
    result: dict, split: str, hook: ImageAreasHook, found: Mapping[str, Any]
) -> None:
    """Add the areas of a test to the result."""
    result.setdefault('areas', {}).setdefault(split, {}).update(found)
    result.setdefault('images', {})[split] = hook.images


def _train(cfg: Config) -> None:
    """Train from the last checkpoint on."""
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None  # tested later
    resume_last(cfg)
    _runner(cfg).train()


def _evaluate_sources(
    cfg: Config, checkpoint: Path, sources: Sequence[str], hook: Hook
) -> dict:
    """Evaluate pseudo-labels on the training images."""
    cfg.test_dataloader = cfg.export_dataloader
    cfg.model.test_cfg.pseudo_sources = list(sources)
    cfg.test_evaluator = dict(type='PseudoLabelMetric', sources=list(sources))
    return _test(cfg, checkpoint, hook)


def _test_setting(cfg: Config, checkpoint: Path, setting: Setting, hook: Hook) -> dict:
    """Test the network by a setting."""
    cfg.merge_from_dict(dict(setting.get('cfg_options', {})))
    arguments = {key: value for key, value in setting.items() if key != 'cfg_options'}
    apply_setting(cfg, **arguments)
    return _test(cfg, checkpoint, hook)


def _test(cfg: Config, checkpoint: Path, hook: Hook) -> dict:
    cfg.load_from = str(checkpoint)
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = None
    cfg.param_scheduler = None
    runner = _runner(cfg)
    runner.register_hook(hook)
    return {key: float(value) for key, value in runner.test().items()}


def _runner(cfg: Config) -> Runner:
    """Build a Runner with a unique name, since one process runs several."""
    cfg.experiment_name = f'{Path(cfg.work_dir).name}_{time.monotonic_ns()}'
    if cfg.get('visualizer') is not None:
        cfg.visualizer.name = cfg.experiment_name  # else the log goes to the first run
    return build_runner(cfg)

"""Train a config and measure it, as for the tables in the README."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmseg_wsss.datasets.inner_dataset import views_of
from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.engine.launch import build_runner, resume_last
from mmseg_wsss.registry import DATASETS
from mmseg_wsss.utils import atomic_write

from .comparison import digest_of, final_checkpoint
from .export import labeled_names
from .image_areas import ImageAreasHook
from .provenance import processor, versions
from .setting import apply_setting

Setting = Mapping[str, Any]
RECORD, TESTS = 'measure.json', 'tests'  # in the work folder


@safe_checkpoints()
def measure(
    config: str | os.PathLike | Config,
    work_dir: str | os.PathLike,
    sources: Sequence[str] = (),
    settings: Mapping[str, Setting] | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    per_image: bool = False,
    digest: str | None = None,
    inputs: Mapping[str, str] | None = None,
    need_checkpoint: bool = False,
) -> dict[str, Any]:
    """Train a config, or resume its training, and measure it.

    ``measure.json`` in the work folder stores the result of each finished part with a
    digest of the config; finished parts are not repeated. Another config or input in
    the same folder starts anew, and a changed setting is tested again. If the final
    checkpoint is lost, everything is repeated, unless all parts are finished.

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
        digest: Digest of the config without local paths; by default
            :func:`.digest_of`.
        inputs: Digests by name of what the training depends on besides its config, such
            as the network from which it starts.
        need_checkpoint: Whether the checkpoint is needed in addition to the scores.

    Returns:
        ``config``, ``seconds`` of training including interrupted parts, ``machine``,
        ``versions``, ``train`` (scores of the pseudo-labels), ``val`` (scores by
        setting) and ``settings``; scores are in percent. With ``per_image`` also
        ``areas``: ``train`` by source and ``val`` by setting, one line per image, and
        ``images``: names of the images by ``train`` and ``val/SETTING``.

    Raises:
        ValueError: If there are ``sources``, and images of ``export_dataloader`` have
            no ground truth or may be trained with it; before the training.
    """
    cfg = _load(config, work_dir, cfg_options)
    settings = {'single scale': {}} if settings is None else settings
    path = Path(work_dir, RECORD)
    result = json.loads(path.read_text()) if path.is_file() else {}

    def save() -> None:
        with atomic_write(path, 'w') as file:
            json.dump(result, file, indent=1)

    inputs = dict(inputs or {})
    identity = {'digest': digest or digest_of(cfg), 'config': _name_of(cfg)}
    # Older versions stored the digest of the config with its paths, and no inputs.
    same = result.get('digest') in (identity['digest'], digest_of(cfg))
    known = result.get('inputs', {})
    same = same and all(
        known.get(name, inputs[name]) == inputs[name] for name in inputs
    )
    checkpoint = final_checkpoint(cfg)
    lost = result.get('trained') and not checkpoint.is_file()
    if lost and not need_checkpoint:
        lost = any(_missing(result, sources, settings, per_image))
    if lost or not same:
        drop_record(work_dir)
        result = {}
    identity['inputs'] = result.get('inputs', {}) | inputs
    if _missing(result, sources, settings, per_image)[0]:
        _require_masks(cfg)
    if not result.get('trained'):
        training = _training(cfg)
        if not training.resume:
            result = {}
        where = {'machine': machine(), 'versions': versions()}
        result = {**where, **result, **identity}
        save()
        begin = time.monotonic()
        try:
            _train(training)
            result['trained'] = True
        finally:  # an interrupted training has also taken time
            seconds = time.monotonic() - begin
            result['seconds'] = result.get('seconds', 0) + seconds
            save()
    elif result != result | identity:
        result |= identity
        save()
    with_sources, tests = _missing(result, sources, settings, per_image)
    if with_sources:
        hook = ImageAreasHook()
        result['train'] = _evaluate_sources(deepcopy(cfg), checkpoint, sources, hook)
        result['sources'] = list(sources)
        if per_image:
            _note(result, 'train', 'train', hook, hook.areas(result['train']))
        save()
    for name in tests:
        hook = ImageAreasHook()
        scores = _test_setting(deepcopy(cfg), checkpoint, settings[name], hook)
        result['val'][name], result['settings'][name] = scores, _stored(settings[name])
        if per_image:
            areas = {name: hook.areas(scores).get('')}
            _note(result, 'val', f'val/{name}', hook, areas)
        save()
    return result


def _missing(
    result: dict[str, Any],
    sources: Sequence[str],
    settings: Mapping[str, Setting],
    per_image: bool,
) -> tuple[bool, list[str]]:
    """Return whether to evaluate the sources, and the names of the tests to do."""
    areas = result.get('areas', {})
    found = areas.get('train') if per_image else result.get('train')
    again = found is None or set(result['sources']) != set(sources)
    val, tested = result.setdefault('val', {}), result.setdefault('settings', {})
    done = areas.get('val', {}) if per_image else val
    tests = [
        name
        for name, setting in settings.items()
        if name not in done or _stored(setting) != tested.get(name, _stored(setting))
    ]
    return bool(sources) and again, tests


def _stored(setting: Setting) -> dict[str, Any]:
    return json.loads(json.dumps(setting))


def drop_record(work_dir: str | os.PathLike) -> None:
    """Make :func:`measure` start anew in a folder."""
    record = Path(work_dir, RECORD)
    if record.is_file():  # without a record, checkpoints are of the same config
        Path(work_dir, 'last_checkpoint').unlink(missing_ok=True)
        record.unlink()


def machine() -> str:
    """Describe this machine: processor, threads, GPU and version of torch."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    threads = f'{torch.get_num_threads()} of {os.cpu_count()} cores'
    return f'{processor()}, {threads}, {gpu}, torch {torch.__version__}'


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
    result: dict, split: str, key: str, hook: ImageAreasHook, areas: Mapping[str, Any]
) -> None:
    """Add the areas and the images of a test to the result."""
    result.setdefault('areas', {}).setdefault(split, {}).update(areas)
    result.setdefault('images', {})[key] = hook.images


def _training(cfg: Config) -> Config:
    """Return the config of the training, resumed from its last checkpoint."""
    cfg = deepcopy(cfg)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None  # tested later
    if 'checkpoint' in cfg.get('default_hooks', {}):
        cfg.default_hooks.checkpoint.save_best = None
    resume_last(cfg)
    return cfg


def _train(cfg: Config) -> None:
    _runner(cfg).train()


def _require_masks(cfg: Config) -> None:
    """Check that pseudo-labels can be scored on ``export_dataloader``."""
    where = f'{cfg.filename}: pseudo-labels (sources) are scored on export_dataloader'
    remedy = (
        'set it to a WeakDataset(test_mode=True) of images that are not trained with '
        'masks, with LoadAnnotationsStrict in its pipeline, or score no sources'
    )
    loader = cfg.get('export_dataloader')
    if not loader:
        raise ValueError(f'{where}, which the config lacks; {remedy}')
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    dataset = DATASETS.build(deepcopy(loader.dataset))
    if labeled_names(dataset):
        raise ValueError(f'{where}, found a SemiDataset with labeled images; {remedy}')
    views = views_of(dataset[len(dataset) - 1])
    if any('gt_sem_seg' not in view for view in views):
        raise ValueError(
            f'{where}, found no ground truth of {views[0].get("img_path")}; {remedy}'
        )


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
    cfg.work_dir = str(Path(cfg.work_dir) / TESTS)  # keeps the config of the training
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = None
    cfg.param_scheduler = None
    runner = _runner(cfg)
    runner.register_hook(hook)
    return {key: float(value) for key, value in runner.test().items()}


def _runner(cfg: Config) -> Runner:
    """Build a Runner with a unique name, since one process runs several."""
    cfg.experiment_name = f'{Path(cfg.work_dir).name}_{time.monotonic_ns()}'
    if cfg.get('visualizer') is not None:
        cfg.visualizer.name = cfg.experiment_name  # else MMEngine reuses the first one
    return build_runner(cfg)

"""Apply test settings: multiple scales, flips and a CRF.

A setting changes only the config: mmseg's ``TestTimeAug`` creates views of each image,
and a ``WSSSTTAModel`` wraps the model.
"""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmseg_wsss.evaluation.tables import summary_table
from mmseg_wsss.models.segmentors.semi.parts.settings import PredictionFilterSettings
from mmseg_wsss.utils import atomic_write, sha256_of
from mmseg_wsss.utils.locks import file_lock

IMAGE_LOADERS = ('LoadImageStrict', 'LoadImage')
GT_LOADERS = ('LoadAnnotationsStrict', 'LoadAnnotations')
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


def apply_setting(
    cfg: Config,
    tta: bool = False,
    ms_flip: bool = False,
    crf: bool = False,
    scales: Sequence[float] = SCALES,
) -> str:
    """Apply a test setting to a config and return its name.

    The CRF is ``cfg.tta_model.crf`` if the config has one, else ``DenseCRF`` with its
    defaults. The names of all metrics are prefixed with the setting, unless it is the
    plain one.

    Args:
        cfg: Config with ``model``, ``test_dataloader`` and ``test_evaluator``; changed
            in place.
        tta: Whether to use the views of ``cfg.tta_pipeline``.
        ms_flip: Whether to use a view and its mirror image per scale of ``scales``.
        crf: Whether to refine the merged probabilities with a dense CRF.
        scales: Factors of the image size in the test pipeline, above 0.

    Returns:
        Name of the setting, such as ``'multi-scale + flip + CRF'``. It includes scales
        that differ from ``SCALES`` and, in parentheses, what ``semi_test_cfg`` of the
        config sets: ``predict_on`` and the threshold of ``prediction_filter``.

    Raises:
        ValueError: If both ``tta`` and ``ms_flip`` are set, or a scale is not positive.
        KeyError: If ``tta`` is set and the config has no ``tta_pipeline``.
    """
    if tta and ms_flip:
        raise ValueError('expected one of tta and ms_flip, found both')
    if tta and 'tta_pipeline' not in cfg:
        raise KeyError('tta needs a tta_pipeline in the config; ms_flip does not')
    if min(scales, default=0) <= 0:
        raise ValueError(f'expected scales > 0, found {list(scales)}')
    views = 'tta of the config' if tta else 'single scale'
    if ms_flip:
        others = '' if tuple(scales) == SCALES else ''.join(f' {s:g}' for s in scales)
        views = f'multi-scale{others} + flip'
    name = f'{views} + CRF' if crf else views
    semi = cfg.model.get('semi_test_cfg') or {}
    about = [semi['predict_on']] if semi.get('predict_on') else []
    if semi.get('prediction_filter') is not None:  # dict() has the default threshold
        thr = PredictionFilterSettings(**semi['prediction_filter']).thr
        about.append(f'filter {thr:g}')
    full_name = f'{name} ({", ".join(about)})' if about else name
    if not (tta or ms_flip or crf):
        return full_name
    for dataset in pipeline_owners(cfg.test_dataloader.dataset):
        dataset['pipeline'] = (
            copy.deepcopy(cfg.tta_pipeline)
            if tta
            else make_tta_pipeline(
                dataset['pipeline'], scales if ms_flip else [1.0], flip=ms_flip
            )
        )
    wrapper = {'type': 'WSSSTTAModel', **(cfg.get('tta_model') or {})}
    # The CRF of the config is used only if the setting has one.
    refiner = wrapper.pop('crf', None) or dict(type='DenseCRF')
    if crf:
        wrapper |= {'type': 'WSSSTTAModel', 'crf': refiner}
    cfg.model = dict(**wrapper, module=cfg.model)
    _set_prefix(cfg, name.lower().replace(' + ', '+').replace(' ', '-'))
    return full_name


def make_tta_pipeline(
    pipeline: Sequence[dict], scales: Sequence[float], flip: bool
) -> list[dict]:
    """Convert a test pipeline to one with several views of each image.

    Views differ in the ``Resize`` of the pipeline; if it has none, one is inserted
    after the image is loaded. The ground truth is loaded after resizing and flipping,
    so it keeps its original size.

    Args:
        pipeline: Test pipeline with a transform ``Resize`` or ``LoadImage...``.
        scales: Factors of the image size in the pipeline.
        flip: Whether to add the mirror image of each view.

    Raises:
        ValueError: If the pipeline has neither transform.
    """
    types = [str(step['type']).rpartition('.')[2] for step in pipeline]
    if 'Resize' in types:
        at = types.index('Resize')
        resize, rest = pipeline[at], pipeline[at + 1 :]
    else:
        loads = [i for i, kind in enumerate(types) if kind.startswith(IMAGE_LOADERS)]
        if not loads:
            raise ValueError(
                f'expected a transform LoadImageStrict or Resize in {types}'
            )
        at = loads[-1] + 1
        resize = dict(type='Resize', scale_factor=1.0, keep_ratio=True)
        rest = pipeline[at:]
    head = [step for step in pipeline[:at] if not loads_gt(step)]
    gt = [step for step in pipeline if loads_gt(step)]
    tail = [step for step in rest if not loads_gt(step)]
    steps = [[_scaled(resize, scale) for scale in scales]]
    if flip:
        steps += [[dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)]]
    steps += [[copy.deepcopy(step)] for step in (*gt, *tail)]
    return [*copy.deepcopy(head), dict(type='TestTimeAug', transforms=steps)]


def drop_gt(cfg: Config) -> None:
    """Change a config to predict images without masks.

    Transforms that load masks are removed from the pipelines, ``TestTimeAug`` included.
    ``IoUMetric`` only writes predictions, and other metrics are removed.

    Args:
        cfg: Config with ``test_dataloader`` and ``test_evaluator``, and possibly a
            ``tta_pipeline``; changed in place.
    """
    for dataset in pipeline_owners(cfg.test_dataloader.dataset):
        dataset['pipeline'] = _without_gt(dataset['pipeline'])
    if cfg.get('tta_pipeline'):
        cfg.tta_pipeline = _without_gt(cfg.tta_pipeline)
    cfg.test_evaluator = [
        {**metric, 'format_only': True}
        for metric in metrics_of(cfg)
        if metric['type'] == 'IoUMetric'
    ]


def record(
    path: str | Path, checkpoint: str, setting: str, metrics: Mapping[str, Any]
) -> str:
    """Add the metrics of a setting to a JSON file, and tabulate the checkpoint's.

    Metrics of an earlier checkpoint with the same path are dropped.

    Args:
        path: JSON file, created if missing; for each checkpoint it has ``sha256`` and
            ``settings``: setting -> metric -> value.
        checkpoint: Path of the tested checkpoint.
        setting: Name of the setting, see :func:`apply_setting`.
        metrics: Values by name; the prefix up to the last ``/`` is removed.

    Returns:
        Table with one line per setting of the checkpoint.
    """
    path = Path(path)
    with file_lock(path.with_name(f'.{path.name}.lock')):  # several tests may end
        rows = _add_row(path, checkpoint, setting, metrics)
    return summary_table(rows)


def _add_row(
    path: Path, checkpoint: str, setting: str, metrics: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Add the metrics of a setting to the file; return the rows of the checkpoint."""
    results = json.loads(path.read_text('utf-8')) if path.exists() else {}
    weights = Path(checkpoint)
    # None for a checkpoint that is downloaded.
    digest = sha256_of(weights) if weights.is_file() else None
    entry = results.get(str(weights.resolve()), {})
    rows = entry.get('settings', {}) if entry.get('sha256') == digest else {}
    results[str(weights.resolve())] = {'sha256': digest, 'settings': rows}
    rows[setting] = {
        name.rpartition('/')[2]: float(value)
        for name, value in metrics.items()
        if isinstance(value, Real)
    }
    with atomic_write(path, 'w') as file:
        json.dump(results, file, indent=2)
    return rows


def pipeline_owners(dataset: dict) -> Iterator[dict]:
    """Yield the outermost dataset configs that have a pipeline."""
    if dataset.get('pipeline'):
        yield dataset
    elif 'dataset' in dataset:
        yield from pipeline_owners(dataset['dataset'])
    elif dataset.get('datasets'):
        for part in dataset['datasets']:
            yield from pipeline_owners(part)
    else:
        raise ValueError(f'expected a pipeline in test_dataloader, found {dataset}')


def loads_gt(step: Mapping[str, Any]) -> bool:
    """Return whether a transform loads masks."""
    return str(step.get('type')).rpartition('.')[2] in GT_LOADERS


def _without_gt(pipeline: Sequence[dict]) -> list[dict]:
    kept = [dict(step) for step in pipeline if not loads_gt(step)]
    for step in kept:
        if str(step['type']).endswith('TestTimeAug'):
            groups = [_without_gt(group) for group in step['transforms']]
            step['transforms'] = [group for group in groups if group]
    return kept


def _scaled(resize: dict, scale: float) -> dict:
    resize = copy.deepcopy(resize)
    size = resize.get('scale')
    if size is None:
        factor = resize.get('scale_factor', 1.0)
        pair = isinstance(factor, list | tuple)
        resize['scale_factor'] = (
            tuple(f * scale for f in factor) if pair else factor * scale
        )
    else:
        sides = (size, size) if isinstance(size, int) else size
        resize['scale'] = tuple(max(1, round(side * scale)) for side in sides)
    return resize


def metrics_of(cfg: Config) -> list[dict]:
    """Return the metrics of ``test_evaluator``, which may be missing or None."""
    metrics = cfg.get('test_evaluator') or []
    return list(metrics) if isinstance(metrics, list | tuple) else [metrics]


def _set_prefix(cfg: Config, setting: str) -> None:
    for metric in metrics_of(cfg):
        prefix = metric.get('prefix')
        metric['prefix'] = f'{prefix}/{setting}' if prefix else setting

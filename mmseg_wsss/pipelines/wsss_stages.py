"""Build the stages from CAMs to a segmentation network, each with its own config."""

import copy
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mmengine.config import Config

from mmseg_wsss.utils.configs import require, walk_dicts

from .affinity_files import write_affinity_labels
from .predict_images import predict_images
from .setting import loads_gt, pipeline_owners
from .stages import Stage, call
from .unmasked_images import unmasked_images, unmasked_pipelines

KEYS = ('seeds', 'labels', 'affinity', 'network', 'evaluation')
OPTIONAL_KEYS = ('seed', 'custom_imports')
TEST_OPTIONS = ('crf', 'ms_flip')
LOAD = 'LoadPseudoLabel'


@dataclass
class Tools:
    """Callable that runs the tools of this repository.

    Args:
        folder: Folder of the tools.
        lock: Lock file of the work folder; commands inherit it.
        gpus: Number of processes of a training or an export.
    """

    folder: Path
    lock: IO
    gpus: int = 1

    def __call__(self, tool: str, log: Path, *args: object) -> None:
        """Run a tool with its output in ``log``."""
        if self.gpus > 1:
            command = ['bash', self.folder / 'misc/torchrun.sh', self.gpus, tool]
        else:
            command = [sys.executable, self.folder / tool]
        call([str(word) for word in (*command, *args)], log, self.lock)


def build_stages(cfg: Config, work_dir: Path, tools: Tools) -> list[Stage]:
    """Build the stages of a pipeline from its config.

    ``seeds``, ``affinity`` and ``network`` each have a ``config``, and optionally
    ``cfg_options`` that override it, see :func:`stage_config`. ``seeds`` also has
    optional keys: the pseudo-label ``source`` (default ``'cam'``), a trained
    ``checkpoint``, and ``gt_split``, the split of the report (default ``'train'``).
    ``labels`` has the arguments of :func:`write_affinity_labels`. ``evaluation`` has
    test settings by name, with the keys ``crf`` and ``ms_flip``; if the network's
    config has no test set, they apply to the training images.

    Args:
        cfg: Config of the pipeline.
        work_dir: Folder of the stages.
        tools: Callable that runs tools.

    Raises:
        KeyError: If a key is missing or unknown.
        ValueError: If the number of GPUs is below 1, a training loop counts epochs, or
            the affinity network does not load its labels or seeds.
    """
    if tools.gpus < 1:
        raise ValueError(f'--gpus must be at least 1, got {tools.gpus}')
    given = {key for key in cfg if key not in OPTIONAL_KEYS}
    if given != set(KEYS):
        raise KeyError(f'a pipeline must have the keys {KEYS}, got {sorted(given)}')
    seeds, maps = work_dir / 'seeds_network', work_dir / 'seeds/maps'
    labels, masks = work_dir / 'affinity_labels/masks', work_dir / 'pseudo_masks/masks'
    walked = work_dir / 'refined_seeds/masks'
    base = stage_config(cfg, 'seeds')
    affinity = stage_config(cfg, 'affinity')
    point_to_labels(affinity, 'train_dataloader', labels)
    point_to_labels(affinity, 'export_dataloader', maps, soft=True)
    no_crf = Config(affinity.to_dict())
    no_crf.model.crf_iters = 0
    network = network_of(cfg)
    point_to_masks(network, masks)

    if cfg.seeds.get('checkpoint'):
        start = Path(cfg.seeds.checkpoint)
        first = Stage('seeds_network', {}, (), lambda: _require(start), start)
    else:
        first = _training('seeds_network', base, (), seeds, tools)
        start = first.output
    affinity.load_from = str(start)
    middle = _training(
        'affinity_network',
        affinity,
        ('seeds_network', 'affinity_labels'),
        work_dir / 'affinity_network',
        tools,
    )
    needs = ('seeds', 'affinity_network')
    last = _training('network', network, ('pseudo_masks',), work_dir / 'network', tools)
    source = cfg.seeds.get('source', 'cam')

    def make_labels() -> None:
        with (labels.parent / 'log.txt').open('a') as log:
            write_affinity_labels(base, maps, labels, **cfg.labels, stream=log)

    return [
        first,
        _export('seeds', base, start, source, ('seeds_network',), maps, tools, True),
        Stage('affinity_labels', dict(cfg.labels), ('seeds',), make_labels, labels),
        middle,
        _export(
            'refined_seeds', no_crf, middle.output, 'affinity', needs, walked, tools
        ),
        _export(
            'pseudo_masks', affinity, middle.output, 'affinity', needs, masks, tools
        ),
        last,
        *(
            _prediction(name, options, network, last, work_dir)
            for name, options in cfg.evaluation.items()
        ),
    ]


def stage_config(cfg: Config, part: str) -> Config:
    """Load the config of a part of the pipeline.

    Args:
        cfg: Config of the pipeline; its ``seed`` is the seed of all trainings.
        part: ``'seeds'``, ``'affinity'`` or ``'network'``; its ``cfg_options`` override
            the config, such as ``{'train_cfg.max_iters': 400}``.

    Raises:
        KeyError: If the part has no ``config``.
        ValueError: If that config has no training.
    """
    if 'config' not in cfg[part]:
        raise KeyError(f"{part} needs the key 'config', got {sorted(cfg[part])}")
    stage = Config.fromfile(cfg[part].config)
    stage.merge_from_dict(dict(cfg[part].get('cfg_options', {})))
    require(stage, 'train_dataloader.dataset', 'train_cfg')
    if 'seed' in cfg:
        stage.merge_from_dict({'randomness.seed': cfg.seed})
    return stage


def point_to_labels(
    affinity: Config, key: str, folder: Path, soft: bool = False
) -> None:
    """Set the folder of the labels or seeds of an affinity network, in place.

    Without them the network would be trained on its own CAMs, or propagate these.

    Args:
        affinity: Config of the network.
        key: Name of the loader.
        folder: Folder from which every ``LoadPseudoLabel`` of the loader reads.
        soft: Whether it loads soft maps, the seeds; else labels.

    Raises:
        ValueError: If a pipeline of images without masks does not load them.
    """
    loader = affinity.get(key)
    if not loader:
        raise ValueError(f'{affinity.filename} has no {key}')
    for pipeline in [*unmasked_pipelines(loader.dataset)] or [[]]:
        loads = [step for step in walk_dicts(pipeline) if step.get('type') == LOAD]
        found = [bool(step.get('soft', False)) for step in loads]
        masks = not soft and any(map(loads_gt, walk_dicts(pipeline)))
        if found != [soft] and not masks:
            text = ' and '.join(f'{LOAD}(soft={value})' for value in found) or 'none'
            raise ValueError(
                f'{affinity.filename}: {key}: expected one {LOAD}(soft={soft}) in the '
                f'pipeline of images without masks, found {text}; add '
                f"dict(type='{LOAD}', folder='', num_classes=C, soft={soft}) after the "
                'loading of the image, in place of others'
            )
    for part in walk_dicts(loader):
        if part.get('type') == LOAD:
            part['folder'] = str(folder)


def point_to_masks(network: Config, masks: Path) -> None:
    """Set the folder of the training masks of a network, in place.

    Raises:
        ValueError: If no dataset of the config reads masks from a folder.
    """
    found = False
    for part in walk_dicts(network.train_dataloader):
        if 'seg_map_path' in (part.get('data_prefix') or {}):
            found = True
            # MMEngine joins relative paths with data_root.
            path = masks.absolute() if part.get('data_root') else masks
            part['data_prefix']['seg_map_path'] = str(path)
    if not found:
        raise ValueError(
            f'{network.filename}: expected a dataset with data_prefix.seg_map_path in '
            'train_dataloader, where the pipeline sets the folder of the pseudo-masks'
        )


def network_of(cfg: Config) -> Config:
    """Load the config of the network; without a test set, add the training images.

    These are the images of the seeds without given masks, with the pipeline of the
    network's ``export_dataloader`` or, if it has none, of the seeds'.
    """
    network = stage_config(cfg, 'network')
    if not has_test_set(network):
        seeds = stage_config(cfg, 'seeds')
        loader = network.get('export_dataloader') or seeds.export_dataloader
        owner = next(pipeline_owners(unmasked_images(loader.dataset)))
        network.test_dataloader = dict(copy.deepcopy(seeds.export_dataloader))
        network.test_dataloader.dataset = unmasked_images(
            seeds.export_dataloader.dataset, owner['pipeline']
        )
        network.test_evaluator = dict(type='IoUMetric', format_only=True)
        network.test_cfg = dict(type='TestLoop')
    return network


def has_test_set(network: Config) -> bool:
    """Return whether a config has images to test on, and a metric."""
    keys = ('test_dataloader', 'test_cfg', 'test_evaluator')
    return all(network.get(key) for key in keys)


def shared_batch(cfg: Config, gpus: int) -> int:
    """Compute the batch size per GPU that keeps the total batch size of a config.

    A config named like those of this package, ``..._8xb2-20k_...``, is meant for 8
    GPUs; others keep their batch size.

    Raises:
        ValueError: If the total batch size is not a multiple of ``gpus``.
    """
    batch_size = cfg.train_dataloader.batch_size
    named = re.search(r'_(\d+)xb\d+(?:\+\d+)?[-_]', Path(cfg.filename or '').stem)
    if named is None:
        return batch_size
    total = int(named[1]) * batch_size
    if total % gpus:
        raise ValueError(
            f'{cfg.filename}: {total} images per step cannot be split over {gpus} GPUs'
        )
    return total // gpus


def prediction_folder(work_dir: Path, setting: str) -> Path:
    """Return the folder of the predictions of a setting."""
    return work_dir / f'predictions_{setting}/masks'


def _training(
    name: str, cfg: Config, needs: Sequence[str], folder: Path, tools: Tools
) -> Stage:
    """Build the stage of a training without validation."""
    if 'max_iters' not in cfg.train_cfg:
        raise ValueError(
            f'{cfg.filename}: a stage needs train_cfg.max_iters, found '
            f'train_cfg={dict(cfg.train_cfg)}; take an iteration-based loop'
        )
    batch_size = shared_batch(cfg, tools.gpus)
    cfg = Config(cfg.to_dict())
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    if cfg.get('default_hooks', {}).get('checkpoint', {}).get('save_best'):
        cfg.default_hooks.checkpoint.save_best = None  # needs a validation
    cfg.setdefault('randomness', dict(seed=0))
    # Another number of GPUs with as many images per step gives the same training.
    settings = {'config': cfg.to_dict(), 'images_per_step': batch_size * tools.gpus}
    for part in (cfg.train_dataloader, cfg.train_dataloader.sampler):
        if 'batch_size' in part:  # the sampler of a SemiDataset has one too
            part.batch_size = batch_size
    hooks = [hook['type'] for hook in cfg.get('custom_hooks', [])]
    exact = 'IterationSeedHook' in hooks  # needed to resume exactly

    def run() -> None:
        started = exact and (folder / 'last_checkpoint').is_file()
        if not started:
            for path in folder.glob('*.pth'):
                path.unlink()
        cfg.dump(folder / 'config.py')
        words = [folder / 'config.py', '--work-dir', folder]
        tools(
            'train.py', folder / 'log.txt', *words, *(['--resume'] if started else [])
        )

    checkpoint = folder / f'iter_{cfg.train_cfg.max_iters}.pth'
    return Stage(name, settings, needs, run, checkpoint)


def _export(
    name: str,
    cfg: Config,
    checkpoint: Path,
    source: str,
    needs: Sequence[str],
    out: Path,
    tools: Tools,
    soft: bool = False,
) -> Stage:
    def run() -> None:
        path = out.parent / 'config.py'
        cfg.dump(path)
        words = [path, checkpoint, '--out', out, '--source', source, '--split', 'train']
        words += ['--soft'] if soft else []
        tools('export_pseudo_labels.py', out.parent / 'log.txt', *words)

    settings = {'config': cfg.to_dict(), 'source': source}
    return Stage(name, settings, needs, run, out)


def _prediction(
    name: str,
    options: Mapping[str, bool],
    network: Config,
    trained: Stage,
    work_dir: Path,
) -> Stage:
    unknown = set(options) - set(TEST_OPTIONS)
    if unknown:
        raise KeyError(
            f'evaluation.{name} may have {sorted(TEST_OPTIONS)}, got {sorted(unknown)}'
        )
    out = prediction_folder(work_dir, name)

    def run() -> None:
        out.parent.mkdir(parents=True, exist_ok=True)
        network.dump(out.parent / 'config.py')
        with (out.parent / 'log.txt').open('a') as log:
            predict_images(network, trained.output, out, options, stream=log)

    settings = {'config': network.to_dict(), 'options': dict(options)}
    return Stage(out.parent.name, settings, (trained.name,), run, out)


def _require(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f'seeds.checkpoint: {path} does not exist')

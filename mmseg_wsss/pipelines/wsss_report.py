"""Check a pipeline before its first stage, and report on it after its last."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmseg_wsss.engine.launch import require_checkpoint
from mmseg_wsss.registry import DATASETS, MODELS
from mmseg_wsss.utils.configs import model_config, walk_dicts

from .export import choose_dataloader, image_names, image_paths, labeled_names
from .export_files import given_names
from .predict_images import predict_images
from .report import Images, write_report
from .setting import pipeline_owners
from .stages import Stage
from .unmasked_images import unmasked_images
from .wsss_stages import (
    has_test_set,
    network_of,
    point_to_masks,
    prediction_folder,
    stage_config,
)

NUM_IMAGES = 6


def check_pipeline(cfg: Config) -> None:
    """Check everything that can be checked before the first stage.

    The datasets and models of all stages are built. Images must have the same names
    and classes in all stages, heads as many classes as the data, the model of the seeds
    must provide their source, and checkpoints must exist.

    Args:
        cfg: Config of a pipeline, see :func:`build_stages`.

    Raises:
        ValueError: If there are problems; the message lists all of them.
    """
    configs = {
        part: stage_config(cfg, part) for part in ('seeds', 'affinity', 'network')
    }
    init_default_scope(configs['seeds'].get('default_scope', 'mmseg'))
    point_to_masks(configs['network'], Path('masks'))
    wrong: list[str] = []
    data: dict[str, tuple[str, Any]] = {}
    if not has_test_set(configs['network']) and configs['seeds'].get(
        'export_dataloader'
    ):
        images = network_of(cfg).test_dataloader.dataset
        data['network, predictions'] = ('network', DATASETS.build(images))
    loaders = {
        'seeds': ['train_dataloader', 'export_dataloader'],
        'affinity': ['train_dataloader', 'export_dataloader'],
        'network': ['train_dataloader'],
    }
    for part, keys in loaders.items():
        for key in keys:
            if not configs[part].get(key):
                wrong.append(f'{part}.config {cfg[part].config} has no {key}')
                continue
            dataset = DATASETS.build(copy.deepcopy(configs[part][key].dataset))
            data[f'{part}, {key}'] = (part, dataset)
    if 'seeds, export_dataloader' in data:
        wrong += _differences(data)
    split = cfg.seeds.get('gt_split', 'train')
    if split != 'train' and not configs['seeds'].get(f'{split}_dataloader'):
        wrong.append(f'seeds.gt_split: {cfg.seeds.config} has no {split}_dataloader')
    for part, stage in configs.items():
        wrong += _wrong_model(part, stage, cfg, data)
    if wrong:
        lines = ''.join(f'\n  {line}' for line in wrong)
        raise ValueError(f'the pipeline cannot run:{lines}')


def _differences(data: Mapping[str, tuple[str, Any]]) -> list[str]:
    """Compare the classes and images of all datasets with the seeds'."""
    _, seeds = data['seeds, export_dataloader']
    classes, wrong = list(seeds.metainfo['classes']), []
    try:
        names = set(image_paths(seeds).values())
    except ValueError as error:
        return [
            f'seeds, export_dataloader: {error}; remove it from one of the folders or '
            'lists if it is one image, else rename it'
        ]
    given = set(labeled_names(seeds))
    wrong += _other_labeled_images(data, given)
    if 'network, train_dataloader' in data:
        wrong += _lost_masks(data['network, train_dataloader'][1], given)
    for title, (_, dataset) in data.items():
        found = list(dataset.metainfo['classes'])
        if found != classes:
            wrong.append(f'{title}: expected the classes {classes}, found {found}')
        missing = sorted(image_names(dataset) - names)
        if missing:
            wrong.append(
                f'{title}: {len(missing)} images are not among those of the seeds and '
                f'have no labels; the first is {missing[0]}'
            )
    if classes[0] != 'background':
        wrong.append(f'expected background as the first class, found {classes}')
    return wrong


def _other_labeled_images(
    data: Mapping[str, tuple[str, Any]], given: set[str]
) -> list[str]:
    """Compare the images trained with masks with those that the report leaves out.

    All masks of the network are those of the pipeline, see :func:`_lost_masks`.
    """
    wrong = []
    for title, (part, dataset) in data.items():
        found = set(labeled_names(dataset))
        exported = title == 'affinity, export_dataloader'
        if part == 'network' or (not found and not exported):
            continue
        other = sorted(given ^ found)
        if other:
            wrong.append(
                f'{title}: expected the labeled images of the export_dataloader of the '
                f'seeds, found {len(other)} others or missing, such as {other[0]}; '
                'give all loaders the same split or lists'
            )
    return wrong


def _lost_masks(network: Any, given: set[str]) -> list[str]:
    """Check that the network is trained on the masks of the labeled images.

    The export of the pseudo-masks writes these masks, so that any dataset may read
    them; of a ``SemiDataset`` only the labeled part does.
    """
    lost = sorted(given - (set(labeled_names(network)) or image_names(network)))
    if not lost:
        return []
    return [
        f'network, train_dataloader: expected all {len(given)} labeled images of the '
        f'export_dataloader of the seeds, {len(lost)} are missing, such as {lost[0]}; '
        'add them as configs/templates/deeplabv3plus_tags-and-masks.py does, or remove '
        'them from the labeled part of the seeds'
    ]


def _wrong_model(
    part: str, stage: Config, cfg: Config, data: Mapping[str, tuple[str, Any]]
) -> list[str]:
    """Check the model of a stage and its checkpoint."""
    wrong = []
    model: Any = MODELS.build(model_config(stage))
    start = cfg[part].get('checkpoint') or stage.get('load_from')
    if part != 'affinity':  # affinity starts from the seeds' network
        try:
            require_checkpoint(start)
        except FileNotFoundError as error:
            wrong.append(f'{part}: {error}')
    source = {'seeds': cfg.seeds.get('source', 'cam'), 'affinity': 'affinity'}.get(part)
    sources = sorted(getattr(model, 'pseudo_sources', dict)())
    if source is not None and source not in sources:
        wrong.append(f'{part}: {type(model).__name__} has no {source!r}, has {sources}')
    entry = data.get(f'{part}, train_dataloader')
    if entry is not None:
        count = len(entry[1].metainfo['classes'])
        expected = {'decode_head': count, 'cam_head': count - 1}
        for head, number in expected.items():
            found = getattr(getattr(model, head, None), 'num_classes', number)
            if found != number:
                wrong.append(
                    f'{part}: expected {head}.num_classes={number} for {count} classes '
                    f'with background, found {found}'
                )
        for step in walk_dicts(
            [stage.train_dataloader, stage.get('export_dataloader')]
        ):
            if step.get('type') == 'LoadPseudoLabel' and step['num_classes'] != count:
                wrong.append(
                    f'{part}: expected LoadPseudoLabel(num_classes={count}), found '
                    f'{step["num_classes"]}'
                )
    return wrong


def report_pipeline(
    cfg: Config,
    stages: list[Stage],
    records: Mapping[str, Mapping[str, Any]],
    work_dir: Path,
) -> dict[str, float]:
    """Write the report of a finished pipeline, see :func:`write_report`.

    Args:
        cfg: Config of the pipeline.
        stages: Its stages.
        records: Their records, from :func:`run_stages`.
        work_dir: Folder of the stages and of the report.

    Returns:
        mIoU in percent, by title of the label maps.
    """
    seeds, network = stage_config(cfg, 'seeds'), network_of(cfg)
    init_default_scope(seeds.get('default_scope', 'mmseg'))
    loader = choose_dataloader(seeds, cfg.seeds.get('gt_split', 'train'))
    given = given_names(work_dir / 'seeds/maps')
    is_cam = cfg.seeds.get('source', 'cam') == 'cam'  # else its labels are exported
    threshold = (seeds.model.get('test_cfg') or {}).get('bg_thr', 0.45)
    train = Images(
        'training images without given masks' if given else 'training images',
        DATASETS.build(copy.deepcopy(loader['dataset'])),
        {
            'refined seeds': work_dir / 'refined_seeds/masks',
            'pseudo-masks': work_dir / 'pseudo_masks/masks',
        },
        work_dir / 'seeds/maps',
        threshold if is_cam else None,
        given=given,
    )
    predictions = {
        f'network ({name})': prediction_folder(work_dir, name)
        for name in cfg.evaluation
    }
    parts = [train]
    checkpoint = {stage.name: stage.output for stage in stages}['network']
    if has_test_set(stage_config(cfg, 'network')):
        folder = work_dir / 'report_network'
        network.load_from = None
        _predict_shown(network, loader, checkpoint, folder, train.shown(NUM_IMAGES))
        train.folders['network'] = folder
        train.shown_only = ['network']
        test = DATASETS.build(copy.deepcopy(network.test_dataloader.dataset))
        parts.append(Images('test images', test, predictions))
    else:
        train.folders |= predictions
    facts = {
        'configs': ', '.join(
            f'{part}: {cfg[part].config}' for part in ('seeds', 'affinity', 'network')
        )
    }
    if 'seed' in cfg:
        facts['seed'] = str(cfg.seed)
    if given:
        facts['given masks'] = (
            f'{len(given)} training images have masks of their own, which are neither '
            'evaluated nor shown here'
        )
    rows = [['stage', 'seconds', 'output']]
    for stage in stages:
        seconds = f'{records[stage.name]["seconds"]:.0f}'
        rows.append([stage.name, seconds, str(stage.output)])
    return write_report(parts, work_dir, facts, rows, NUM_IMAGES)


def _predict_shown(
    network: Config, loader: Mapping, checkpoint: Path, out: Path, names: list[str]
) -> None:
    """Predict the training images to show, with the network's test pipeline."""
    for file in out.rglob('*.png'):
        file.unlink()
    cfg = copy.deepcopy(network)
    pipeline = next(pipeline_owners(cfg.test_dataloader.dataset))['pipeline']
    cfg.test_dataloader.dataset = unmasked_images(loader['dataset'], pipeline)
    predict_images(cfg, checkpoint, out, only=names)

"""Eight small images and a small network, on which every method is tried."""

import itertools
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.structures import LabelData, PixelData
from mmseg.structures import SegDataSample
from PIL import Image
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.configs import walk_dicts

from .methods import BACKBONE, FCN_HEAD, HEAD, METHODS, NOT_RANDOM, NUM_TAGS, TAG_NAMES

SIZE = (40, 48)
CROP = (33, 33)
# Tag indices of the images; the last one has none.
TAGS = ((0,), (1, 4), (2,), (3, 0), (4,), (5, 2, 1), (0, 5), ())
COLORS = np.array(
    [
        [90, 90, 90],
        [220, 40, 40],
        [40, 200, 60],
        [220, 210, 40],
        [50, 70, 220],
        [200, 60, 200],
        [60, 210, 210],
    ]
)

_runs = itertools.count()


def write_tiny_voc(folder: Path) -> Path:
    """Write the images, masks, lists and tags in VOC layout.

    Each tag is a rectangle of the color of its class; a seed fixes every byte.

    Args:
        folder: Where to; created if need be.

    Returns:
        ``folder``.
    """
    rng = np.random.default_rng(0)
    folders = [folder / name for name in ('JPEGImages', 'SegmentationClass')]
    lists = folder / 'ImageSets' / 'Segmentation'
    for path in (*folders, lists):
        path.mkdir(parents=True, exist_ok=True)
    for i, tags in enumerate(TAGS):
        mask = np.zeros(SIZE, np.uint8)
        for k in tags:
            row, col = rng.integers((0, 0), (SIZE[0] - 16, SIZE[1] - 16))
            mask[row : row + 16, col : col + 16] = k + 1
        img = COLORS[mask] + rng.integers(-30, 31, (*SIZE, 3))
        img = img.clip(0, 255).astype(np.uint8)
        Image.fromarray(img).save(folders[0] / f'{i}.png')
        Image.fromarray(mask).save(folders[1] / f'{i}.png')
    names = [str(i) for i in range(len(TAGS))]
    table = {name: [TAG_NAMES[k] for k in row] for name, row in zip(names, TAGS)}
    for split, part in (('train', names), ('val', names[:3])):
        (lists / f'{split}.txt').write_text('\n'.join(part) + '\n')
        selected = {name: table[name] for name in part}
        (folder / f'tags_{split}.json').write_text(json.dumps(selected))
    return folder


def tiny_model(
    name: str, drop: bool = True, num_tags: int = NUM_TAGS, **settings: Any
) -> dict:
    """Model config of a method: two stages of a ResNet with 8 and 16 channels.

    Args:
        name: Key of ``METHODS``.
        drop: Whether there is dropout, in the classifier and the segmentation heads,
            and CutMix.
        num_tags: Number of classes beside the background.
        **settings: Settings over those of the method and of its network.
    """
    model: dict = {
        'data_preprocessor': {
            'type': 'SegDataPreProcessor',
            'mean': [123.675, 116.28, 103.53],
            'std': [58.395, 57.12, 57.375],
            'bgr_to_rgb': True,
            'pad_val': 0,
            'seg_pad_val': 255,
            'size_divisor': 1,
        },
        'backbone': BACKBONE,
        'cam_head': {'type': 'CAMHead', 'in_channels': 16, 'num_classes': NUM_TAGS},
        'decode_head': HEAD,
        'test_cfg': {
            'mode': 'whole',
            'cam': {'scales': (0.5, 1.0), 'flip': True, 'merge': 'sum'},
        },
    }
    method = dict(METHODS[name].model)
    if METHODS[name].semi:
        del model['cam_head']
        model |= {'type': 'EncoderDecoder', 'decode_head': FCN_HEAD}
        own = [k for k in settings if k.startswith('semi_') or k == 'cam_head']
        outer = {key: settings.pop(key) for key in own}
        model = method | outer | {'segmentor': model | settings}
    else:
        if METHODS[name].classifier:
            del model['decode_head']
        model |= method | settings
    model = deepcopy(model)
    if not drop:
        _set_dropout(model, 0.0)
        if METHODS[name].semi:
            settings_of = fields(MODELS.get(model['type']).train_settings)
            known = {setting.name for setting in settings_of}
            off = {key: value for key, value in NOT_RANDOM.items() if key in known}
            chosen = outer.get('semi_train_cfg', {})
            model['semi_train_cfg'] = {**model['semi_train_cfg'], **off, **chosen}
    if num_tags != NUM_TAGS:
        _set_classes(model, num_tags)
    return model


def tiny_network(name: str, seed: int = 0, **settings: Any) -> torch.nn.Module:
    """The segmentor of :func:`tiny_model`, initialized, in training mode."""
    torch.manual_seed(seed)
    model = MODELS.build(ConfigDict(tiny_model(name, **settings)))
    model.init_weights()
    return model.train()


def tiny_config(
    name: str,
    data_root: Path,
    work_dir: Path,
    max_iters: int = 4,
    num_workers: int = 0,
    **settings: Any,
) -> Config:
    """Config of a training of a method, with everything random that ours have.

    Args:
        name: Key of ``METHODS``.
        data_root: What :func:`write_tiny_voc` wrote.
        work_dir: Folder of logs and checkpoints; one is kept, of every second
            iteration.
        max_iters: Iterations.
        num_workers: Processes that load images.
        **settings: Settings over these, e.g. ``model``.
    """
    step: dict[str, Any] = {'type': 'PackWeakInputs'}
    load: dict[str, Any] = {'type': 'LoadImageStrict'}
    augment: list[dict[str, Any]] = [
        {'type': 'RandomRescale', 'ratio_range': (0.5, 1.5)},
        {'type': 'RandomFlip', 'prob': 0.5},
        {'type': 'RandomCropPad', 'crop_size': CROP},
        {'type': 'PhotoMetricDistortion'},
    ]
    evaluate: list[dict[str, Any]] = [
        load,
        {'type': 'LoadAnnotationsStrict', 'num_classes': NUM_TAGS + 1},
        step,
    ]
    if METHODS[name].semi:
        train_dataloader = _semi_loader(data_root, [load, evaluate[1]], augment, step)
    else:
        train = _dataset(data_root, 'train', [load, *augment, step])
        train_dataloader = _loader(train, 2)
    train_dataloader['num_workers'] = num_workers
    val = _loader(_dataset(data_root, 'val', evaluate, test_mode=True))
    val['sampler'] = {'type': 'DefaultSampler', 'shuffle': False}
    checkpoint = {'type': 'AtomicCheckpointHook', 'interval': 2, 'max_keep_ckpts': 1}
    cfg = {
        'default_scope': 'mmseg',
        'model': tiny_model(name),
        'work_dir': str(work_dir),
        'train_dataloader': train_dataloader,
        'val_dataloader': val,
        'test_dataloader': val,
        'val_evaluator': {'type': 'IoUMetric', 'iou_metrics': ['mIoU']},
        'test_evaluator': {'type': 'IoUMetric', 'iou_metrics': ['mIoU']},
        'train_cfg': {
            'type': 'IterBasedTrainLoop',
            'max_iters': max_iters,
            'val_interval': 1000,
        },
        'val_cfg': {'type': 'ValLoop'},
        'test_cfg': {'type': 'TestLoop'},
        'optim_wrapper': {
            'type': 'OptimWrapper',
            'optimizer': {'type': 'AdamW', 'lr': 1e-3},
        },
        'param_scheduler': [
            {'type': 'PolyLR', 'begin': 0, 'end': 100, 'by_epoch': False}
        ],
        'default_hooks': {
            'checkpoint': checkpoint | {'by_epoch': False},
            'logger': {'type': 'LoggerHook', 'interval': 1},
        },
        'custom_hooks': [
            {'type': 'IterationSeedHook'},
            {'type': 'NonFiniteLossHook'},
            *_hooks_within(max_iters, METHODS[name].hooks),
        ],
        'log_processor': {'by_epoch': False},
        'log_level': 'WARNING',
        'randomness': {'seed': 3},
        'env_cfg': {'mp_cfg': {'mp_start_method': 'fork', 'opencv_num_threads': 0}},
        # MMEngine keeps loggers and logged values under this name.
        'experiment_name': f'{name}_{next(_runs)}',
    }
    return Config(deepcopy(cfg | settings))


def with_masks(cfg: Config) -> Config:
    """Give the first half of the images of a weakly supervised training their masks.

    A batch of two has one image of each half; the config is changed in place.
    """
    weak = cfg.train_dataloader.dataset.to_dict()
    load, *augment = weak['pipeline']
    masks = {'type': 'LoadAnnotationsStrict'}
    first = {'indices': 4, 'pipeline': [load, masks, *augment]}
    second = {'indices': -4, 'pipeline': [load, *augment]}
    cfg.train_dataloader.dataset = {
        'type': 'SemiDataset',
        'labeled': weak['dataset'] | first,
        'tagged': weak['dataset'] | second,
        'tags': weak['tags'],
    }
    cfg.train_dataloader.sampler = {'type': 'MultiSourceSampler', 'batch_size': 2}
    return cfg


def _hooks_within(max_iters: int, hooks: Sequence[Mapping]) -> list[dict]:
    """Hooks of a method, their phases begun before the end of a short training."""
    last = max_iters - 1
    times = {'iters', 'begin'}
    return [
        {k: min(v, last) if k in times else v for k, v in hook.items()}
        for hook in hooks
    ]


def set_phase(model: torch.nn.Module, phase: Mapping[str, Any]) -> None:
    """Put a segmentor into one of the phases of its method."""
    for name, value in phase.items():
        setattr(model, name, value)


def tiny_batch(
    num: int = 2,
    size: tuple[int, int] = CROP,
    tags: Sequence[Sequence[int]] = TAGS,
    valid: bool = True,
    num_tags: int = NUM_TAGS,
) -> tuple[Tensor, list[SegDataSample]]:
    """A batch as the data preprocessor gives it, of colored noise.

    Args:
        num: Number of images.
        size: Their height and width.
        tags: Tag indices of each.
        valid: Whether they are images, or padding all over.
        num_tags: Number of classes beside the background.

    Returns:
        Inputs (N, 3, H, W) and data samples.
    """
    rng = torch.Generator().manual_seed(0)
    coarse = torch.randn(num, 3, 5, 5, generator=rng)
    inputs = torch.nn.functional.interpolate(coarse, size=size, mode='bilinear')
    inputs = inputs + 0.2 * torch.randn(inputs.shape, generator=rng)
    samples = []
    for i in range(num):
        sample = SegDataSample(
            metainfo={'img_path': f'{i}.png', 'img_shape': size, 'ori_shape': size}
        )
        label = torch.zeros(num_tags)
        label[list(tags[i])] = 1
        sample.gt_tags = LabelData(label=label)
        sample.valid_map = PixelData(data=torch.full((1, *size), valid))
        samples.append(sample)
    return inputs * float(valid), samples


def batch_of(method: str, **options: Any) -> tuple[Any, Any]:
    """The batch of :func:`tiny_batch`, of a method.

    A semi-supervised one gets every branch: the labeled images have masks with a
    stripe of each of their classes, the weak views are the same images upside down,
    and the strong ones have noise.
    """
    inputs, samples = tiny_batch(**options)
    if not METHODS[method].semi:
        return inputs, samples
    give_masks(samples)
    bare = [SegDataSample(metainfo=sample.metainfo) for sample in samples]
    for of_unlabeled, sample in zip(bare, samples):
        of_unlabeled.valid_map = PixelData(data=sample.valid_map.data.flip(1))
    rng = torch.Generator().manual_seed(1)
    views = {'sup': inputs, 'unsup_weak': inputs.flip(2)}
    for name in ('unsup_strong', 'unsup_strong_0', 'unsup_strong_1'):
        noise = torch.randn(inputs.shape, generator=rng)
        views[name] = (inputs + 0.3 * noise * (inputs != 0)).flip(2)
    return views, {name: samples if name == 'sup' else bare for name in views}


def give_masks(samples: Sequence[SegDataSample]) -> None:
    """Give data samples masks with a stripe of each of their classes, in place."""
    for sample in samples:
        classes = [0, *(sample.gt_tags.label.nonzero()[:, 0] + 1).tolist()]
        height, width = sample.valid_map.shape
        stripes = torch.tensor(classes).repeat_interleave(-(-width // len(classes)))
        truth = stripes[:width].expand(1, height, width).clone()
        truth[~sample.valid_map.data] = 255
        sample.gt_sem_seg = PixelData(data=truth)


def _dataset(
    root: Path, split: str, pipeline: list[dict], test_mode: bool = False
) -> dict:
    return {
        'type': 'WeakDataset',
        'dataset': {
            'type': 'BaseSegDataset',
            'metainfo': {'classes': ('background', *TAG_NAMES)},
            'data_root': str(root),
            'data_prefix': {
                'img_path': 'JPEGImages',
                'seg_map_path': 'SegmentationClass',
            },
            'ann_file': f'ImageSets/Segmentation/{split}.txt',
            'img_suffix': '.png',
            'serialize_data': False,  # quick without conftest.py, too
        },
        'tags': {'path': str(root / f'tags_{split}.json'), 'allow_empty': True},
        'pipeline': pipeline,
        'test_mode': test_mode,
    }


def _semi_loader(root: Path, load: list[dict], augment: list[dict], step: dict) -> dict:
    """Four images with masks and four without, two of each in a batch."""
    *geometry, color = augment
    views = {'unsup_weak': [step]}
    for name in ('unsup_strong', 'unsup_strong_0', 'unsup_strong_1'):
        views[name] = [color, step]
    parts = {}
    for part, indices, steps, branches in (
        ('labeled', 4, load, {'sup': [color, step]}),
        ('unlabeled', -4, load[:1], views),
    ):
        pipeline = [*steps, *geometry, {'type': 'SemiMultiBranch', **branches}]
        dataset = _dataset(root, 'train', pipeline)['dataset']
        parts[part] = dataset | {'indices': indices, 'pipeline': pipeline}
    loader = _loader({'type': 'SemiDataset', **parts}, batch_size=4)
    loader['sampler'] = {'type': 'MultiSourceSampler', 'batch_size': 4}
    return loader


def _loader(dataset: dict, batch_size: int = 1) -> dict:
    return {
        'batch_size': batch_size,
        'num_workers': 0,
        'sampler': {'type': 'EndlessSampler'},
        'dataset': dataset,
    }


def _set_dropout(node: Any, ratio: float) -> None:
    """Set the dropout of all heads of a config, in place."""
    for part in walk_dicts(node):
        if str(part.get('type')).endswith('Head'):
            part['dropout_ratio'] = ratio


def _set_classes(node: Any, num_tags: int) -> None:
    """Set the number of classes of all heads of a config, in place."""
    for part in walk_dicts(node):
        if 'num_classes' in part:
            part['num_classes'] = num_tags + (part['type'] != 'CAMHead')

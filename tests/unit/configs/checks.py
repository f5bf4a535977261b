"""Properties that every config has. Each check yields what is wrong with one config."""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from catalog import MODELS, NAME, build, load
from mmengine.config import Config
from mmengine.registry import Registry

from mmseg_wsss.models.utils import phases_of
from mmseg_wsss.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    METRICS,
    TRANSFORMS,
)

# Method of a name: the folder of its configs, and settings of its model.
METHODS = {
    'asdt': ('asdt', {'type': 'ASDT'}),
    'rrm': ('rrm', {'type': 'RRM'}),
    'cam': ('cam', {'type': 'CAM'}),
    'camseg': ('cam_seg', {'type': 'CAMSeg'}),
    'afa': ('afa', {'type': 'AFA'}),
    'tscd': ('tscd', {'type': 'TSCD'}),
    'rcmmam': ('rcm_mam', {'type': 'RCMMAM'}),
    'affinitynet': ('affinity_net', {'type': 'AffinityNet'}),
    'irnet': ('irnet', {'type': 'IRNet'}),
    'pspnet': ('asdt', {'decode_head.type': 'PSPHead'}),
    'deeplabv3plus': ('asdt', {'decode_head.type': 'DepthwiseSeparableASPPHead'}),
    'supervised': (
        'supervised',
        {'type': 'SupervisedSegmentor'},
    ),
    'mean-teacher': ('mean_teacher', {'type': 'MeanTeacherSegmentor'}),
    'cps': ('cps', {'type': 'CPS'}),
    'fixmatch': ('fixmatch', {'type': 'FixMatch'}),
    'unimatch': ('unimatch', {'type': 'UniMatch'}),
    'unimatch-v2': ('unimatch', {'type': 'UniMatchV2'}),
    'mkd': ('mkd', {'type': 'MKD'}),
}
NETWORKS = {
    'wrn38': {'type': 'WideResNet38'},
    'r18': {'type': 'ResNetV1c', 'depth': 18},
    'r50': {'type': 'ResNetV1c', 'depth': 50},
    'r101': {'type': 'ResNetV1c', 'depth': 101, 'strides': (1, 2, 2, 1)},
    'r101-d8': {'type': 'ResNetV1c', 'depth': 101, 'strides': (1, 2, 1, 1)},
    'res2net101-d8': {'type': 'mmpretrain.Res2Net', 'depth': 101},
    'mobilenet-v2': {'type': 'MobileNetV2'},
    'mit-b1': {'type': 'AttentionMiT', 'embed_dims': 64, 'num_layers': (2, 2, 2, 2)},
    'smallnet-segformer': {'type': 'SmallNet'},
    'dinov2-small': {'type': 'mmpretrain.VisionTransformer', 'arch': 'dinov2-small'},
}
VOC = 'PascalVOCDataset'
# Data of a name: settings of the training set, its classes, of an unlabeled split the
# folder up to its name.
DATA = {
    'voc12aug': ({'type': VOC, 'ann_file': 'ImageSets/Segmentation/train_aug.txt'}, 21),
    'cocostuff10k': ({'type': 'COCOStuffDataset', 'reduce_zero_label': True}, 171),
    'coco14': ({'type': 'COCOObjectsDataset', 'ann_file': 'train2014_objects.txt'}, 81),
    'toy-voc': ({'type': 'ToyVOCDataset'}, 7),
    'voc-mini': ({'type': VOC}, 21),
    'camvid': ({'type': 'BaseSegDataset', 'img_suffix': '.jpg'}, 11),
    'voc12cps': ({'type': VOC}, 21),
    'voc12classic': ({'type': VOC}, 21),
    'cityscapes': ({'type': 'CityscapesDataset'}, 19),
    'coco': ({'type': 'COCOObjectsDataset'}, 81),
}
SPLITS = {
    'voc12cps': 'ImageSets/Segmentation/voc-blended-cps_',
    'voc12classic': 'ImageSets/Segmentation/voc-classic_',
    'voc-mini': 'ImageSets/Segmentation/semi_',
    'cityscapes': 'splits/cityscapes-cps_',
    'coco': 'splits/coco-unimatch_',
}
MASKS = 'asdtmasks-'  # before the name of data with pseudo-masks in place of masks
Check = Callable[[Path, Config], Iterator[str]]


def named(path: Path) -> dict[str, str]:
    match = NAME.fullmatch(path.stem)
    assert match, f'{path.stem} does not follow the pattern of names'
    return match.groupdict()


def differences(cfg: dict, settings: dict) -> Iterator[str]:
    """Yield the settings that a config does not have; a tuple gives the choices."""
    for key, expected in settings.items():
        found = functools.reduce(lambda d, k: d.get(k, {}), key.split('.'), cfg)
        if found == expected or (isinstance(expected, tuple) and found in expected):
            continue
        if not isinstance(found, (list, tuple)) or tuple(found) != expected:
            yield f'{key} is {found}, expected {expected}'


def network(cfg: Config) -> dict:
    return cfg.model.get('segmentor', cfg.model)


def training_sets(cfg: Config) -> list[Config]:
    """Return the datasets that are trained on, without wrappers."""
    dataset = cfg.train_dataloader.dataset
    if dataset.type == 'SemiDataset':
        return [dataset.labeled, dataset.unlabeled]
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return [dataset]


def pipelines(cfg: Config) -> list[list]:
    """Return the pipelines of the training data."""
    dataset = cfg.train_dataloader.dataset
    if dataset.type == 'SemiDataset':
        return [dataset.labeled.pipeline, dataset.unlabeled.pipeline]
    return [dataset.pipeline]


def check_method(path: Path, cfg: Config) -> Iterator[str]:
    name = named(path)
    keys = [
        k for k in METHODS if name['method'] in (k, *[k + name['method'][len(k) :]])
    ]
    kind = next((k for k in sorted(keys, key=len, reverse=True)), None)
    if kind is None or not name['method'].startswith(kind):
        yield f'unknown method {name["method"]}'
        return
    folder, settings = METHODS[kind]
    if folder not in path.parts and 'projects' not in path.parts:
        yield f'expected in the folder {folder}'
    if name['regime'] == 'sup' and kind == 'supervised':
        settings = {'type': 'EncoderDecoder'}
    yield from differences(cfg.model, settings)
    yield from differences(network(cfg)['backbone'], NETWORKS[name['network']])


def check_schedule(path: Path, cfg: Config) -> Iterator[str]:
    name = named(path)
    iters = int(name['iters'].replace('k', '000'))
    if cfg.train_cfg.max_iters != iters:
        yield f'trains for {cfg.train_cfg.max_iters} iterations'
    batch = int(name['batch']) + int(name['unlabeled'] or 0)
    if cfg.train_dataloader.batch_size != batch:
        yield f'batch size {cfg.train_dataloader.batch_size}'
    if (cfg.optim_wrapper.type == 'AmpOptimWrapper') != bool(name['amp']):
        yield f'optimizer wrapper {cfg.optim_wrapper.type}'
    poly = cfg.param_scheduler[-1]
    if (poly.type, poly.end, poly.by_epoch) != ('PolyLR', iters, False):
        yield f'the last schedule is {poly.type} until {poly.end}'
    if iters % cfg.default_hooks.checkpoint.interval:
        yield 'the last iteration leaves no checkpoint'
    if cfg.val_dataloader is not None and iters % cfg.train_cfg.val_interval:
        yield 'the last iteration is not validated'
    optimizer = cfg.optim_wrapper.optimizer
    images = int(name['gpus']) * int(name['batch'])
    rate = 2.5e-3 * images / 4
    proportional = name['regime'] == 'semi' and optimizer.type == 'SGD'
    if proportional and abs(optimizer.lr - rate) > 1e-9:
        yield f'learning rate {optimizer.lr} for {images} labeled images'


def check_data(path: Path, cfg: Config) -> Iterator[str]:
    name = named(path)
    settings, _ = DATA[name['dataset'].removeprefix(MASKS)]
    parts = training_sets(cfg)
    for part in parts:
        yield from differences(part, settings)
        if ('voc-mini' in path.stem) != ('voc-mini' in json.dumps(part)):
            yield 'voc-mini is not where the name says'
    crop = (int(name['crop']),) * 2
    for pipeline in pipelines(cfg):
        crops = [tuple(s.crop_size) for s in pipeline if 'RandomCrop' in s.type]
        if crops != [crop]:
            yield f'crops {crops}'
    outer = cfg.train_dataloader.dataset
    wrappers = {'wsss': 'WeakDataset', 'semi': 'SemiDataset', 'mixed': 'SemiDataset'}
    wrapper = wrappers.get(name['regime'])
    if wrapper and outer.type != wrapper:
        yield f'trains on {outer.type}'
    if name['regime'] == 'sup':
        # Pseudo-masks for masks in training, masks in validation.
        masks = {
            Path(data.data_prefix.seg_map_path).name
            for data in (parts[0], cfg.val_dataloader.dataset)
        }
        if (len(masks) == 2) != name['dataset'].startswith(MASKS):
            yield f'trains and validates on the masks {sorted(masks)}'
        if cfg.model.data_preprocessor.size != crop:
            yield f'pads to {cfg.model.data_preprocessor.size}'


def check_split(path: Path, cfg: Config) -> Iterator[str]:
    name = named(path)
    if name['regime'] not in ('semi', 'mixed'):
        return
    dataset, sampler = cfg.train_dataloader.dataset, cfg.train_dataloader.sampler
    if 'seg_map_path' in dataset.unlabeled.get('data_prefix', {}):
        yield 'names masks of the unlabeled part'
    if name['dataset'] == 'toy-voc':
        if (dataset.labeled.indices, dataset.unlabeled.indices) != (10, -390):
            yield 'wrong indices of the toy images'
    elif name['dataset'] == 'camvid':
        for kind in ('labeled', 'unlabeled'):
            split = f'splits/{name["split"].replace("-", "_")}_{kind}.txt'
            if dataset[kind].ann_file != split:
                yield f'list {dataset[kind].ann_file}, expected {split}'
    else:
        folder = SPLITS[name['dataset']] + name['split'].replace('-', '_')
        if dataset.get('split') != folder:
            yield f'split {dataset.get("split")}, expected {folder}'
    if sampler.batch_size != cfg.train_dataloader.batch_size:
        yield f'batch size {sampler.batch_size} of the sampler'
    if sampler.source_ratio != [1, 1] or name['batch'] != name['unlabeled']:
        yield 'labeled and unlabeled images in another ratio'
    if name['regime'] == 'mixed':
        if not dataset.get('tags'):
            yield 'no tags'
        return
    kind = MODELS.get(cfg.model.type)
    *_, branches = dataset.unlabeled.pipeline
    needed = {*kind.branches} - {'sup'}
    if not needed <= set(branches):
        yield f'views {sorted(set(branches) - {"type"})}, needed {sorted(needed)}'


def check_hooks(path: Path, cfg: Config) -> Iterator[str]:
    """Derived randomness, a guard, and one hook for each phase of the method."""
    name = named(path)
    imports = cfg.get('custom_imports', {}).get('imports', [])
    if name['regime'] == 'sup':
        if 'mmseg_wsss' in imports or 'custom_hooks' in cfg:
            yield 'a run on masks needs mmseg alone'
        return
    kinds = [hook.type for hook in cfg.custom_hooks]
    if 'mmseg_wsss' not in imports:
        yield 'does not import mmseg_wsss'
    for kind in {'IterationSeedHook', 'NonFiniteLossHook'} - set(kinds):
        yield f'lacks {kind}'
    if len(kinds) != len(set(kinds)):
        yield f'repeats a hook: {kinds}'
    for kind, methods in {
        'PWMDistillationHook': ('ASDT',),
        'AffinityLabelHook': ('AFA',),
    }.items():
        if (kind in kinds) != (cfg.model.type in methods):
            yield f'{kind} and {cfg.model.type}: one without the other'
    pairs = getattr(MODELS.get(cfg.model.type), 'pairs', ())
    if bool(pairs) != ('MeanTeacherHook' in kinds):
        yield f'MeanTeacherHook and the teachers {sorted(pairs)}: one without the other'
    model = build(cfg)
    phases = phases_of(model)
    found = [p for k in kinds if (p := getattr(HOOKS.get(k), 'phase', None))]
    for phase in set(phases) - set(found) - {'progress'}:
        yield f'no hook sets {phase}; add {phases[phase].hook}'
    for phase in found:
        if not hasattr(type(model), phase):
            yield f'a hook sets {phase}, which {cfg.model.type} does not have'


def check_validation(path: Path, cfg: Config) -> Iterator[str]:
    if named(path)['regime'] != 'semi':
        return
    if cfg.val_cfg.type != 'TeacherStudentValLoop':
        yield f'validates by {cfg.val_cfg.type}'
    best = cfg.default_hooks.checkpoint.get('save_best')
    kind = MODELS.get(cfg.model.type)
    networks = {*kind.students, *kind.pairs}
    if best is not None and best not in {f'{one}/mIoU' for one in networks}:
        yield f'save_best {best}, but the networks are {sorted(networks)}'


def check_loaders(path: Path, cfg: Config) -> Iterator[str]:
    """mmseg's loaders, which MMSegInferencer looks for by name, in test pipelines."""
    for key in ('val_dataloader', 'test_dataloader'):
        if cfg[key] is None:
            continue
        kinds = [step.type for step in cfg[key].dataset.pipeline]
        if not {'LoadImageFromFile', 'LoadAnnotations'} <= set(kinds):
            yield f'{key} loads by {kinds}'
    strict = named(path)['regime'] != 'sup'
    for pipeline in pipelines(cfg):
        if (pipeline[0].type == 'LoadImageStrict') != strict:
            yield f'training images are loaded by {pipeline[0].type}'


def registered_parts(cfg: Config) -> list[tuple[Registry, dict]]:
    """Return registry and config of everything that a config names."""
    found = [(MODELS, cfg.model), *((DATASETS, part) for part in training_sets(cfg))]
    found += [(TRANSFORMS, step) for steps in pipelines(cfg) for step in steps]
    for key in ('train', 'val', 'test', 'export'):
        loader = cfg.get(f'{key}_dataloader')
        if loader is not None:
            found += [(DATASETS, loader.dataset), (DATA_SAMPLERS, loader.sampler)]
            steps = loader.dataset.get('pipeline', ())
            found += [(TRANSFORMS, step) for step in steps]
    hooks = [*cfg.default_hooks.values(), *cfg.get('custom_hooks', [])]
    found += [(HOOKS, hook) for hook in hooks]
    evaluators = cfg.get('val_evaluator') or []
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    found += [(METRICS, evaluator) for evaluator in evaluators]
    return found


def check_registered(path: Path, cfg: Config) -> Iterator[str]:
    for registry, part in registered_parts(cfg):
        kind = registry.get(part.type)
        if kind is None:
            yield f'{part.type} is not registered'
        elif named(path)['regime'] == 'sup' and 'mmseg_wsss' in kind.__module__:
            yield f'{part.type} is not of mmseg'


def check_model(path: Path, cfg: Config) -> Iterator[str]:
    """The model builds, its heads fit the features, classes are those of the data."""
    _, count = DATA[named(path)['dataset'].removeprefix(MASKS)]
    part = training_sets(cfg)[0]
    classes = {**DATASETS.get(part.type).METAINFO, **part.get('metainfo', {})}[
        'classes'
    ]
    if len(classes) != count:
        yield f'{part.type} has {len(classes)} classes'
    model = build(cfg)
    if model.num_classes != count:
        yield f'the model has {model.num_classes} classes, the data {count}'
    for step in pipelines(cfg)[0]:
        if step.type == 'LoadAnnotationsStrict' and step.get('num_classes') != count:
            yield f'labels are checked against {step.get("num_classes")} classes'
    if 'segmentor' in cfg.model:
        return
    tags = count - ('background' in classes)
    for name, head in model.named_children():
        expected = tags if name == 'cam_head' else count
        found = getattr(head, 'num_classes', expected)
        if name.endswith('_head') and found != expected:
            yield f'{name} has {found} classes, expected {expected}'
    parts = {k: v for k, v in cfg.model.to_dict().items() if _is_network(k)}
    architecture = json.dumps(parts, sort_keys=True)
    if architecture not in FORWARDED:
        FORWARDED.add(architecture)
        yield from check_forward(model)


FORWARDED: set[str] = set()  # architectures that passed an image


def _is_network(key: str) -> bool:
    return key in ('backbone', 'neck') or key.endswith('_head')


def check_forward(model: torch.nn.Module) -> Iterator[str]:
    img = torch.empty(2, 3, 65, 65, device='meta')
    # It keeps the shape, and is slow without memory.
    batch_norm = mock.patch.object(F, 'batch_norm', lambda x, *_, **__: x)
    with torch.no_grad(), batch_norm:
        feats = model.extract_feat(img)
        heads = [
            (name, head, tuple(head(feats).shape))
            for name, head in model.named_children()
            if name.endswith('_head') and name != 'affinity_head'
        ]
    for name, head, shape in heads:
        if shape[:2] != (2, head.num_classes):
            yield f'{name} gives {shape}'


CHECKS: tuple[Check, ...] = (
    check_method,
    check_schedule,
    check_data,
    check_split,
    check_hooks,
    check_validation,
    check_loaders,
    check_registered,
    check_model,
)


def problems(path: Path, cfg: Config | None = None) -> list[str]:
    """Return what is wrong with a config, or with another one in its place."""
    found = []
    for check in CHECKS:
        try:
            found += check(path, load(path) if cfg is None else cfg)
        except Exception as error:  # the other checks and configs go on
            found.append(f'{check.__name__}: {type(error).__name__}: {error}')
    return [f'{path.stem}: {problem}' for problem in found]

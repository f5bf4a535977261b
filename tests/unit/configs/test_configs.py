"""Every config: it loads, builds, and is what its name says."""

import ast
import functools
import importlib
import json
import re
from pathlib import Path

import pytest
import torch
from helpers.torchvision_stub import stub_torchvision
from mmengine.config import Config
from mmengine.config.config import BASE_KEY
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import Registry, init_default_scope
from torch import nn

from mmseg_wsss.models.segmentors import ASDT
from mmseg_wsss.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    TRANSFORMS,
)

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted(
    path
    for top in ('configs', 'projects')
    for path in ROOT.glob(f'{top}/**/*.py')
    if '_base_' not in path.parts
    and path.parent.name not in ('own_network', 'pipelines')
)
BASES = sorted(ROOT.glob('configs/_base_/**/*.py'))
every_config = pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
# Those of semi-supervised training have tests of their own, in test_configs_semi.py.
SEMI_METHODS = ('mkd', 'supervised', 'mean_teacher', 'cps', 'fixmatch', 'unimatch')
WEAK = [path for path in CONFIGS if not {*SEMI_METHODS} & {*path.parts}]
every_weak_config = pytest.mark.parametrize('path', WEAK, ids=lambda path: path.stem)

NAME = re.compile(
    r'(?P<method>[a-z0-9.-]+)_(?P<network>[a-z0-9-]+)'
    r'_(?P<gpus>\d+)xb(?P<batch>\d+)(?:\+(?P<unlabeled>\d+))?'
    r'-(?P<iters>\d+k?)(?P<amp>-amp)?'
    r'_(?P<regime>sup|wsss|semi)-(?:(?P<split>\d+(?:-\d+)?)-)?(?P<dataset>[a-z0-9-]+)-(?P<crop>\d+)'
)
# What a name means: settings of the model, or of the training data.
METHODS = {
    'asdt': {'type': 'ASDT'},
    'rrm': {'type': 'RRM'},
    'cam': {'type': 'WSSSBase'},
    'camseg': {'type': 'CAMSeg'},
    'afa': {'type': 'AFA'},
    'tscd': {'type': 'TSCD'},
    'rcmmam': {'type': 'RCMMAM'},
    'affinitynet': {'type': 'AffinityNet'},
    'irnet': {'type': 'IRNet'},
    'pspnet': {'decode_head.type': 'PSPHead'},
    'deeplabv3plus': {'decode_head.type': 'DepthwiseSeparableASPPHead'},
}
NETWORKS = {
    'wrn38': {'type': 'WideResNet38'},
    'r18': {'type': 'ResNetV1c', 'depth': 18},
    'r50': {'type': 'ResNetV1c', 'depth': 50},
    'r101-d8': {'type': 'ResNetV1c', 'depth': 101, 'strides': (1, 2, 1, 1)},
    'res2net101-d8': {
        'type': 'mmpretrain.Res2Net',
        'depth': 101,
        'strides': (1, 2, 1, 1),
    },
    'mobilenet-v2': {'type': 'MobileNetV2'},
    'mit-b1': {'type': 'AttentionMiT', 'embed_dims': 64, 'num_layers': (2, 2, 2, 2)},
    'mit-toy': {'type': 'AttentionMiT', 'embed_dims': 32, 'num_layers': (1, 1, 2)},
    'smallnet-segformer': {'type': 'SmallNet'},
}
VOC = 'PascalVOCDataset'
DATA = {
    'voc12aug': {'type': VOC, 'ann_file': 'ImageSets/Segmentation/train_aug.txt'},
    'cocostuff10k': {'type': 'COCOStuffDataset', 'reduce_zero_label': True},
    'coco14': {'type': 'COCOObjectsDataset', 'ann_file': 'train2014_objects.txt'},
    'folder': {'type': 'ImageFolder'},
    'toy-voc': {'type': 'ToyVOCDataset'},
    'voc-mini': {'type': VOC},
}
ONLY_ASDT = {*ASDT.__init__.__kwdefaults__, 'teacher_head'}
MASKS = 'asdtmasks-'  # before the name of the data that has exported masks for masks


@functools.cache
def load(path: Path) -> Config:
    # Not to import mmpretrain, which some machines lack, nor the projects.
    return Config.fromfile(path, import_custom_modules=False)


def published() -> Config:
    return load(ROOT / 'configs/asdt/asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py')


def bases(path: Path) -> list[Path]:
    """Configs that a config names as its own."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == BASE_KEY:
            value = eval(compile(ast.Expression(node.value), str(path), 'eval'))
            values = value if isinstance(value, list) else [value]
            return [(path.parent / name).resolve() for name in values]
    return []


def depth(path: Path) -> int:
    """Longest chain of inheritance above a config."""
    return max((1 + depth(base) for base in bases(path)), default=0)


def training_data(cfg: Config) -> Config:
    """Config of the innermost training data set."""
    dataset = cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return dataset


def hook(cfg: Config, kind: str) -> dict | None:
    return next((hook for hook in cfg.custom_hooks if hook.type == kind), None)


def holds(cfg: dict, settings: dict) -> bool:
    """Whether a config has settings, nested keys with a dot."""
    flat = Config(dict(cfg))
    for key, value in settings.items():
        found = flat
        for part in key.split('.'):
            found = found.get(part, {})
        if found != value and tuple(found) != value:
            return False
    return True


@functools.cache
def built(model: str) -> nn.Module:
    """Model of a JSON config, without memory for its parameters."""
    init_default_scope('mmseg')
    # These read numbers off a tensor while they are built.
    needs_memory = any(name in model for name in ('AttentionMiT', 'Res2Net'))
    with torch.device('cpu' if needs_memory else 'meta'):
        return revert_sync_batchnorm(MODELS.build(json.loads(model))).to('meta')


def build(cfg: Config, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    monkeypatch.syspath_prepend(ROOT / 'projects/own_network')
    stub_torchvision(monkeypatch)
    for module in cfg.get('custom_imports', {}).get('imports', []):
        importlib.import_module(module)
    return built(json.dumps(cfg.model.to_dict(), sort_keys=True))


def test_there_are_configs_of_each_kind():
    methods = {NAME.fullmatch(path.stem)['method'] for path in CONFIGS}
    assert {'asdt', 'asdt-never', 'rrm', 'cam', 'pspnet', 'deeplabv3plus'} <= methods
    datasets = {NAME.fullmatch(path.stem)['dataset'] for path in WEAK}
    assert datasets >= {*DATA, MASKS + 'voc12aug', MASKS + 'voc-mini'}


def test_every_base_is_used():
    used, todo = set(), list(CONFIGS)
    while todo:
        found = bases(todo.pop())
        used |= set(found)
        todo += found
    assert [path.name for path in BASES if path not in used] == []


@every_config
def test_depth_of_inheritance(path):
    assert 1 <= depth(path) <= 3


@every_weak_config
def test_name_says_what_the_model_is(path):
    name = NAME.fullmatch(path.stem)
    model = load(path).model
    assert holds(model, METHODS[name['method'].split('-')[0]])
    assert holds(model.backbone, NETWORKS[name['network']])


@every_config
def test_name_says_how_long_it_trains(path):
    name = NAME.fullmatch(path.stem)
    cfg = load(path)
    iters = int(name['iters'].replace('k', '000'))
    assert cfg.train_cfg.max_iters == iters
    batch = int(name['batch']) + int(name['unlabeled'] or 0)
    assert cfg.train_dataloader.batch_size == batch
    assert (cfg.optim_wrapper.type == 'AmpOptimWrapper') == bool(name['amp'])
    poly = cfg.param_scheduler[-1]
    assert (poly.type, poly.end, poly.by_epoch) == ('PolyLR', iters, False)
    # The last weights are kept, and a run that can be judged is, at its end.
    assert iters % cfg.default_hooks.checkpoint.interval == 0
    assert iters % cfg.train_cfg.val_interval == 0 or cfg.val_dataloader is None


@every_weak_config
def test_name_says_on_what_it_trains(path):
    name = NAME.fullmatch(path.stem)
    cfg = load(path)
    outer, inner = cfg.train_dataloader.dataset, training_data(cfg)
    assert holds(inner, DATA[name['dataset'].removeprefix(MASKS)])
    assert ('voc-mini' in path.stem) == ('voc-mini' in json.dumps(inner))
    weak = name['regime'] == 'wsss'
    assert (outer.type == 'WeakDataset') == weak
    assert name['dataset'].startswith(MASKS) == (not weak)
    crops = [step for step in outer.pipeline if 'RandomCrop' in step.type]
    assert [tuple(crop.crop_size) for crop in crops] == [(int(name['crop']),) * 2]
    if not weak:
        # The masks that it learns from are not those that it is judged by.
        prefix = cfg.val_dataloader.dataset.data_prefix
        assert inner.data_prefix.seg_map_path != prefix.seg_map_path
        assert cfg.model.data_preprocessor.size == crops[0].crop_size


def registered_parts(cfg: Config) -> list[tuple[Registry, dict]]:
    """Registry and config of whatever a config names."""
    found = [(MODELS, cfg.model)]
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


@every_weak_config
def test_registered_names(path):
    """What configs name exists; runs on exported masks need none of our names."""
    cfg = load(path)
    for registry, part in [(DATASETS, training_data(cfg)), *registered_parts(cfg)]:
        kind = registry.get(part.type)
        assert kind is not None, part.type
        if '_sup-' in path.stem:
            assert not kind.__module__.startswith('mmseg_wsss'), part.type


@every_weak_config
def test_model_builds_for_the_classes_of_the_data(path, monkeypatch):
    cfg = load(path)
    model = build(cfg, monkeypatch)
    data = training_data(cfg)
    classes = DATASETS.get(data.type).METAINFO.get('classes')
    if classes is None:
        classes = ('background', *data.classes)
    assert model.num_classes == len(classes)
    if 'cam_head' in cfg.model:
        assert model.cam_head.num_classes == len(classes) - ('background' in classes)
        assert model.has_background == ('background' in classes)
    if 'teacher_head' in cfg.model:
        assert model.teacher_head.num_classes == len(classes)
        assert model.teacher_head is not model.decode_head
    feats = model.extract_feat(torch.empty(2, 3, 65, 65, device='meta'))
    for name, head in model.named_children():
        if name.endswith('_head') and name != 'affinity_head':
            assert head(feats).shape[:2] == (2, head.num_classes), name


@every_weak_config
def test_weak_runs_are_seeded_and_guarded(path):
    """Derived randomness, a guard, our names registered; mmseg alone does the rest."""
    cfg = load(path)
    if 'wsss-' in path.stem:
        assert {'IterationSeedHook', 'NonFiniteLossHook'} <= {
            hook.type for hook in cfg.custom_hooks
        }
        assert 'mmseg_wsss' in cfg.custom_imports.imports
        assert cfg.train_dataloader.sampler.type == 'EndlessSampler'
    else:
        assert cfg.get('custom_imports', {}).get('imports') != ['mmseg_wsss']
    if cfg.model.type == 'ASDT':
        assert hook(cfg, 'PWMDistillationHook') is not None
    elif 'custom_hooks' in cfg:
        assert hook(cfg, 'PWMDistillationHook') is None


def optimizer_groups(model: nn.Module, cfg: Config) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of each trainable parameter, by its name."""
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    names = {parameter: name for name, parameter in model.named_parameters()}
    assert {group['momentum'] for group in optimizer.param_groups} == {0.0}
    return {
        names[parameter]: (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
        if parameter.requires_grad
    }

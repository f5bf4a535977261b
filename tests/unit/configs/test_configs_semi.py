"""Configs of semi-supervised training: each is what its name says."""

from pathlib import Path

import pytest
import torch
from helpers.tiny import batch_of
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmseg.structures import SegDataSample
from test_configs import (
    CONFIGS,
    NAME,
    NETWORKS,
    ROOT,
    WEAK,
    build,
    holds,
    hook,
    load,
    registered_parts,
)

from mmseg_wsss.registry import DATASETS, MODELS

SEMI = sorted(set(CONFIGS) - set(WEAK))
MIXED = [path for path in SEMI if '_semi-' in path.stem]
every_semi = pytest.mark.parametrize('path', MIXED, ids=lambda path: path.stem)

METHODS = {
    'supervised': 'SupervisedSegmentor',
    'mean-teacher': 'MeanTeacherSegmentor',
    'cps': 'CPS',
    'fixmatch': 'FixMatch',
    'unimatch': 'UniMatch',
    'unimatch-v2': 'UniMatchV2',
}
SEMI_NETWORKS = NETWORKS | {
    'r101': {'type': 'ResNetV1c', 'depth': 101, 'strides': (1, 2, 2, 1)},
    'dinov2-small': {'type': 'mmpretrain.VisionTransformer', 'arch': 'dinov2-small'},
}
# Type of the data, and what precedes the name of the split in its folder.
DATA = {
    'voc12cps': ('PascalVOCDataset', 'ImageSets/Segmentation/voc-blended-cps_'),
    'voc12u2pl': ('PascalVOCDataset', 'ImageSets/Segmentation/voc-blended-u2pl_'),
    'voc12classic': ('PascalVOCDataset', 'ImageSets/Segmentation/voc-classic_'),
    'voc-mini': ('PascalVOCDataset', 'ImageSets/Segmentation/semi_'),
    'cityscapes': ('CityscapesDataset', 'splits/cityscapes-cps_'),
    'coco': ('COCOObjectsDataset', 'splits/coco-unimatch_'),
}
PUBLISHED = 'mkd-released_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'


def config(name: str) -> Config:
    return load(ROOT / 'configs/mkd' / name)


def parts(cfg: Config) -> tuple[dict, dict]:
    dataset = cfg.train_dataloader.dataset
    return dataset.labeled, dataset.unlabeled


def test_there_are_configs_of_each_kind():
    names = [NAME.fullmatch(path.stem) for path in MIXED]
    kinds = {METHODS.get(name['method'], 'MKD') for name in names}
    assert kinds == {*METHODS.values(), 'MKD'}
    assert {name['dataset'] for name in names} == {*DATA, 'toy-voc'}
    shares = {(name['dataset'], name['split']) for name in names}
    assert {('voc12cps', f'1-{n}') for n in (16, 8, 4, 2)} <= shares
    assert {('voc12classic', f'{n}') for n in (92, 183, 366, 732, 1464)} <= shares


@every_semi
def test_name_says_what_the_model_is(path):
    name = NAME.fullmatch(path.stem)
    model = load(path).model
    assert model.type == METHODS.get(name['method'], 'MKD')
    assert model.type != 'MKD' or name['method'].startswith('mkd')
    assert holds(model.segmentor.backbone, SEMI_NETWORKS[name['network']])


@every_semi
def test_name_says_on_what_it_trains(path):
    name = NAME.fullmatch(path.stem)
    cfg = load(path)
    labeled, unlabeled = parts(cfg)
    # No mask of the unlabeled part is so much as named.
    assert 'seg_map_path' not in unlabeled.get('data_prefix', {})
    if name['dataset'] == 'toy-voc':
        assert labeled.indices == int(name['split'])
        assert unlabeled.indices == -390
    else:
        kind, prefix = DATA[name['dataset']]
        if name['split'] == '1-30':  # in UniMatch's lists alone, which else are CPS's
            prefix = prefix.replace('-cps_', '-unimatch_')
        folder = prefix + name['split'].replace('-', '_')
        assert {labeled.type, unlabeled.type} == {kind}
        assert labeled.ann_file == f'{folder}/labeled.txt'
        assert unlabeled.ann_file == f'{folder}/unlabeled.txt'
    for part in (labeled, unlabeled):
        crops = [s.crop_size for s in part.pipeline if 'RandomCrop' in s.type]
        assert [tuple(crop) for crop in crops] == [(int(name['crop']),) * 2]
    sampler = cfg.train_dataloader.sampler
    assert sampler.batch_size == cfg.train_dataloader.batch_size
    assert sampler.source_ratio == [1, 1]
    assert name['batch'] == name['unlabeled']


@every_semi
def test_views_are_those_that_the_method_looks_at(path):
    cfg = load(path)
    kind = MODELS.get(cfg.model.type)
    *_, branches = parts(cfg)[1].pipeline
    assert {*kind.branches} - {'sup'} <= set(branches)


@every_semi
def test_hooks_and_validation(path):
    cfg = load(path)
    kind = MODELS.get(cfg.model.type)
    hooks = {h.type for h in cfg.custom_hooks}
    assert {'IterationSeedHook', 'NonFiniteLossHook'} <= hooks
    assert ('MeanTeacherHook' in hooks) == bool(kind.pairs)
    assert 'mmseg_wsss' in cfg.custom_imports.imports
    assert cfg.val_cfg.type == 'TeacherStudentValLoop'
    best = cfg.default_hooks.checkpoint.get('save_best')
    if best is not None:
        network, metric = best.split('/')
        assert network in {*kind.students, *kind.pairs}
        assert metric == 'mIoU'


@every_semi
def test_rate_is_proportional_to_the_labeled_images_of_a_step(path):
    name = NAME.fullmatch(path.stem)
    optimizer = load(path).optim_wrapper.optimizer
    if optimizer.type == 'SGD':
        images = int(name['gpus']) * int(name['batch'])
        assert optimizer.lr == pytest.approx(2.5e-3 * images / 4)


@every_semi
def test_registered_names(path):
    for registry, part in registered_parts(load(path)):
        assert registry.get(part.type) is not None, part.type


@every_semi
def test_model_builds_for_the_classes_of_the_data(path, monkeypatch):
    cfg = load(path)
    model = build(cfg, monkeypatch)
    data = parts(cfg)[0]
    classes = DATASETS.get(data.type).METAINFO.get('classes')
    if classes is None:
        classes = data.metainfo.classes
    assert model.num_classes == len(classes)
    loaders = [step for step in data.pipeline if step.type == 'LoadAnnotationsStrict']
    assert [step.num_classes for step in loaders] == [len(classes)]


@pytest.mark.parametrize(
    'path', [p for p in MIXED if 'ablations' in p.parts], ids=lambda path: path.stem
)
def test_ablations_differ_from_the_recipe_in_little(path):
    recipe = load(path.parents[1] / path.name.replace(path.stem.split('_')[0], 'mkd'))
    cfg = load(path)
    changed = {key for key in cfg if cfg[key] != recipe.get(key)}
    data = {'unlabeled_pipeline', 'train_dataloader'}
    assert changed in ({'model'}, {'custom_hooks'}, data)
    if changed == {'model'}:
        assert cfg.model.segmentor == recipe.model.segmentor


@pytest.mark.parametrize('kind', ['voc-mini', 'voc12cps'])
def test_baselines_share_budget_and_network(kind):
    paths = [path for path in MIXED if f'-{kind}-' in path.name]
    family = [p for p in paths if p.parent.name != 'ablations' and '_1xb4+4' in p.name]
    if kind == 'voc12cps':
        family = [p for p in family if '_r50_' in p.name and '-1-16-' in p.name]
        family = [p for p in family if p.stem.split('_')[0] in {*METHODS, 'mkd'}]
    (mkd,) = (load(path) for path in family if path.name.startswith('mkd_'))
    for path in family:
        cfg = load(path)
        assert cfg.model.segmentor == mkd.model.segmentor, path.name
        for key in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'load_from'):
            assert cfg.get(key) == mkd.get(key), path.name
    assert len(family) >= 7


def test_the_start_of_the_runs_on_voc_mini_needs_mmseg_alone():
    (path,) = set(SEMI) - set(MIXED)
    cfg = load(path)
    for registry, part in registered_parts(cfg):
        kind = registry.get(part.type)
        assert not kind.__module__.startswith('mmseg_wsss'), part.type
    for other in MIXED:
        if 'voc-mini' in other.stem:
            start = load(other)
            assert Path(start.load_from).parent.name == path.stem
            assert start.model.segmentor.backbone == cfg.model.backbone
            assert start.model.segmentor.decode_head == cfg.model.decode_head
            of_start = cfg.train_dataloader.dataset.ann_file
            assert of_start.endswith(parts(start)[0].ann_file)


def test_dinov2_trains_and_predicts(monkeypatch):
    cfg = config('unimatch-v2_dinov2-small_4xb4+4-30k-amp_semi-732-voc12classic-518.py')
    cfg.model.segmentor.backbone.init_cfg = None
    build(cfg, monkeypatch)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    # Two patches of 14 by three, of an image that is no multiple of them.
    inputs, samples = batch_of('UniMatchV2', size=(28, 42))
    model.progress = 0.5  # as MeanTeacherHook does
    losses = model.loss(inputs, samples)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    for name, parameter in model.student.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert all(p.grad is None for p in model.teacher.parameters())
    model.eval()
    image = torch.zeros(3, 30, 40, dtype=torch.uint8)
    sample = SegDataSample(metainfo={'ori_shape': (30, 40), 'img_shape': (30, 40)})
    data = {'inputs': [image], 'data_samples': [sample]}
    (result,) = model.test_step(data)
    assert result.pred_sem_seg.data.shape == (1, 30, 40)


class TestPublishedRecipe:
    """Against the released config of MKD (docs/methods: MKD)."""

    def test_schedule(self):
        cfg = config(PUBLISHED)
        optimizer = cfg.optim_wrapper.optimizer
        assert (optimizer.lr, optimizer.momentum) == (2.5e-3, 0.9)
        assert optimizer.weight_decay == 5e-4
        assert cfg.optim_wrapper.loss_scale == 512
        (poly,) = cfg.param_scheduler
        assert (poly.power, poly.eta_min, poly.end) == (0.9, 0, 30000)
        assert cfg.default_hooks.checkpoint.interval == 2000

    def test_teachers(self):
        wave = hook(config(PUBLISHED), 'MeanTeacherHook')
        assert (wave.decay, wave.get('schedule', 'warmup')) == (0.6, 'warmup')

    def test_losses(self, monkeypatch):
        model = build(config(PUBLISHED), monkeypatch)
        cfg = model.train_cfg
        assert (cfg.sup_weight, cfg.teacher_weight, cfg.student_weight) == (1, 1.5, 1)
        assert cfg.loss_scale_factor == 0.5
        assert (cfg.pseudo_thr_teacher, cfg.pseudo_thr_student) == (0, 0)
        assert (cfg.semi_on_labeled, cfg.mask_padding) == (True, False)
        assert (cfg.teacher_mode, cfg.targets_from) == ('train', 'shifted')
        assert (cfg.isda.end_ratio, cfg.isda.schedule) == (1.5, 'cosine')
        assert len(model.isda) == 4
        assert (cfg.cutmix.num_boxes, cfg.cutmix.prop_range) == (3, (0.25, 0.5))
        assert model.predict_on == 'student1'

    def test_network(self, monkeypatch):
        net = build(config(PUBLISHED), monkeypatch).student1
        norms = [m for m in net.modules() if 'BatchNorm' in type(m).__name__]
        assert {norm.momentum for norm in norms} == {0.001}
        assert net.decode_head.dropout is None
        assert net.decode_head.conv_seg.kernel_size == (1, 1)
        assert not net.with_auxiliary_head

    def test_paper_has_a_threshold_and_nothing_else(self):
        released = config(PUBLISHED).to_dict()
        paper = config(PUBLISHED.replace('released', 'paper')).to_dict()
        assert paper['model']['semi_train_cfg'].pop('pseudo_thr_teacher') == 0.95
        assert paper == released

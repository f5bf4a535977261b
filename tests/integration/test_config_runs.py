"""Configs for users' own data, run on a few images as their comments say."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.training import train
from mmengine.config import Config
from mmengine.optim.optimizer import amp_optimizer_wrapper
from PIL import Image

from mmseg_wsss.datasets.tags.image_tags import ImageTags
from mmseg_wsss.datasets.toy.toy_voc import CLASSES, generate
from mmseg_wsss.pipelines.export import export_from_config

ROOT = Path(__file__).resolve().parents[2]
(RETRAIN,) = ROOT.glob('configs/asdt/retrain/*mobilenet*.py')
FOREGROUND = CLASSES[1:]


@pytest.fixture(scope='module')
def toy(tmp_path_factory) -> Path:
    return generate(tmp_path_factory.mktemp('toy'), num_train=4, num_val=2, size=64)


@pytest.fixture
def data(toy, tmp_path) -> Path:
    """Images in two sub-folders with tags, and a few with masks."""
    tags = ImageTags.load(toy / 'tags_train.json', FOREGROUND)
    lines = [f'holiday/{name},{";".join(tags.labels(name))}' for name in tags.names]
    (tmp_path / 'tags.csv').write_text('\n'.join(['image,tags', *lines]) + '\n')
    (tmp_path / 'images/holiday').mkdir(parents=True)
    for part in ('labeled', 'val'):
        for kind in ('images', 'masks'):
            (tmp_path / part / kind).mkdir(parents=True)
    for path in (toy / 'JPEGImages').iterdir():
        train = path.stem in tags
        if train:
            shutil.copy(path, tmp_path / 'images/holiday')
        part = tmp_path / ('labeled' if train else 'val')
        shutil.copy(path, part / 'images')
        shutil.copy(toy / 'SegmentationClass' / path.name, part / 'masks')
    return tmp_path


def edited(name: str, folder: Path, **values: object) -> Config:
    """Load a template after the variables at its top were edited, as a user does."""
    configs = shutil.copytree(ROOT / 'configs', folder / 'configs', dirs_exist_ok=True)
    path = configs / 'templates' / f'{name}.py'
    top, base, rest = path.read_text().partition('_base_ = ')
    for key, value in values.items():
        top, count = re.subn(
            rf'^{key} = [^#\n]*', f'{key} = {value!r}  ', top, flags=re.M
        )
        assert count == 1, key
    path.write_text(top + base + rest)
    return Config.fromfile(path)


def shrink(cfg: Config, work_dir: Path) -> Config:
    """Two iterations of two small crops, without weights to download."""
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = work_dir.name
    cfg.log_level = 'WARNING'
    cfg.model.get('segmentor', cfg.model).backbone.init_cfg = None
    cfg.train_cfg.max_iters = 2
    cfg.train_cfg.val_interval = 2
    cfg.default_hooks.checkpoint.interval = 2
    loader = cfg.train_dataloader
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    if 'batch_size' in loader.sampler:  # two images of each part, for batch norm
        loader.batch_size = loader.sampler.batch_size = 4
    dataset = loader.dataset
    names = ('labeled', 'tagged', 'unlabeled')
    parts = [dataset[name] for name in names if name in dataset] or [dataset]
    for step in [step for part in parts for step in part.pipeline]:
        if 'RandomCrop' in step.type:
            step.crop_size = (49, 49)
        if step.type == 'RandomResize':
            step.scale = (64, 64)
    return cfg


@pytest.mark.parametrize('name', ['cam', 'asdt', 'afa', 'tscd'])
def test_templates_for_tags(name, data):
    values = dict(
        classes=FOREGROUND,
        data_root=str(data / 'images'),
        tags=str(data / 'tags.csv'),
        val_images=str(data / 'val/images'),
        val_masks=str(data / 'val/masks'),
        img_suffix='.png',
    )
    if name == 'asdt':  # the validation set is optional
        values = {k: v for k, v in values.items() if 'val' not in k}
    cfg = shrink(edited(f'{name}_tags', data, **values), data / name)
    for loader in (cfg.get('val_dataloader'), cfg.export_dataloader):
        if loader:
            loader.num_workers = 0
    hooks = {hook.type: hook for hook in cfg.custom_hooks}
    # The classifier alone at first, then everything.
    if 'WeakWarmupHook' in hooks:
        hooks['WeakWarmupHook'].iters = min(hooks['WeakWarmupHook'].iters, 1)
    if 'PWMDistillationHook' in hooks:
        hooks['PWMDistillationHook'].update(mode='always', begin=0)
    if 'AffinityLabelHook' in hooks:
        hooks['AffinityLabelHook'].begin = 1
    run = train(cfg)
    first, second = (losses for _, losses in sorted(run.losses.items()))
    assert all(np.isfinite(list(losses.values())).all() for losses in (first, second))
    if name != 'cam':
        assert len(second) > len(first)
    assert cfg.model.cam_head.num_classes == len(FOREGROUND)
    if name == 'asdt':
        assert second['pwm'] == 1
        out = data / 'masks'
        checkpoint = data / name / 'iter_2.pth'
        count = export_from_config(cfg, checkpoint, out, 'prediction', progress=False)
        masks = sorted(out.glob('holiday/*.png'))
        assert len(masks) == count == 4
        labels = np.asarray(Image.open(masks[0]))
        assert labels.shape == (64, 64)
        assert labels.max() <= len(FOREGROUND)


def test_template_for_tags_and_masks(data):
    for path in (data / 'labeled').rglob('*.png'):
        path.rename(path.with_name(f'labeled_{path.name}'))
    values = dict(
        classes=FOREGROUND,
        data_root=str(data / 'images'),
        tags=str(data / 'tags.csv'),
        labeled_images=str(data / 'labeled/images'),
        labeled_masks=str(data / 'labeled/masks'),
        img_suffix='.png',
        val_images=str(data / 'val/images'),
        val_masks=str(data / 'val/masks'),
    )
    cfg = shrink(edited('asdt_tags-and-masks', data, **values), data / 'asdt')
    for loader in (cfg.val_dataloader, cfg.export_dataloader):
        loader.num_workers = 0
    hooks = {hook.type: hook for hook in cfg.custom_hooks}
    hooks['WeakWarmupHook'].iters = 1
    hooks['PWMDistillationHook'].update(mode='always', begin=0)
    first, second = (losses for _, losses in sorted(train(cfg).losses.items()))
    assert all(np.isfinite(list(losses.values())).all() for losses in (first, second))
    assert second['pwm'] == 1
    out, checkpoint = data / 'out', data / 'asdt/iter_2.pth'
    assert export_from_config(cfg, checkpoint, out, 'fused', progress=False) == 8
    for path in (data / 'labeled/masks').iterdir():
        written = Image.open(out / path.name)
        assert np.array_equal(written, Image.open(path))
        assert written.mode == 'P'


@pytest.mark.parametrize(
    'name', ['mkd_few-masks', 'unimatch_few-masks', 'mkd_masks-and-tags']
)
def test_templates_for_few_masks(name, data):
    values = dict(
        classes=CLASSES,
        labeled_images=str(data / 'labeled/images'),
        labeled_masks=str(data / 'labeled/masks'),
        img_suffix='.png',
        unlabeled_images=str(data / 'images'),
    )
    if name == 'mkd_masks-and-tags':
        values |= dict(tag_file=str(data / 'tags.csv'), prediction_thr=0.1)
    if name == 'mkd_few-masks':
        values |= dict(
            val_images=str(data / 'val/images'), val_masks=str(data / 'val/masks')
        )
    cfg = shrink(edited(name, data, **values), data / name)
    if cfg.get('val_dataloader'):
        cfg.val_dataloader.num_workers = 0
    segmentor = cfg.model.segmentor
    assert segmentor.decode_head.num_classes == len(CLASSES)
    segmentor.backbone.update(depth=18, base_channels=8, stem_channels=8)
    if 'cam_head' in cfg.model:
        cfg.model.cam_head.in_channels = 64
    segmentor.decode_head.update(in_channels=64, channels=16, c1_in_channels=8)
    for part in (segmentor.backbone, segmentor.decode_head):
        part.norm_cfg.type = 'BN'
    run = train(cfg)
    assert sorted(run.losses) == [0, 1]
    assert all(
        np.isfinite(list(losses.values())).all() for losses in run.losses.values()
    )


def test_retraining_on_exported_masks(toy, tmp_path):
    """mmseg's own dataset, model, sampler and hooks, on masks with ignored pixels."""
    masks = tmp_path / 'masks'
    masks.mkdir()
    for path in (toy / 'SegmentationClass').iterdir():
        labels = np.array(Image.open(path))
        labels[:, :8] = 255
        Image.fromarray(labels).save(masks / path.name)
    cfg = shrink(Config.fromfile(RETRAIN), tmp_path / 'retrain')
    prefix = cfg.train_dataloader.dataset.data_prefix
    prefix.update(img_path=str(toy / 'JPEGImages'), seg_map_path=str(masks))
    cfg.train_dataloader.dataset.update(
        type='BaseSegDataset',
        metainfo=dict(classes=CLASSES),
        img_suffix='.png',
        ann_file=str(toy / 'ImageSets/Segmentation/train.txt'),
    )
    cfg.model.data_preprocessor.size = (49, 49)
    cfg.model.decode_head.num_classes = len(CLASSES)
    for key in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'val_{key}'] = cfg[f'test_{key}'] = None
    run = train(cfg)
    assert sorted(run.losses) == [0, 1]
    for losses in run.losses.values():
        assert 0 < losses['decode.loss_ce'] < 10
    state = {k: v for k, v in run.state.items() if torch.is_tensor(v)}
    assert all(torch.isfinite(value).all() for value in state.values())


@pytest.mark.parametrize(
    'name',
    ['rcmmam-rcm_wrn38_1xb8-19830-amp', 'rcmmam_wrn38_1xb8-13220-amp'],
)
def test_rcm_mam_in_mixed_precision(name, toy, tmp_path, monkeypatch):
    """Both phases, with the autocast of a CPU: MMEngine asks for a GPU before."""
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    (path,) = ROOT.glob(f'configs/rcm_mam/{name}_*.py')
    cfg = shrink(Config.fromfile(path), tmp_path)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    cfg.load_from = None
    cfg.model.backbone.base_channels = 4
    cfg.model.cam_head.update(in_channels=256, num_classes=len(FOREGROUND))
    dataset = cfg.train_dataloader.dataset
    dataset.dataset.update(
        type='BaseSegDataset',
        metainfo=dict(classes=CLASSES),
        data_root=str(toy),
        ann_file='ImageSets/Segmentation/train.txt',
        img_suffix='.png',
    )
    dataset.tags = dict(path=str(toy / 'tags_train.json'))
    for hook in cfg.custom_hooks:
        if hook.type == 'WeakWarmupHook':
            hook.iters = 1
    for key in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'val_{key}'] = cfg[f'test_{key}'] = None
    cfg.default_hooks.checkpoint.pop('save_best')
    run = train(cfg)
    first, second = (losses for _, losses in sorted(run.losses.items()))
    assert all(np.isfinite(list(losses.values())).all() for losses in (first, second))
    assert 'loss_rcm' in second
    assert ('loss_mam' in second) == ('-rcm_' not in name)

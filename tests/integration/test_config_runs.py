"""Configs for users' own data, run on a few images as their comments say."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.training import train
from mmengine.config import Config
from PIL import Image

from mmseg_wsss.datasets.tags.image_tags import ImageTags
from mmseg_wsss.datasets.toy.toy_voc import CLASSES, generate
from mmseg_wsss.pipelines.export import export_from_config

ROOT = Path(__file__).resolve().parents[2]
FOLDER = 'asdt/asdt_mobilenet-v2_1xb8-2k_wsss-folder-225.py'
(RETRAIN,) = ROOT.glob('configs/asdt/retrain/*mobilenet*.py')
FOREGROUND = CLASSES[1:]


@pytest.fixture(scope='module')
def toy(tmp_path_factory) -> Path:
    return generate(tmp_path_factory.mktemp('toy'), num_train=4, num_val=2, size=64)


@pytest.fixture
def folder_config(toy, tmp_path) -> Path:
    """The folder's config in a copy of the configs, with its three lines edited."""
    images = tmp_path / 'images'
    shutil.copytree(toy / 'JPEGImages', images / 'holiday')
    tags = ImageTags.load(toy / 'tags_train.json', FOREGROUND)
    lines = [f'holiday/{name},{";".join(tags.labels(name))}' for name in tags.names]
    table = tmp_path / 'tags.csv'
    table.write_text('\n'.join(['image,tags', *lines]) + '\n')
    for path in (images / 'holiday').iterdir():
        if path.stem not in tags:
            path.unlink()
    configs = shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    base = configs / '_base_/datasets/image_folder_weak.py'
    text = base.read_text()
    for old, new in (
        ("classes = ('cat', 'dog')", f'classes = {FOREGROUND}'),
        ("data_root = 'data/images'", f"data_root = '{images}'"),
        ("tags = 'data/images/tags.csv'", f"tags = '{table}'"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    base.write_text(text)
    return configs / FOLDER


def shrink(cfg: Config, work_dir: Path) -> Config:
    """Two iterations of two small crops, without weights to download."""
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = work_dir.name
    cfg.log_level = 'WARNING'
    cfg.model.backbone.init_cfg = None
    cfg.train_cfg.max_iters = 2
    loader = cfg.train_dataloader
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    for step in loader.dataset.pipeline:
        if 'RandomCrop' in step.type:
            step.crop_size = (49, 49)
        if step.type == 'RandomResize':
            step.scale = (64, 64)
    return cfg


def test_folder_of_images_without_masks(folder_config, tmp_path):
    cfg = shrink(Config.fromfile(folder_config), tmp_path / 'folder')
    assert cfg.model.cam_head.num_classes == len(FOREGROUND)
    hooks = {hook.type: hook for hook in cfg.custom_hooks}
    # Alone at first, then with teacher B.
    hooks['WeakWarmupHook'].iters = 1
    hooks['PWMDistillationHook'].update(mode='always', begin=0)
    cfg.default_hooks.checkpoint.interval = 2
    run = train(cfg)
    first, second = (losses for _, losses in sorted(run.losses.items()))
    assert 'loss_student_ce' not in first
    assert second['pwm'] == 1
    assert all(np.isfinite(list(losses.values())).all() for losses in (first, second))

    out = tmp_path / 'masks'
    cfg.export_dataloader.num_workers = 0
    checkpoint = tmp_path / 'folder/iter_2.pth'
    count = export_from_config(cfg, checkpoint, out, 'prediction', progress=False)
    masks = sorted(out.glob('holiday/*.png'))
    assert len(masks) == count == 4
    labels = np.asarray(Image.open(masks[0]))
    assert labels.shape == (64, 64)
    assert labels.max() <= len(FOREGROUND)


def test_retraining_on_exported_masks(toy, tmp_path):
    """mmseg's own data set, model, sampler and hooks, on masks with ignored pixels."""
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

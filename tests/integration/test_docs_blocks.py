"""The files that tutorials and method pages show do what the pages say."""

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.tiny import tiny_batch
from mmengine.config import Config
from test_docs import PAGES, ROOT, blocks, file_block
from test_docs_tables import PAGE_OF

from mmseg_wsss.datasets import ImageTags
from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.datasets.sample_key import SampleKey, seeded
from mmseg_wsss.models.segmentors import ASDT
from mmseg_wsss.pipelines.wsss_stages import KEYS
from mmseg_wsss.registry import DATASETS, METRICS, MODELS


def test_tag_files_of_the_data_page_hold_the_same_tags(tmp_path):
    classes = ('aeroplane', 'dog', 'person', 'tvmonitor')
    expected = {
        '2007_000032': ['aeroplane', 'person'],
        '2007_000039': ['tvmonitor'],
        'holiday/beach_01': ['dog'],
    }
    for name in ('tags.json', 'tags.csv', 'tags.txt'):
        path = tmp_path / name
        path.write_text(file_block('docs/data.md', name))
        tags = ImageTags.load(path, classes)
        assert {image: tags.labels(image) for image in tags.names} == expected


def write_images(folder: Path, names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (50, 60, 3), dtype=np.uint8))


def test_tutorial_of_own_images_with_tags(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = 'docs/tutorials/tags.md'
    write_images(tmp_path / 'data/images', ('holiday/beach_01.jpg', 'garden.png'))
    (tmp_path / 'data/images/tags.csv').write_text(file_block(page, 'tags.csv'))
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    (name,) = set(re.findall(r'configs/templates/\w+\.py', PAGES[page]))
    path = tmp_path / name
    text = path.read_text()
    for line in file_block(page, 'three_lines.py').splitlines():
        key = line.split(' = ')[0]
        text, count = re.subn(rf'^{key} = .*', line, text, flags=re.M)
        assert count == 1, key
    path.write_text(text)

    cfg = Config.fromfile(path)
    train = DATASETS.build(cfg.train_dataloader.dataset)
    tags = [train[i]['data_samples'].gt_tags.label.tolist() for i in range(2)]
    assert tags == [[1, 0, 0], [0, 1, 1]]
    assert len(train.metainfo['classes']) == cfg.model.decode_head.num_classes == 4


BASE_OF_A_PROJECT = """
default_scope = 'mmseg'
head = dict(type='PSPHead', in_channels=32, in_index=3, channels=8, num_classes=7,
            pool_scales=(1, 2), norm_cfg=dict(type='BN'), align_corners=False)
model = dict(
    type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor'),
    backbone=dict(type='ResNetV1c', depth=18, base_channels=4, stem_channels=4),
    decode_head=head,
    auxiliary_head=dict(type='FCNHead', in_channels=16, in_index=2, channels=4,
                        num_convs=1, num_classes=7, align_corners=False),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
train_dataloader = dict(batch_size=2, dataset=dict(
    type='PascalVOCDataset', ann_file='train.txt',
    pipeline=[dict(type='LoadAnnotations')]))
"""


def test_tutorial_of_an_mmseg_project_trains_the_network_of_the_project(tmp_path):
    (tmp_path / 'your_pspnet.py').write_text(BASE_OF_A_PROJECT)
    path = tmp_path / 'project_config.py'
    path.write_text(file_block('docs/tutorials/existing_project.md', path.name))
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.dataset.dataset.type == 'PascalVOCDataset'
    assert cfg.train_dataloader.batch_size == 2
    # The tiny network has other sizes than the page's.
    cfg.merge_from_dict(
        {'model.cam_head.in_channels': 32, 'model.cam_head.num_classes': 6}
    )
    model = MODELS.build(cfg.model).train()
    model.warmup = model.pwm_high = False
    assert isinstance(model, ASDT)
    assert type(model.teacher_head) is type(model.decode_head)
    losses = model.loss(*tiny_batch(2))
    assert losses['loss_teacher_dense'] < 0
    assert {'loss_teacher_ce', 'loss_student_ce', 'aux.loss_ce'} <= set(losses)


@pytest.mark.parametrize(
    ('page', 'name'),
    [
        (PAGE_OF['MKD'], 'mkd_thr95.py'),
        ('docs/tutorials/few_masks.md', 'few_masks.py'),
    ],
)
def test_config_of_a_page_changes_the_threshold(page, name, tmp_path):
    shutil.copytree(ROOT / 'configs/_base_', tmp_path / '_base_')
    shutil.copytree(ROOT / 'configs/mkd', tmp_path / 'mkd')
    path = tmp_path / 'mkd' / name
    path.write_text(file_block(page, name))
    cfg = Config.fromfile(path)
    assert cfg.model.semi_train_cfg.pseudo_thr_teacher == 0.95
    assert 'MeanTeacherHook' in [hook.type for hook in cfg.custom_hooks]
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert type(model).__name__ == 'MKD'


def test_baseline_of_the_few_masks_template(tmp_path):
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    path = tmp_path / 'configs/templates/masks_alone.py'
    path.write_text(file_block('docs/tutorials/few_masks.md', path.name))
    cfg, template = (
        Config.fromfile(path.with_name(name))
        for name in (path.name, 'mkd_few-masks.py')
    )
    assert cfg.train_dataloader == template.train_dataloader
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert list(model.networks) == ['student']
    types = [hook.type for hook in template.custom_hooks]
    types.remove('MeanTeacherHook')
    assert [hook.type for hook in cfg.custom_hooks] == types


def test_pipeline_of_the_tutorial_names_configs():
    block = file_block('docs/tutorials/seeds_to_network.md', 'pipeline.py')
    cfg = Config.fromstring(block, '.py')
    assert set(cfg) == set(KEYS)
    for stage in ('seeds', 'affinity', 'network'):
        assert (ROOT / cfg[stage].config).is_file(), stage


def test_validation_on_a_folder_of_your_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    child = tmp_path / 'configs/templates/my_images.py'
    child.write_text(file_block('docs/data.md', 'my_images.py'))
    write_images(tmp_path / 'data/my_data/images', ('a.jpg', 'b.jpg'))
    masks = tmp_path / 'data/my_data/masks'
    masks.mkdir()
    for name, label in (('a', 0), ('b', 3)):
        cv2.imwrite(str(masks / f'{name}.png'), np.full((50, 60), label, np.uint8))
    (tmp_path / 'data/my_data/val.txt').write_text('a\nb\n')

    cfg = Config.fromfile(child)
    for loop, kind in (('val', 'ValLoop'), ('test', 'TestLoop')):
        assert cfg[f'{loop}_cfg'] == {'type': kind}
        dataset = DATASETS.build(cfg[f'{loop}_dataloader'].dataset)
        gt = [dataset[i]['data_samples'].gt_sem_seg.data for i in range(2)]
        assert [labels.unique().tolist() for labels in gt] == [[0], [3]]
        assert dataset.metainfo['classes'] == ('background', 'dog', 'cat', 'person')
        assert METRICS.build(cfg[f'{loop}_evaluator']).metrics == ['mIoU']


def test_a_shorter_schedule_is_shorter_in_every_part(tmp_path):
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    child = tmp_path / 'configs/asdt/shorter.py'
    child.write_text(file_block('docs/configs.md', 'shorter.py'))
    cfg = Config.fromfile(child)
    (name,) = re.findall(r"_base_ = '\./(.*)'", child.read_text())
    base = Config.fromfile(child.with_name(name))
    steps = cfg.train_cfg.max_iters
    assert steps < base.train_cfg.max_iters
    assert [part.end for part in cfg.param_scheduler] == [steps]
    assert cfg.train_cfg.val_interval <= steps
    assert cfg.default_hooks.checkpoint.interval <= steps
    assert [h.type for h in cfg.custom_hooks] == [h.type for h in base.custom_hooks]
    begins = [hook.get('begin', hook.get('iters', 0)) for hook in cfg.custom_hooks]
    assert max(begins) < steps


def run_tool(command: str) -> None:
    """Run a command of a page in this process."""
    _, name, *arguments = shlex.split(command)
    spec = importlib.util.spec_from_file_location(Path(name).stem, ROOT / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main(arguments) == 0


def test_tutorial_of_masks_from_elsewhere(tmp_path, monkeypatch, capsys):
    """The commands of the page run, and its configs read what they write."""
    monkeypatch.chdir(tmp_path)
    page = 'docs/tutorials/foreign_masks.md'
    names = ('holiday/a', 'b', 'c')
    write_images(tmp_path / 'data/images', ('holiday/a.jpg', 'b.jpg', 'c.jpg', 'd.jpg'))
    (tmp_path / 'data/images/tags.csv').write_text('holiday/a,dog\nb,cat\nc,person\n')
    for label, name in zip((2, 1, 0), names):  # c does not show its tag
        labels, mask = np.zeros((2, 50, 60), np.uint8)
        labels[:20], mask[:30] = label, 255
        for folder, content in (
            (f'downloads/masks/{name}', labels),
            (f'data/pseudo_masks/{name}', labels),
            (f'downloads/sam/{name}/0', mask),
        ):
            path = tmp_path / f'{folder}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), content)
    for command in blocks(PAGES[page], 'bash'):
        run_tool(command.replace('\\\n', ' '))
        counts = '2 accepted, 1 rejected, 0 without masks, 1 without tags'
        assert f'4 images: {counts}' in capsys.readouterr().out
    voted = read_label_map('data/voted/masks/b.png')
    assert voted[:, 0].tolist() == [1] * 30 + [0] * 20

    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    folder = tmp_path / 'configs/templates'
    edits = {
        'cam_tags.py': {"'cat', 'dog'": "'cat', 'dog', 'person'"},
        'mkd_few-masks.py': {
            "'cat', 'dog'": "'cat', 'dog', 'person'",
            'data/labeled/images': 'data/images',
            'data/labeled/masks': 'data/imported/masks',
            'data/unlabeled': 'data/images',
        },
    }
    for name, changes in edits.items():
        text = (folder / name).read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (folder / name).write_text(text)
    datasets = []
    for name in ('imported_masks.py', 'imported_few_masks.py'):
        (folder / name).write_text(file_block(page, name))
        cfg = Config.fromfile(folder / name)
        datasets.append(DATASETS.build(cfg.train_dataloader.dataset))
    plain, semi = datasets
    with seeded(0, 0):  # crops are random
        masks = [plain[i]['data_samples'].gt_sem_seg.data for i in range(len(plain))]
    assert len(masks) == 2
    assert all(mask[mask != 255].max() in (1, 2) for mask in masks)
    names = [semi.name(i) for i in range(len(semi))]
    assert names == ['b', 'holiday/a', 'c', 'd']
    assert len(semi.labeled) == 2
    crops = [
        semi[SampleKey(0, 0, number)]['data_samples']['sup'] for number in range(8)
    ]
    labels = torch.cat([crop.gt_sem_seg.data.flatten() for crop in crops])
    assert set(labels.unique().tolist()) - {255} > {0}

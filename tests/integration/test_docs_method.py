"""The method that docs/adding_a_method.md adds works."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
import yaml
from helpers.methods import METHODS, NUM_TAGS, WARMUP, Method
from helpers.tiny import batch_of, tiny_batch
from mmengine.config import Config
from mmengine.structures import LabelData
from test_docs import EXAMPLE, ROOT, file_block
from test_docs_tables import build

from mmseg_wsss.registry import MODELS


@pytest.fixture
def bandcam(monkeypatch) -> Method:
    """The method of docs/adding_a_method.md, among the others while a test runs."""
    page = 'docs/adding_a_method.md'
    module = ModuleType(EXAMPLE)
    monkeypatch.setitem(sys.modules, EXAMPLE, module)
    code = compile(file_block(page, 'bandcam.py'), page, 'exec')
    entry = file_block(page, 'entry.py')
    try:
        exec(code, module.__dict__)
        (method,) = eval(f'{{{entry}}}', {'Method': Method, 'WARMUP': WARMUP}).values()
        monkeypatch.setitem(METHODS, 'BandCAM', method)
        yield method
    finally:
        MODELS.module_dict.pop('BandCAM', None)


def test_the_example_of_a_method_trains(bandcam):
    model = build('BandCAM')
    losses = model.loss(*tiny_batch(2))
    assert 0 < losses['ratio_labeled'] < 1
    total, _ = model.parse_losses(losses)
    assert total > losses['loss_cls'] > 0
    total.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert model.decode_head.conv_seg.weight.grad.abs().sum() > 0


def test_the_example_of_a_method_without_a_sure_pixel(bandcam):
    model = build('BandCAM', **bandcam.nothing_sure)
    losses = model.loss(*tiny_batch(2))
    assert losses['ratio_labeled'] == losses['loss_ce'] == 0
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_the_example_of_a_method_delivers_its_labels(bandcam):
    model = build('BandCAM').eval()
    inputs, samples = tiny_batch(2)
    results = model.pseudo_labels(inputs, samples, bandcam.pseudo_sources)
    for sample, result in zip(samples, results):
        label, soft = result['band']
        allowed = {0, 255, *(sample.gt_tags.label.nonzero()[:, 0] + 1).tolist()}
        assert set(label.unique().tolist()) <= allowed
        assert soft.shape == (len(sample.gt_tags.label) + 1, *label.shape)


def test_the_package_imports_the_example_first(tmp_path):
    """Whatever place the sorted imports of the package give it."""
    copy = tmp_path / 'mmseg_wsss'
    shutil.copytree(ROOT / 'mmseg_wsss', copy)
    folder = copy / 'models' / 'segmentors' / 'weak'
    block = file_block('docs/adding_a_method.md', 'bandcam.py')
    (folder / 'bandcam.py').write_text(block)
    init = folder / '__init__.py'
    init.write_text('from .bandcam import BandCAM\n' + init.read_text())
    code = 'import mmseg_wsss; print(mmseg_wsss.__file__)'
    env = os.environ | {'PYTHONPATH': str(tmp_path)}
    done = subprocess.run(
        [sys.executable, '-c', code],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert str(copy) in done.stdout, done.stderr[-2000:]


def test_the_config_and_the_metafile_of_the_example(bandcam, tmp_path):
    page, name = 'docs/adding_a_method.md', 'bandcam_wrn38_1xb4-20k_wsss-voc12aug-321'
    folder = tmp_path / 'configs' / EXAMPLE
    folder.mkdir(parents=True)
    (tmp_path / 'configs' / '_base_').symlink_to(ROOT / 'configs' / '_base_')
    (folder / f'{name}.py').write_text(file_block(page, f'{name}.py'))
    cfg = Config.fromfile(folder / f'{name}.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert type(model).__name__ == 'BandCAM'
    assert model.has_background
    (entry,) = yaml.safe_load(file_block(page, 'metafile.yml'))['Models']
    assert (tmp_path / entry['Config']).is_file()


@pytest.fixture
def thresholded(monkeypatch) -> Iterator[ModuleType]:
    """The module of the semi-supervised method, registered while a test runs."""
    page, name = 'docs/adding_a_method.md', 'thresholded'
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    method = dataclasses.replace(
        METHODS['MeanTeacherSegmentor'], model={'type': 'Thresholded'}
    )
    monkeypatch.setitem(METHODS, 'Thresholded', method)
    try:
        exec(compile(file_block(page, f'{name}.py'), page, 'exec'), module.__dict__)
        yield module
    finally:
        MODELS.module_dict.pop('Thresholded', None)


def test_the_example_of_a_semi_supervised_method_trains(thresholded):
    model = build('Thresholded', semi_train_cfg={'pseudo_thr': 0.1})
    model.progress = 0.5
    losses = model.loss(*batch_of('Thresholded'))
    assert 0 < losses['ratio_confident'] <= 1
    total, _ = model.parse_losses(losses)
    total.backward()
    for parameter_name, parameter in model.named_parameters():
        trained = parameter_name.startswith('student.')
        assert (parameter.grad is not None) == trained, parameter_name
    with pytest.raises(ValueError, match='at most 1'):
        build('Thresholded', semi_train_cfg={'pseudo_thr': 95})


def test_the_example_of_a_semi_supervised_method_uses_tags(thresholded, monkeypatch):
    settings = {'tag_filter': {}, 'class_aware_ce': True, 'cam_fusion': {}}
    model = build(
        'Thresholded',
        cam_head={'type': 'CAMHead', 'in_channels': 16, 'num_classes': NUM_TAGS},
        semi_train_cfg={'pseudo_thr': 0.1, **settings},
    )
    model.progress = 0.5
    inputs, samples = batch_of('Thresholded')
    tags = torch.eye(NUM_TAGS)[2]
    for sample in samples['unsup_weak']:
        sample.gt_tags = LabelData(label=tags)
    seen = []
    loss = thresholded.valid_cross_entropy
    monkeypatch.setattr(
        thresholded,
        'valid_cross_entropy',
        lambda *pair: seen.append(pair) or loss(*pair),
    )
    losses = model.loss(inputs, samples)
    ((logits, pseudo),) = seen
    assert set(pseudo.unique().tolist()) <= {0, 3, 255}
    assert (logits.amax((0, 2, 3)) > -1e3).nonzero().flatten().tolist() == [0, 3]
    assert losses['unsup_weak.loss_cls'] > 0
    model.parse_losses(losses)[0].backward()
    assert model.cam_head.classifier.weight.grad.abs().sum() > 0

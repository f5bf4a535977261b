"""Semi-supervised methods with tags: exact on resume, two processes are one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import run_processes
from helpers.methods import BACKBONE, METHODS, NUM_TAGS, SEMI
from helpers.mixed import sure
from helpers.tiny import TAG_NAMES, TAGS, batch_of, tiny_config, tiny_network
from helpers.training import train
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope
from mmengine.structures import LabelData

from mmseg_wsss.models.segmentors.semi.parts.cam_fusion import cam_evidence

CLASSIFIER = {'type': 'CAMHead', 'in_channels': 16, 'num_classes': NUM_TAGS}
SETTINGS = {
    'separate': {'tag_filter': {}, 'class_aware_ce': True},
    'together': {'tag_filter': {'margin': 2.0}, 'concat_forward': True},
    'fused': {'tag_filter': {}, 'cam_fusion': {}},
    'margin': {'tag_filter': {'margin': 2.0}, 'class_aware_ce': True},
    'fused, margin': {
        'tag_filter': {'margin': 0.01},
        'cam_fusion': {'temperature': 0.5},
    },
    'three parts': {'tag_filter': {}, 'class_aware_ce': True},
    'tags of labeled images': {'tag_filter': {}, 'class_aware_ce': True},
    'no CutMix': {'tag_filter': {}, 'class_aware_ce': True, 'cutmix': None},
    'unlabeled images': {'tag_filter': {}, 'semi_on_labeled': False},
}
CASES = [
    (method, name)
    for method in SEMI
    for name in ('separate', 'together', 'fused')
    # It has no unlabeled images.
    if method != 'SupervisedSegmentor' or name == 'separate'
]
OTHER_CASES = [
    ('UniMatch', 'margin'),
    ('MKD', 'fused, margin'),
    ('MKD', 'unlabeled images'),
]
# In a step of two processes no method uses CutMix, and three parts are one.
TRAINED = [
    ('FixMatch', 'three parts'),
    ('MeanTeacherSegmentor', 'tags of labeled images'),
    ('CPS', 'no CutMix'),
]
HALF, END = 2, 4


def config(
    method: str, kind: str, root: Path, work_dir: Path, **settings: Any
) -> Config:
    """A tiny training in which two of four unlabeled images have tags.

    One of them is a class that no labeled image has. Those without tags are in the same
    part of the data or, in two of the kinds, in a third one.
    """
    cfg = tiny_config(method, root, work_dir, END, **settings)
    names = {'4': ['pink'], '5': [TAG_NAMES[k] for k in TAGS[5]]}
    path = work_dir / 'some_tags.json'
    work_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(names))
    data = cfg.train_dataloader.dataset
    data.tags = {'path': str(path)}
    if kind == 'tags of labeled images':  # one of them is not in its mask
        rows = {str(i): [TAG_NAMES[k] for k in TAGS[i]] for i in range(4)}
        rows['2'].append('cyan')
        labeled = work_dir / 'labeled_tags.json'
        labeled.write_text(json.dumps(rows))
        data.labeled_tags = {'path': str(labeled)}
    if kind in ('together', 'three parts'):
        data.tagged = data.unlabeled | {'indices': [4, 5]}
        data.unlabeled.indices = [6, 7]
        cfg.train_dataloader.sampler.source_ratio = [2, 1, 1]
    cfg.model.cam_head = CLASSIFIER
    cfg.model.semi_train_cfg = {**cfg.model.semi_train_cfg, **SETTINGS[kind]}
    return cfg


@pytest.mark.parametrize(('method', 'kind'), [*CASES, *OTHER_CASES, *TRAINED])
def test_a_resumed_run_equals_an_uninterrupted_one(method, kind, tiny_voc, tmp_path):
    whole = train(config(method, kind, tiny_voc, tmp_path / 'whole'))
    assert any(logs['unsup_weak.loss_cls'] > 0 for logs in whole.losses.values())
    train(config(method, kind, tiny_voc, tmp_path / 'half'), until=HALF)
    run = train(config(method, kind, tiny_voc, tmp_path / 'half', resume=True))
    assert list(run.losses) == list(range(HALF, END))
    assert not run.difference(whole)


def step(method: str, kind: str, rank: int | None = None) -> dict[str, torch.Tensor]:
    """Losses and gradients of two images, of which the first alone has tags."""
    init_default_scope('mmseg')
    own = dict(METHODS[method].model['semi_train_cfg'])  # with a small threshold
    own.pop('cutmix', None)
    model = tiny_network(
        method,
        drop=False,
        backbone=BACKBONE | {'norm_eval': True},
        cam_head=CLASSIFIER | {'dropout_ratio': 0.0},
        semi_train_cfg=own | SETTINGS[kind],
    ).double()
    if 'cam_fusion' in SETTINGS[kind]:
        sure(model, 8.0)
    model.progress = 0.5
    wrapped = model
    if rank is not None:
        wrapped = MMDistributedDataParallel(
            model, find_unused_parameters=False, broadcast_buffers=False
        )
    inputs, samples = batch_of(method, num=2)
    label = torch.zeros(NUM_TAGS)
    label[5] = 1  # of no labeled image
    for name, views in samples.items():
        if name == 'sup':
            del views[1].gt_tags
        else:
            views[0].gt_tags = LabelData(label=label)
    if 'cam_fusion' in SETTINGS[kind]:
        weak = inputs['unsup_weak'].double(), samples['unsup_weak']
        assert cam_evidence(model, *weak).score[0].amin() < -0.1
    part = slice(None) if rank is None else slice(rank, rank + 1)
    losses = wrapped(
        {name: views[part].double() for name, views in inputs.items()},
        {name: views[part] for name, views in samples.items()},
        mode='loss',
    )
    model.parse_losses(losses)[0].backward()
    found = {key: value.detach() for key, value in losses.items() if 'loss' in key}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found[name] = parameter.grad.clone()
    return found


def step_of_rank(rank: int, method: str, kind: str) -> dict[str, torch.Tensor]:
    return step(method, kind, rank)


@pytest.mark.parametrize(('method', 'kind'), [*CASES, *OTHER_CASES])
def test_two_processes_equal_one_with_tags_on_one_rank(method, kind):
    """One labeled and one unlabeled image on each rank."""
    expected = step(method, kind)
    assert expected['unsup_weak.loss_cls'] > 0
    assert all(value > 0 for name, value in expected.items() if 'loss' in name)
    first, second = run_processes(step_of_rank, 2, (method, kind), timeout=300)
    for name, value in expected.items():
        mean = (first[name] + second[name]) / 2
        torch.testing.assert_close(
            mean,
            value,
            rtol=1e-5,
            atol=1e-5 * float(value.abs().max()),
            msg=lambda text, at=name: f'{at}: {text}',
        )

"""Labeled and unlabeled images in one batch, for every semi-supervised method."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from helpers.methods import FCN_HEAD, METHODS, SEMI
from helpers.tiny import batch_of, set_phase, tiny_network
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg_wsss.engine.startup_check.inputs import check_pooling
from mmseg_wsss.models.utils import has_pooled_batch_norm

PSP_HEAD = {
    key: value
    for key, value in FCN_HEAD.items()
    if key not in ('num_convs', 'concat_input')
} | {'type': 'PSPHead', 'pool_scales': (1, 2), 'norm_cfg': {'type': 'BN'}}
TWO_PARTS = [name for name in SEMI if name != 'SupervisedSegmentor']
CONCAT = {'concat_forward': True}
# Modes of the teachers, where there are any.
MODES = [
    (name, mode)
    for name in TWO_PARTS
    for mode in ('eval', 'train')
    if mode == 'eval' or METHODS[name].hooks
]


def network(name, drop=False, **settings):
    given = METHODS[name].model['semi_train_cfg']
    train_cfg = {**given, **settings.pop('semi_train_cfg', {})}
    model = tiny_network(name, drop=drop, semi_train_cfg=train_cfg, **settings)
    set_phase(model, METHODS[name].phases[0])
    return model


def total(losses):
    return sum(value for key, value in losses.items() if 'loss' in key)


@pytest.mark.parametrize(('name', 'teachers'), MODES)
def test_one_image_per_part_with_a_pooling_head(name, teachers):
    apart = {'teacher_mode': teachers, 'concat_forward': False}
    data = batch_of(name, num=1)
    model = network(name, decode_head=PSP_HEAD, semi_train_cfg=apart)
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        model.loss(*data)
    model = network(name, decode_head=PSP_HEAD, semi_train_cfg=apart | CONCAT)
    loss = total(model.loss(*data))
    assert torch.isfinite(loss)
    loss.backward()
    trained = {k: p.grad for k, p in model.named_parameters() if p.requires_grad}
    assert [key for key, grad in trained.items() if grad is None] == []


@pytest.mark.parametrize('name', TWO_PARTS)
def test_equal_to_two_batches_with_fixed_statistics(name):
    losses = []
    for settings in ({}, CONCAT):
        model = network(name, semi_train_cfg=settings).double()
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        inputs, samples = batch_of(name)
        inputs = {key: value.double() for key, value in inputs.items()}
        torch.manual_seed(0)
        losses.append(model.loss(inputs, samples))
    apart, joint = losses
    assert apart.keys() == joint.keys()
    for key, value in apart.items():
        torch.testing.assert_close(joint[key], value, msg=key)


@pytest.mark.parametrize('name', TWO_PARTS)
def test_crops_of_one_size(name):
    assert network(name, semi_train_cfg=CONCAT).one_crop_size
    assert network(name, drop=True).one_crop_size == (name == 'MKD')


def test_labels_of_labeled_images_need_one_crop_size():
    assert network('CPS', semi_train_cfg={'cutmix': None}).one_crop_size


def test_supervised_baseline_has_nothing_to_concatenate():
    with pytest.raises(ValueError, match='no unlabeled images'):
        network('SupervisedSegmentor', semi_train_cfg=CONCAT)


def test_pooled_batch_norm_is_found():
    assert has_pooled_batch_norm(network('FixMatch', decode_head=PSP_HEAD))
    assert not has_pooled_batch_norm(network('FixMatch'))
    grouped = PSP_HEAD | {'norm_cfg': {'type': 'GN', 'num_groups': 2}}
    assert not has_pooled_batch_norm(network('FixMatch', decode_head=grouped))
    larger = PSP_HEAD | {'pool_scales': (2, 3)}
    assert not has_pooled_batch_norm(network('FixMatch', decode_head=larger))
    model = network('FixMatch', decode_head=PSP_HEAD)
    model.requires_grad_(False)
    assert not has_pooled_batch_norm(model)


def test_start_up_check_names_the_setting():
    one, two = SimpleNamespace(counts=[1, 1]), SimpleNamespace(counts=[2, 2])
    model = network('FixMatch', decode_head=PSP_HEAD)
    (problem,) = check_pooling(model, one)
    assert 'concat_forward=True' in problem.change
    joint = network('FixMatch', decode_head=PSP_HEAD, semi_train_cfg=CONCAT)
    for args in ((model, two), (joint, one), (network('FixMatch'), one)):
        assert not [*check_pooling(*args)]
    assert not [*check_pooling(model, SimpleNamespace())]


@pytest.mark.parametrize(
    ('counts', 'refused'), [([2, 1, 1], False), ([1, 2, 1], True), ([1, 1, 1], True)]
)
def test_tagged_and_unlabeled_images_share_a_forward(counts, refused):
    model = network('FixMatch', decode_head=PSP_HEAD)
    found = [*check_pooling(model, SimpleNamespace(counts=counts))]
    assert bool(found) == refused
    num_labeled, num_others = counts[0], sum(counts[1:])
    inputs, samples = batch_of('FixMatch', num=num_others)
    inputs['sup'] = inputs['sup'][:num_labeled]
    samples['sup'] = samples['sup'][:num_labeled]
    raises = pytest.raises(ValueError, match='more than 1 value per channel')
    with raises if refused else nullcontext():
        model.loss(inputs, samples)


def test_start_up_check_of_the_supervised_baseline():
    """No unlabeled image passes its head, and it has no ``concat_forward``."""
    model = network('SupervisedSegmentor', decode_head=PSP_HEAD)
    assert not [*check_pooling(model, SimpleNamespace(counts=[3, 1]))]
    (problem,) = check_pooling(model, SimpleNamespace(counts=[1, 3]))
    assert problem.change == 'set batch_size and source_ratio for 2 labeled images'

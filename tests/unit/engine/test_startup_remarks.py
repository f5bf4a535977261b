"""Start-up check: remarks, weights in other forms, normalization, repeated hooks."""

from types import SimpleNamespace
from unittest import mock

import pytest
from mmcv.transforms import Normalize
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.models import SegDataPreProcessor
from torch import nn

from mmseg_wsss.datasets.samplers import EndlessSampler
from mmseg_wsss.engine.hooks import MeanTeacherHook
from mmseg_wsss.engine.startup_check import check_checkpoint
from mmseg_wsss.engine.startup_check.inputs import check_normalization
from mmseg_wsss.engine.startup_check.loops import check_phases, check_validation
from mmseg_wsss.engine.startup_check.remarks import (
    late_schedules,
    small_means,
    small_view_statistics,
    unmatched_keys,
)


class Network(nn.Module):
    def __init__(self, **normalization):
        super().__init__()
        self.backbone = nn.Conv2d(3, 2, 1)
        self.data_preprocessor = SegDataPreProcessor(**normalization)


def texts(problems):
    return [str(problem) for problem in problems]


@pytest.mark.parametrize('kind', [EndlessSampler, InfiniteSampler])
def test_a_validation_that_never_ends(kind):
    def problems(sampler):
        loader = SimpleNamespace(sampler=sampler)
        return texts(check_validation(SimpleNamespace(dataloader=loader)))

    (found,) = problems(kind([0, 1]))
    assert found.startswith(f'val_dataloader has {kind.__name__}, which never ends')
    assert problems(DefaultSampler([0, 1])) == []


def test_a_hook_given_twice():
    hook = MeanTeacherHook(decay=0.9)
    model = mock.Mock(spec=nn.Module)
    found = texts(check_phases(model, [hook, MeanTeacherHook(decay=0.5)], 10))
    assert '2 hooks set Mock.progress: MeanTeacherHook; keep one' in found[0]
    assert texts(check_phases(model, [hook], 10)) == []


def test_weights_under_another_key():
    network = Network()
    state = {'model': network.state_dict(), 'epoch': 3}
    (found,) = texts(check_checkpoint(network, state, training=True))
    assert found.startswith('the checkpoint has no state_dict, but epoch, model; save')


@pytest.mark.parametrize('training', [True, False])
def test_weights_of_a_wrapped_network(training):
    network = Network()
    state = {f'module.{key}': value for key, value in network.state_dict().items()}
    assert texts(check_checkpoint(network, state, training)) == []


def test_weights_of_a_network_and_its_teacher_start_a_network():
    network, support = Network(), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    state = network.state_dict()
    state |= {f'support.{key}': value for key, value in support.state_dict().items()}
    assert len(state) > 2 * len(network.state_dict())
    assert texts(check_checkpoint(network, state, training=True)) == []
    assert texts(check_checkpoint(network, state, training=False))
    del state['backbone.weight']
    assert 'tensors missing' in texts(check_checkpoint(network, state, True))[0]


def test_weights_of_a_deeper_backbone_are_refused():
    network = Network()
    network.backbone = nn.Sequential(nn.Conv2d(3, 2, 1))
    deeper = nn.Sequential(*(nn.Conv2d(3, 2, 1) for _ in range(3)))
    state = {f'backbone.{key}': value for key, value in deeper.state_dict().items()}
    (found,) = texts(check_checkpoint(network, state, training=True))
    assert '4 tensors of no use' in found


def test_images_normalized_twice():
    steps = SimpleNamespace(pipeline=[Normalize([1, 1, 1], [1, 1, 1])])
    settings = {'mean': [120, 120, 120], 'std': [60, 60, 60]}
    (found,) = texts(check_normalization(Network(**settings), steps))
    assert 'images are normalized twice' in found
    assert texts(check_normalization(Network(), steps)) == []
    nothing = SimpleNamespace(pipeline=[])
    assert texts(check_normalization(Network(**settings), nothing)) == []


@pytest.mark.parametrize(
    ('mean', 'std', 'count'),
    [
        ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], 1),
        ([123.7, 116.3, 103.5], [58.4, 57.1, 57.4], 0),
        ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], 0),
    ],
)
def test_means_of_another_range(mean, std, count):
    found = list(small_means(Network(mean=mean, std=std)))
    assert len(found) == count
    assert all('multiply mean and std by 255' in text for text in found)


class Backbone(nn.Sequential):
    def __init__(self, norm_eval):
        super().__init__(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
        self.norm_eval = norm_eval

    def train(self, mode=True):
        super().train(mode)
        self[1].train(mode and not self.norm_eval)
        return self


@pytest.mark.parametrize('second_view', [True, False])
@pytest.mark.parametrize('norm_eval', [True, False])
def test_batch_norm_under_a_small_second_view(second_view, norm_eval):
    network = Network()
    network.backbone = Backbone(norm_eval)
    network.second_view, network.view_scale = second_view, 0.3
    found = list(small_view_statistics(network))
    assert len(found) == (second_view and not norm_eval)
    assert all('a second view at scale 0.3' in text for text in found)
    assert list(small_view_statistics(Network())) == []


def test_keys_of_no_parameter():
    keys = {'bckbone': {'lr_mult': 0.1}, 'backbone': {'lr_mult': 0.1}}
    cfg = {'optim_wrapper': {'paramwise_cfg': {'custom_keys': keys}}}
    (found,) = unmatched_keys(Network(), cfg)
    assert "'bckbone' fits no parameter" in found
    assert list(unmatched_keys(Network(), {'optim_wrapper': None})) == []


def test_schedules_after_the_end():
    item = SimpleNamespace(by_epoch=False, param_name='lr', end=50)
    loop = SimpleNamespace(max_iters=30)
    (found,) = late_schedules([item], loop)
    assert found.startswith('the schedule of lr ends at iteration 50, after')
    assert list(late_schedules([item], SimpleNamespace(max_iters=50))) == []
    assert len(list(late_schedules({'generator': [item]}, loop))) == 1

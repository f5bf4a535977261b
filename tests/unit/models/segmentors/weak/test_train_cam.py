"""The CAM of a training step, from which a method makes labels."""

import pytest
import torch
from helpers.methods import BACKBONE, METHODS
from helpers.tiny import set_phase, tiny_batch, tiny_network
from mmcv.cnn.bricks import DropPath
from torch import nn

from mmseg_wsss.models.cam import MultiScaleCAM, reusable_feats
from mmseg_wsss.models.pseudo_labels import normalize_cam
from mmseg_wsss.models.segmentors.weak.parts import confident_regions, reliable_label

WITH_TRAIN_CAM = ('AFA', 'ASDT', 'AffinityNet', 'CAMSeg', 'IRNet', 'RRM', 'TSCD')


@pytest.mark.parametrize('norm_eval', [False, True])
@pytest.mark.parametrize('name', WITH_TRAIN_CAM)
def test_a_cam_of_features_in_another_mode_is_computed_anew(name, norm_eval):
    """Its scales would differ in their statistics of batch norm."""
    model = tiny_network(name, backbone=BACKBONE | {'norm_eval': norm_eval})
    set_phase(model, METHODS[name].phases[-1])
    known, extract = [], model.train_cam

    def train_cam(network, inputs, size=None, feats=None):
        known.append(feats)
        return extract(network, inputs, size, feats)

    model.train_cam = train_cam
    model.loss(*tiny_batch(2))
    assert known
    for feats in known:
        assert (1.0 in feats) == norm_eval


@pytest.mark.parametrize(
    ('noise', 'reused'), [(nn.Dropout(0.5), True), (DropPath(0.5), False)]
)
def test_a_cam_with_dropout_reuses_features_with_dropout(noise, reused):
    model = tiny_network('RRM', backbone=BACKBONE | {'norm_eval': True})
    model.backbone.noise = noise
    feats = [torch.zeros(1)]
    assert (1.0 in reusable_feats(model, feats)) == reused
    model.train_cam = MultiScaleCAM(dropout=False)
    assert not reusable_feats(model, feats)


@pytest.mark.parametrize('name', ['RRM', 'ASDT', 'AffinityNet', 'IRNet'])
@pytest.mark.parametrize('how', ['max', 'minmax'])
def test_labels_of_a_step_have_the_same_normalization(name, how, monkeypatch):
    model = tiny_network(name, cam_normalization=how)
    set_phase(model, METHODS[name].phases[-1])
    modes = []

    def recorded(cam, tags, mode='max'):
        modes.append(mode)
        return normalize_cam(cam, tags, mode)

    for module in (confident_regions, reliable_label):
        monkeypatch.setattr(module, 'normalize_cam', recorded)
    model.loss(*tiny_batch(2))
    assert modes == [how]

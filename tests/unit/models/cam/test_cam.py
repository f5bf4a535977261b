"""CAM extraction: against one forward per view, and the settings."""

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import NUM_TAGS
from helpers.tiny import tiny_batch, tiny_model
from mmengine.config import ConfigDict
from torch import Tensor

from mmseg_wsss.models.cam import MultiScaleCAM, PairedCAM, build_cam
from mmseg_wsss.registry import MODELS


def build(name: str = 'CAM', **settings):
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(tiny_model(name, **settings)))
    model.init_weights()
    return model


def naive_cam(model, inputs: Tensor, scales, flip: bool, merge: str):
    """One forward an image, scale and side, each map resized on its own."""
    model.eval()
    size = model.extract_feat(inputs)[-1].shape[2:]
    weight = model.cam_head.classifier.weight
    results = []
    for img in inputs:
        maps = []
        for scale in scales:
            shape = [int(side * scale) for side in img.shape[1:]]
            for flipped in (False, True) if flip else (False,):
                view = img.flip(-1) if flipped else img
                view = F.interpolate(view[None], shape, mode='bilinear')
                cam = F.relu(F.conv2d(model.extract_feat(view)[-1], weight))
                cam = cam.flip(-1) if flipped else cam
                maps.append(F.interpolate(cam, size, mode='bilinear')[0])
        stack = torch.stack(maps)
        results.append(
            {'mean': stack.mean(0), 'sum': stack.sum(0), 'max': stack.amax(0)}[merge]
        )
    return torch.stack(results)


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('merge', ['mean', 'sum', 'max'])
@pytest.mark.parametrize('reuse', [False, True])
def test_multi_scale_cam_equals_one_forward_a_view(flip, merge, reuse):
    model = build()
    inputs, _ = tiny_batch(2, (33, 37))
    scales = (1.0, 0.5, 1.5)
    with torch.no_grad():
        expected = naive_cam(model, inputs, scales, flip, merge)
        model.train()
        feats = None
        if reuse:
            feats = model.eval().extract_feat(inputs)
            model.train()
        found = MultiScaleCAM(scales, flip, merge)(model, inputs, feats=feats)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('scales', [(1.0, 0.5), (0.5, 1.0), (2.0, 1, 0.5)])
def test_multi_scale_cam_has_the_size_of_scale_1(scales):
    model = build().eval()
    inputs, _ = tiny_batch(2, (33, 37))
    size = model.extract_feat(inputs)[-1].shape[2:]
    assert MultiScaleCAM(scales)(model, inputs).shape[2:] == size


def test_multi_scale_cam_runs_no_decoder_updates_nothing_and_has_no_graph():
    model = build('ASDT').train()
    inputs, _ = tiny_batch(2)

    def forbidden(*_):
        raise AssertionError('a decode head ran')

    model.decode_head.register_forward_pre_hook(forbidden)
    model.teacher_head.register_forward_pre_hook(forbidden)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    cam = MultiScaleCAM((1.0, 0.5), flip=True, dropout=True)(model, inputs)
    assert not cam.requires_grad
    assert (cam >= 0).all()
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert all(module.training for module in model.modules())


def test_dropout_in_the_cam_forwards_is_an_option():
    model = build(
        backbone=dict(type='WideResNet38', base_channels=1, dropout=(0.5, 0.5)),
        cam_head=dict(type='CAMHead', in_channels=64, num_classes=NUM_TAGS),
    ).train()
    inputs, _ = tiny_batch(1)
    still = [MultiScaleCAM()(model, inputs) for _ in range(2)]
    assert torch.equal(*still)
    moving = [MultiScaleCAM(dropout=True)(model, inputs) for _ in range(2)]
    assert not torch.equal(*moving)


@torch.no_grad()
def naive_paired_cam(model, inputs: Tensor, scales) -> Tensor:
    """One forward an image, scale and side: maximum, then positive part, then sum."""
    size = model.extract_feat(inputs)[-1].shape[2:]
    total = torch.zeros(len(inputs), NUM_TAGS, *size)
    for scale in scales:
        view = F.interpolate(
            inputs, [int(side * scale) for side in inputs.shape[2:]], mode='bilinear'
        )
        maps = []
        for flipped in (False, True):
            feat = model.extract_feat(view.flip(-1) if flipped else view)[-1]
            cam = F.interpolate(
                F.conv2d(feat, model.cam_head.classifier.weight), size, mode='bilinear'
            )
            # Flipped after it is resized: the same up to rounding.
            maps.append(cam.flip(-1) if flipped else cam)
        total = total + torch.maximum(*maps).relu()
    return total


def test_paired_cam_joins_mirror_images_before_it_cuts():
    model = build().eval()
    inputs, _ = tiny_batch(2, (33, 37))
    found = PairedCAM((1.0, 0.5))(model, inputs)
    expected = naive_paired_cam(model, inputs, (1.0, 0.5))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_settings_extend_those_of_the_same_type_only():
    default = MultiScaleCAM((1.0, 0.5), dropout=True)
    assert build_cam(None, default, 'cam') == default
    changed = build_cam({'flip': True}, default, 'cam')
    assert changed == MultiScaleCAM((1.0, 0.5), flip=True, dropout=True)
    assert build_cam({'type': 'PairedCAM'}, default, 'cam') == PairedCAM()


@pytest.mark.parametrize(
    ('cfg', 'error', 'message'),
    [
        ({'scale': (1.0,)}, KeyError, "cam has no key 'scale'"),
        ({'scales': ()}, ValueError, 'cam.scales'),
        ({'scales': (0.0,)}, ValueError, 'cam.scales'),
        ({'merge': 'median'}, ValueError, 'cam.merge'),
        ({'flip': 1}, TypeError, 'cam.flip'),
        ({'type': 'OtherCAM'}, ValueError, 'cam.type'),
        ({'type': 'DenseCRF'}, ValueError, 'cam.type'),
        ({'type': 'PairedCAM', 'dropout': True}, KeyError, 'dropout'),
        (3, TypeError, 'cam must be a dict'),
    ],
)
def test_bad_settings_are_named(cfg, error, message):
    with pytest.raises(error, match=message):
        build_cam(cfg, MultiScaleCAM(), 'cam')

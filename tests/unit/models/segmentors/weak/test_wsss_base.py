"""What every weakly supervised segmentor shares."""

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import NUM_TAGS
from helpers.tiny import tiny_batch, tiny_model
from mmengine.config import ConfigDict
from torch import Tensor

from mmseg_wsss.models.segmentors import WSSSBase
from mmseg_wsss.registry import MODELS


def build(name: str = 'CAM', **settings) -> WSSSBase:
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(tiny_model(name, **settings)))
    model.init_weights()
    return model


def naive_cam(model: WSSSBase, inputs: Tensor, scales, flip: bool, merge: str):
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
        found = model.multi_scale_cam(inputs, scales, flip, merge, feats=feats)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('scales', [(1.0, 0.5), (0.5, 1.0), (2.0, 1, 0.5)])
def test_multi_scale_cam_has_the_size_of_scale_1(scales):
    model = build().eval()
    inputs, _ = tiny_batch(2, (33, 37))
    size = model.extract_feat(inputs)[-1].shape[2:]
    assert model.multi_scale_cam(inputs, scales).shape[2:] == size


@pytest.mark.parametrize('name', ['CAM', 'ASDT'])
def test_labels_from_the_prediction_slide_as_the_prediction_does(name):
    slide = {'mode': 'slide', 'crop_size': (24, 24), 'stride': (12, 12)}
    model = build(name, test_cfg=slide).eval()
    inputs, samples = tiny_batch(1, (40, 48))
    (result,) = model.predict(inputs, samples)
    (labels,) = model.pseudo_labels(inputs, samples, ['prediction'])
    assert labels['prediction'][0].equal(result.pred_sem_seg.data[0])


@pytest.mark.parametrize('name', ['CAM', 'ASDT'])
def test_labels_from_the_prediction_need_no_tags(name):
    model = build(name).eval()
    inputs, samples = tiny_batch(1)
    sources = {'prediction', 'fused'} & set(model.pseudo_sources())
    expected = model.pseudo_labels(inputs, samples, sources)
    del samples[0].gt_tags
    found = model.pseudo_labels(inputs, samples, sources)
    for source in sources:
        assert found[0][source][0].equal(expected[0][source][0])
    with pytest.raises(KeyError, match='has no gt_tags'):
        model.pseudo_labels(inputs, samples, ['cam'])


def test_multi_scale_cam_runs_no_decoder_updates_nothing_and_has_no_graph():
    model = build('ASDT').train()
    inputs, _ = tiny_batch(2)

    def forbidden(*_):
        raise AssertionError('a decode head ran')

    model.decode_head.register_forward_pre_hook(forbidden)
    model.teacher_head.register_forward_pre_hook(forbidden)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    cam = model.multi_scale_cam(inputs, (1.0, 0.5), flip=True, dropout=True)
    assert not cam.requires_grad
    assert (cam >= 0).all()
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert all(module.training for module in model.modules())


def test_dropout_in_the_cam_forwards_is_an_option():
    model = build(
        backbone=dict(type='WideResNet38', base_channels=1, dropout=(0.5, 0.5)),
        cam_head=dict(type='CAMHead', in_channels=64, num_classes=NUM_TAGS),
        decode_head=tiny_model('CAM')['decode_head'] | {'in_channels': 64},
    ).train()
    inputs, _ = tiny_batch(1)
    still = [model.multi_scale_cam(inputs) for _ in range(2)]
    assert torch.equal(*still)
    moving = [model.multi_scale_cam(inputs, dropout=True) for _ in range(2)]
    assert not torch.equal(*moving)


def test_valid_area_is_read_from_the_map_or_from_the_shape():
    model = build()
    inputs, samples = tiny_batch(2, (8, 10))
    samples[0].valid_map.data[:, 4:] = False
    del samples[1].valid_map
    samples[1].set_metainfo({'img_shape': (8, 6)})
    valid = model.valid(samples, inputs)
    expected = torch.zeros(2, 8, 10, dtype=torch.bool)
    expected[0, :4] = True
    expected[1, :, :6] = True
    assert torch.equal(valid, expected)


def test_colors_survive_the_normalization():
    model = build()
    img = torch.randint(0, 256, (1, 3, 5, 7), dtype=torch.uint8)
    data = {'inputs': list(img), 'data_samples': tiny_batch(1, (5, 7))[1]}
    inputs = model.data_preprocessor(data, True)['inputs']
    assert torch.equal(model.denormalize(inputs), img.flip(1).float())


def test_missing_tags_are_named():
    model = build()
    inputs, samples = tiny_batch(2)
    del samples[1].gt_tags
    with pytest.raises(KeyError, match=r'1\.png has no gt_tags'):
        model.loss(inputs, samples)


def test_pseudo_labels_come_at_the_original_size_and_by_name():
    model = build(
        test_cfg={'cam': {'scales': (1.0,)}, 'mode': 'whole', 'bg_thr': 0.3}
    ).eval()
    inputs, samples = tiny_batch(2)
    for sample in samples:
        sample.set_metainfo({'ori_shape': (50, 61)})
    results = model.pseudo_labels(inputs, samples, ['cam', 'prediction'])
    for tags, result in zip(((0,), (1, 4)), results):
        label, prob = result['cam']
        assert label.shape == (50, 61)
        assert prob.shape == (NUM_TAGS + 1, 50, 61)
        assert set(label.unique().tolist()) <= {0, *(k + 1 for k in tags)}
        torch.testing.assert_close(
            label > 0, prob[1:].amax(0) > 0.3, msg='threshold of the CAM'
        )
        absent = [k for k in range(NUM_TAGS) if k not in tags]
        assert (prob[1:][absent] == 0).all()
    with pytest.raises(KeyError, match="'teacher_z'"):
        model.pseudo_labels(inputs, samples, ['teacher_z'])


def test_prediction_carries_what_test_cfg_asks_for():
    model = build(
        test_cfg={
            'mode': 'whole',
            'pseudo_sources': ['cam', 'prediction'],
            'predict_tags': True,
        }
    ).eval()
    inputs, samples = tiny_batch(2)
    with torch.no_grad():
        results = model.predict(inputs, samples)
    for sample in results:
        assert sample.cam.data.shape == (NUM_TAGS, 33, 33)
        assert sample.pred_tags.score.shape == (NUM_TAGS,)
        assert torch.equal(sample.pseudo_prediction.data, sample.pred_sem_seg.data)


def test_a_cascade_has_one_refining_head_at_most():
    head = tiny_model('CAM')['decode_head']
    with pytest.raises(ValueError, match='one refining head, got 2'):
        build(decode_head=[head, head, head])

"""The base of the semi-supervised segmentors, against plain mmseg segmentors."""

import pytest
import torch
from helpers.methods import FCN_HEAD, SEMI
from helpers.tiny import batch_of, tiny_model, tiny_network
from mmengine.config import ConfigDict
from mmseg.models.decode_heads import FCNHead, PointHead

from mmseg_wsss.registry import MODELS

AUXILIARY = FCN_HEAD | {'in_channels': 8, 'in_index': 0}


def cascade() -> dict:
    """A network with the heads of OCRNet."""
    cfg = tiny_model('MKD', drop=False)['segmentor']
    second = {
        'type': 'OCRHead',
        'in_channels': 16,
        'in_index': -1,
        'channels': 8,
        'ocr_channels': 4,
        'num_classes': FCN_HEAD['num_classes'],
    }
    return cfg | {
        'type': 'CascadeEncoderDecoder',
        'num_stages': 2,
        'decode_head': [cfg['decode_head'], second],
    }


@pytest.mark.parametrize('name', ['MKD', 'FixMatch', 'UniMatch'])
def test_a_cascade_trains_as_in_mmseg(name):
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(type=name, segmentor=cascade()))
    model.init_weights()
    student = model.networks[model.students[0]]
    inputs, samples = batch_of(name)
    model.progress = 0.5  # as MeanTeacherHook does
    found = model.train().loss(inputs, samples)
    model.eval()
    prefix = f'sup_{model.students[0]}'
    output = model.forward_network(model.students[0], inputs['sup'])
    losses = model.supervised_losses(model.students[0], output, samples['sup'])
    expected = student.loss(inputs['sup'], samples['sup'])
    for key in ('decode_0.loss_ce', 'decode_1.loss_ce'):
        assert torch.isfinite(found[f'{prefix}.{key}'])
        weighted = model.train_cfg.sup_weight * expected[key]
        torch.testing.assert_close(losses[f'{prefix}.{key}'], weighted)
    logits = student.encode_decode(inputs['sup'], [{'img_shape': (33, 33)}] * 2)
    found = model.resize_to(inputs['sup'], output.logits)
    torch.testing.assert_close(found, logits)


@pytest.mark.parametrize('kind', ['PointHead', 'mmseg.PointHead', PointHead])
def test_a_point_head_is_refused(kind):
    segmentor = cascade()
    point = {'type': kind, 'in_channels': [16], 'in_index': [1], 'channels': 4}
    segmentor['decode_head'][1] = point | {'num_classes': FCN_HEAD['num_classes']}
    with pytest.raises(TypeError, match='PointHead predicts points'):
        MODELS.build(ConfigDict(type='FixMatch', segmentor=segmentor))


@pytest.mark.parametrize('decode_head', [None, []])
def test_a_network_without_decode_head_is_refused(decode_head):
    segmentor = cascade() | {'decode_head': decode_head}
    with pytest.raises(TypeError, match=r"a decode_head, got 'CascadeEncoderDecoder'"):
        MODELS.build(ConfigDict(type='FixMatch', segmentor=segmentor))
    del segmentor['decode_head']
    with pytest.raises(TypeError, match=r"a decode_head, got 'CascadeEncoderDecoder'"):
        MODELS.build(ConfigDict(type='FixMatch', segmentor=segmentor))


def test_a_head_given_as_class_is_built():
    head = FCN_HEAD | {'type': FCNHead}
    assert type(tiny_network('CPS', decode_head=head).student1.decode_head) is FCNHead


class TestNetworks:
    @pytest.mark.parametrize('mode', ['eval', 'train'])
    def test_mode_of_the_teachers(self, mode):
        model = tiny_network('MKD', semi_train_cfg={'teacher_mode': mode})
        for _ in range(2):  # as MMEngine's loop does before every iteration
            model.train()
            flags = {m.training for m in model.teacher1.modules()}
            assert flags == {mode == 'train'}
            assert all(m.training for m in model.student1.modules())
        model.eval()
        assert not any(m.training for m in model.modules())

    @pytest.mark.parametrize('method', SEMI)
    def test_only_students_are_trained(self, method):
        model = tiny_network(method)
        for name, net in model.networks.items():
            trained = {p.requires_grad for p in net.parameters()}
            assert trained == {name in model.students}

    def test_statistics_of_labeled_and_mixed_images_stay_separate(self):
        """Each of two forwards updates the running mean."""
        model = tiny_network('MKD')
        model.progress = 0.5
        model.loss(*batch_of('MKD'))
        counts = {
            name: int(model.networks[name].backbone.stem[1].num_batches_tracked)
            for name in model.networks
        }
        assert counts == {'student1': 2, 'student2': 2, 'teacher1': 0, 'teacher2': 0}


@pytest.mark.parametrize('weight', [1.0, 0.25])
def test_supervised_loss_equals_the_loss_of_the_plain_segmentor(weight):
    settings = {'auxiliary_head': AUXILIARY, 'drop': False}
    model = tiny_network(
        'SupervisedSegmentor', semi_train_cfg={'sup_weight': weight}, **settings
    )
    inputs, samples = batch_of('SupervisedSegmentor')
    found = model.loss(inputs, samples)
    model.student.zero_grad()
    expected = model.student.loss(inputs['sup'], samples['sup'])
    assert {f'sup_student.{key}' for key in expected} == set(found)
    for key, value in expected.items():
        factor = weight if 'loss' in key else 1.0
        torch.testing.assert_close(found[f'sup_student.{key}'], factor * value)
    assert {'decode.loss_ce', 'aux.loss_ce'} <= set(expected)


@pytest.mark.parametrize('several', [False, True])
def test_a_loss_of_independent_classes_is_refused(several):
    loss = {'type': 'CrossEntropyLoss', 'use_sigmoid': True}
    dice = {'type': 'DiceLoss', 'use_sigmoid': True, 'loss_name': 'loss_dice'}
    head = FCN_HEAD | {'loss_decode': [dice, loss] if several else loss}
    with pytest.raises(ValueError, match=r'FCNHead\.loss_decode has use_sigmoid=True'):
        tiny_network('MKD', decode_head=head)


def test_one_output_channel():
    head = FCN_HEAD | {'num_classes': 2, 'out_channels': 1, 'threshold': 0.5}
    with pytest.raises(ValueError, match='out_channels of the decode head'):
        tiny_network('CPS', decode_head=head)


@pytest.mark.parametrize('method', SEMI)
def test_missing_branches_are_named(method):
    model = tiny_network(method)
    model.progress = 0.5
    inputs, samples = batch_of(method)
    del inputs['sup']
    with pytest.raises(KeyError, match=f"{method} needs the branch 'sup'"):
        model.loss(inputs, samples)


def test_a_head_without_logits(monkeypatch):
    model = tiny_network('CPS')
    head = model.student1.decode_head
    monkeypatch.setattr(head, 'forward', lambda feats: {'masks': feats})
    with pytest.raises(TypeError, match='FCNHead returns no map of logits'):
        model.loss(*batch_of('CPS'))

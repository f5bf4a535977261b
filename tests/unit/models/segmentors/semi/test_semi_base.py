"""The base of the semi-supervised segmentors, against plain mmseg segmentors."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from helpers.methods import FCN_HEAD, SEMI
from helpers.tiny import batch_of, tiny_batch, tiny_model, tiny_network
from mmengine.config import ConfigDict
from mmengine.runner import load_checkpoint
from mmseg.models.decode_heads import FCNHead, PointHead

from mmseg_wsss.evaluation.wsss_tta_model import WSSSTTAModel
from mmseg_wsss.models.segmentors.semi.fixmatch import UNIMATCH_CUTMIX
from mmseg_wsss.models.segmentors.semi.pseudo_labels import num_effective_classes
from mmseg_wsss.models.segmentors.semi.seg_output import (
    ClassifierInput,
    SegOutput,
    decode,
)
from mmseg_wsss.models.utils import CutMixSettings, draw_masks
from mmseg_wsss.registry import MODELS

AUXILIARY = FCN_HEAD | {'in_channels': 8, 'in_index': 0}
_PLAIN = {
    'in_channels': 16,
    'in_index': 1,
    'channels': 8,
    'num_classes': 7,
    'align_corners': False,
}
_LEVELS = _PLAIN | {'in_channels': [8, 16], 'in_index': [0, 1]}
# Heads that use conv_seg, each in another way.
CLASSIFIER_HEADS = {
    'FCNHead': FCN_HEAD,
    'ASPPHead': _PLAIN | {'dilations': (1, 2)},
    'PSPHead': _PLAIN | {'pool_scales': (1, 2)},
    'UPerHead': _LEVELS | {'pool_scales': (1, 2)},
    'SegformerHead': _LEVELS,
    'DepthwiseSeparableASPPHead': _PLAIN
    | {'dilations': (1, 2), 'c1_in_channels': 8, 'c1_channels': 4},
    'NLHead': _PLAIN,
    'GCHead': _PLAIN,
    'DAHead': _PLAIN | {'pam_channels': 4},
    'EncHead': _LEVELS | {'num_codes': 4, 'use_se_loss': False},
    'SegFormerMLPHead': _LEVELS,
}


def plain_network(seed: int = 5, **settings) -> torch.nn.Module:
    """Plain network of the methods, with random statistics."""
    cfg = tiny_model('MKD', **settings)['segmentor']
    torch.manual_seed(seed)
    net = MODELS.build(ConfigDict(cfg))
    net.init_weights()
    for name, buffer in net.named_buffers():
        if name.endswith(('running_mean', 'running_var')):
            buffer.uniform_(0.5, 1.5)
    return net


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


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


def test_pidnet_is_trained_on_the_branch_that_predicts():
    head = {
        'type': 'PIDHead',
        'in_channels': 16,
        'channels': 8,
        'num_classes': FCN_HEAD['num_classes'],
        'loss_decode': [{'type': 'CrossEntropyLoss'}] * 4,
    }
    model = tiny_network('MKD', decode_head=head)
    feats = [torch.rand(2, channels, 4, 4) for channels in (8, 16, 8)]
    own = model.student1.decode_head
    recorder = ClassifierInput(own.conv_seg)
    recorder.start()
    output = decode(model.student1, feats)
    torch.testing.assert_close(output.logits, own.conv_seg(recorder.take()))
    assert output.logits is output.outs[0][1]


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
    def test_students_differ_and_teachers_begin_as_their_students(self):
        model = tiny_network('MKD')
        assert not same(model.student1, model.student2)
        assert same(model.teacher1, model.student1)
        assert same(model.teacher2, model.student2)

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


class TestCheckpoints:
    def test_a_plain_one_fills_every_network(self, tmp_path):
        net = plain_network()
        torch.save({'state_dict': net.state_dict()}, tmp_path / 'plain.pth')
        model = tiny_network('MKD')
        load_checkpoint(model, str(tmp_path / 'plain.pth'))
        assert all(same(other, net) for other in model.networks.values())

    def test_each_student_can_have_its_own(self, tmp_path):
        nets = [plain_network(seed) for seed in (1, 2)]
        files = [str(tmp_path / f'{i}.pth') for i in range(2)]
        for net, file in zip(nets, files):
            torch.save({'state_dict': net.state_dict()}, file)
        first, second = ({'type': 'Pretrained', 'checkpoint': file} for file in files)
        init_cfg = first | {'override': {'name': 'student2', **second}}
        model = MODELS.build(ConfigDict(tiny_model('MKD') | {'init_cfg': init_cfg}))
        model.init_weights()
        for name, network in model.networks.items():
            assert same(network, nets[name.endswith('2')]), name

    def test_a_plain_one_fits_to_the_last_key(self):
        model = tiny_network('CPS')
        keys = model.load_state_dict(plain_network().state_dict())
        assert not keys.missing_keys
        assert not keys.unexpected_keys

    def test_one_of_students_fills_their_teachers(self):
        students = tiny_network('CPS', seed=4)
        model = tiny_network('MKD')
        model.load_state_dict(students.state_dict(), strict=False)
        for number in '12':
            student = students.networks[f'student{number}']
            assert same(model.networks[f'student{number}'], student)
            assert same(model.networks[f'teacher{number}'], student)

    @pytest.mark.parametrize(
        ('source', 'target'), [('MeanTeacherSegmentor', 'MKD'), ('CPS', 'FixMatch')]
    )
    def test_one_of_another_method_gives_its_first_student(self, source, target):
        other = tiny_network(source, seed=4)
        model = tiny_network(target)
        keys = model.load_state_dict(other.state_dict(), strict=False)
        assert not keys.unexpected_keys
        first = other.networks[other.students[0]]
        assert all(same(net, first) for net in model.networks.values())

    def test_one_with_teachers_keeps_them(self):
        other = tiny_network('MKD', seed=4)
        with torch.no_grad():
            next(other.teacher1.parameters()).add_(1)
        model = tiny_network('MKD')
        state = other.state_dict()
        before = list(state)
        model.load_state_dict(state, strict=True)
        assert same(model, other)
        assert list(state) == before


class TestPrediction:
    @pytest.fixture(scope='class')
    def model(self):
        model = tiny_network('MKD').eval()
        with torch.no_grad():
            next(model.teacher1.parameters()).mul_(1.5)
        return model

    @pytest.mark.parametrize(
        'name', ['student1', 'student2', 'teacher1', 'teacher2', 'student1+teacher2']
    )
    def test_networks_that_are_named(self, model, name):
        inputs, samples = tiny_batch(2, (37, 51))
        model.predict_on = name
        parts = name.split('+')
        expected = [
            model.networks[part].predict(inputs, deepcopy(samples)) for part in parts
        ]
        found = model.predict(inputs, samples)
        for row, sample in enumerate(found):
            logits = [images[row].seg_logits.data for images in expected]
            if len(parts) > 1:
                prob = torch.stack([x.softmax(0) for x in logits]).mean(0)
                torch.testing.assert_close(sample.seg_logits.data.softmax(0), prob)
                logits = [prob.log()]
            torch.testing.assert_close(sample.seg_logits.data, logits[0])
            assert sample.pred_sem_seg.data.shape == (1, 37, 51)

    def test_ensemble_is_all_students(self, model):
        inputs, _ = tiny_batch(2)
        model.predict_on = 'ensemble'
        found = model.predict(inputs)
        model.predict_on = 'student1+student2'
        for first, second in zip(found, model.predict(inputs)):
            assert torch.equal(first.seg_logits.data, second.seg_logits.data)

    def test_first_student_by_default_or_semi_test_cfg(self):
        assert tiny_network('MKD').predict_on == 'student1'
        model = tiny_network('MKD', semi_test_cfg={'predict_on': 'teacher2'})
        assert model.predict_on == 'teacher2'

    def test_test_time_augmentation_averages_the_probabilities(self, model):
        inputs, samples = tiny_batch(1)
        model.predict_on = 'ensemble'
        with torch.no_grad():
            views = [model.predict(inputs, deepcopy(samples))[0] for _ in range(2)]
            (merged,) = WSSSTTAModel(module=model).merge_preds([views])
            logits = [
                net.predict(inputs, deepcopy(samples))[0].seg_logits.data
                for net in (model.student1, model.student2)
            ]
        expected = sum(x.softmax(0) for x in logits) / 2
        torch.testing.assert_close(merged.seg_logits.data, expected)

    def test_unknown_settings_are_named(self):
        message = "semi_test_cfg has no key 'predict_one'; did you mean 'predict_on'"
        with pytest.raises(KeyError, match=message.replace('?', r'\?')):
            tiny_network('MKD', semi_test_cfg={'predict_one': 'teacher1'})

    def test_unknown_networks_are_named(self, model):
        with pytest.raises(KeyError, match=r"has no \['student3'\].*teacher1"):
            model.predict_on = 'student1+student3'
        with pytest.raises(KeyError, match=r"predict_on has no \['teacher1'\]"):
            tiny_network('CPS', semi_test_cfg={'predict_on': 'teacher1'})


class TestSupervisedLoss:
    @pytest.mark.parametrize('weight', [1.0, 0.25])
    def test_equals_the_loss_of_the_plain_segmentor(self, weight):
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


class TestMasks:
    def test_probability_of_mixing(self):
        inputs = torch.zeros(400, 3, 8, 8)
        torch.manual_seed(0)
        masks = draw_masks(inputs, CutMixSettings(num_boxes=1, prob=0.25))
        mixed = (masks == 0).flatten(1).any(1).float().mean()
        assert 0.2 < mixed < 0.3
        assert draw_masks(inputs, CutMixSettings(prob=0.0)).all()
        assert draw_masks(inputs, None).all()

    def test_boxes_of_the_partner(self):
        inputs = torch.zeros(4, 3, 20, 20)
        ratios = {}
        for owner in ('own', 'partner'):
            torch.manual_seed(3)
            cutmix = CutMixSettings(1, (0.1, 0.2), box_of=owner)
            ratios[owner] = draw_masks(inputs, cutmix).mean((1, 2, 3))
        torch.testing.assert_close(ratios['own'], 1 - ratios['partner'])
        assert (ratios['own'] < 0.3).all()

    def test_depend_on_the_seed_of_the_iteration(self):
        drawn = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            drawn.append(draw_masks(torch.zeros(3, 3, 16, 16), CutMixSettings()))
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])


class TestErrors:
    def test_settings_of_cutmix_are_merged_over_the_defaults_of_the_method(self):
        def cutmix(kind, given):
            model = tiny_network(kind, semi_train_cfg={'cutmix': given})
            return model.train_cfg.cutmix

        assert cutmix('FixMatch', {'prob': 1.0}) == replace(UNIMATCH_CUTMIX, prob=1.0)
        assert cutmix('CPS', {}) == CutMixSettings()
        assert cutmix('MeanTeacherSegmentor', {'num_boxes': 2}) == CutMixSettings(2)
        assert cutmix('FixMatch', None) is None

    @pytest.mark.parametrize(
        ('method', 'settings', 'error', 'message'),
        [
            ('CPS', {'typo': 1}, KeyError, r"cfg has no key 'typo' .*'cps_weight'"),
            ('CPS', {'pseudo_thr': 0.9}, KeyError, "has no key 'pseudo_thr'"),
            ('FixMatch', {'pseudo_thr': 95}, ValueError, 'pseudo_thr must .* got 95'),
            ('FixMatch', {'pseudo_thr': -0.1}, ValueError, 'pseudo_thr must .* -0.1'),
            ('MKD', {'pseudo_thr_teacher': 95}, ValueError, 'thr_teacher must .* 95'),
            ('MKD', {'pseudo_thr_student': 1.1}, ValueError, 'student must .* got 1.1'),
            ('MKD', {'loss_scale_factor': -3}, ValueError, 'must be above 0, got -3'),
            ('MKD', {'loss_scale_factor': 0}, ValueError, 'must be above 0, got 0'),
            ('MKD', {'teacher_weight': -1.5}, ValueError, 'teacher_weight must be at'),
            ('MKD', {'student_weight': '1'}, TypeError, 'must be a number, got .1'),
            ('MKD', {'semi_on_labeled': 1}, TypeError, 'must be a boolean, got 1'),
            ('MKD', {'teacher_mode': 'sleep'}, ValueError, "'train', got 'sleep'"),
            ('MKD', {'targets_from': 'odd'}, ValueError, "'raw', got 'odd'"),
            ('MKD', {'isda': {'ratio': 1}}, KeyError, "cfg.isda has no key 'ratio'"),
            ('MKD', {'isda': {'schedule': 'x'}}, ValueError, 'isda.schedule must be'),
            ('MKD', {'isda': {'on': ('studnet1',)}}, ValueError, r'isda.on\[0\] must'),
            ('MKD', {'isda': {'on': 'student1'}}, TypeError, 'isda.on must be a seq'),
            ('MKD', {'isda': {'end_ratio': -1}}, ValueError, 'isda.end_ratio must be'),
            ('MKD', {'isda': {'max_count': 0}}, ValueError, 'isda.max_count must be'),
            ('CPS', {'cutmix': {'box_of': 'patner'}}, ValueError, "got 'patner'"),
            ('CPS', {'cutmix': {'boxes': 3}}, KeyError, "cutmix has no key 'boxes'"),
            ('CPS', {'cutmix': {'num_boxes': 0}}, ValueError, 'at least 1, got 0'),
            ('CPS', {'cutmix': {'prob': 2}}, ValueError, 'cutmix.prob must be at most'),
            ('CPS', {'cutmix': {'prop_range': (0.5, 0.25)}}, ValueError, 'must ascend'),
            (
                'CPS',
                {'cutmix': {'prop_range': (0, 0.5)}},
                ValueError,
                'must be above 0',
            ),
            ('CPS', {'cutmix': True}, TypeError, 'cfg.cutmix must be a dict, got True'),
            ('CPS', {'cps_weight': -1}, ValueError, 'cps_weight must be at least 0'),
            ('UniMatch', {'fp_dropout': 1.5}, ValueError, 'fp_dropout must .* got 1.5'),
            ('UniMatchV2', {'drop_prob': -1}, ValueError, 'drop_prob must .* got -1'),
            ('SupervisedSegmentor', {'sup_weight': -1}, ValueError, 'cfg.sup_weight'),
        ],
    )
    def test_settings_are_validated_when_built(self, method, settings, error, message):
        with pytest.raises(error, match=message) as found:
            tiny_network(method, semi_train_cfg=settings)
        assert 'semi_train_cfg' in str(found.value)

    def test_one_output_channel(self):
        head = FCN_HEAD | {'num_classes': 2, 'out_channels': 1, 'threshold': 0.5}
        with pytest.raises(ValueError, match='out_channels of the decode head'):
            tiny_network('CPS', decode_head=head)

    @pytest.mark.parametrize('method', SEMI)
    def test_missing_branches_are_named(self, method):
        model = tiny_network(method)
        model.progress = 0.5
        inputs, samples = batch_of(method)
        del inputs['sup']
        with pytest.raises(KeyError, match=f"{method} needs the branch 'sup'"):
            model.loss(inputs, samples)

    def test_a_head_without_logits(self, monkeypatch):
        model = tiny_network('CPS')
        head = model.student1.decode_head
        monkeypatch.setattr(head, 'forward', lambda feats: {'masks': feats})
        with pytest.raises(TypeError, match='FCNHead returns no map of logits'):
            model.loss(*batch_of('CPS'))


def test_an_output_is_split_into_images():
    maps = torch.arange(3.0).view(3, 1, 1, 1)
    first, rest = SegOutput([maps], [maps], maps, None).split(1, 2)
    assert first.logits.flatten().tolist() == [0]
    assert rest.feats[0].flatten().tolist() == [1, 2]
    assert rest.feat is None


class TestClassifierInput:
    """The input of ``conv_seg``, against a head that is taken apart."""

    @pytest.mark.parametrize('kind', sorted(CLASSIFIER_HEADS))
    def test_is_the_input_of_the_logits(self, kind):
        torch.manual_seed(0)
        head = MODELS.build(ConfigDict(CLASSIFIER_HEADS[kind], type=kind)).eval()
        recorder = ClassifierInput(head.conv_seg)
        recorder.start()
        logits = head([torch.randn(2, 8, 12, 12), torch.randn(2, 16, 6, 6)])
        logits = logits[0] if isinstance(logits, tuple) else logits
        feat = recorder.take()
        assert not feat.requires_grad
        torch.testing.assert_close(logits, head.conv_seg(feat))

    def test_records_only_between_start_and_take(self):
        conv = torch.nn.Conv2d(1, 1, 1)
        recorder = ClassifierInput(conv)
        conv(torch.ones(1, 1, 2, 2))
        with pytest.raises(RuntimeError, match='does not call its conv_seg'):
            recorder.take()
        recorder.start()
        conv(torch.ones(1, 1, 2, 2))
        conv(torch.zeros(1, 1, 2, 2))
        assert recorder.take().eq(0).all()
        conv(torch.ones(1, 1, 2, 2))
        with pytest.raises(RuntimeError):
            recorder.take()

    def test_of_a_copy_is_its_own(self):
        model = tiny_network('MKD')
        copy = deepcopy(model)
        inputs = batch_of('MKD')[0]['sup']
        with torch.no_grad():
            copy.student1.decode_head.convs[0].conv.weight.mul_(2)
        first = model.eval().forward_network('student1', inputs)
        second = copy.eval().forward_network('student1', inputs)
        for net, output in ((model, first), (copy, second)):
            conv_seg = net.student1.decode_head.conv_seg
            torch.testing.assert_close(output.logits, conv_seg(output.feat))
        assert not torch.equal(first.feat, second.feat)

    def test_no_hook_is_registered_by_a_step(self):
        model = tiny_network('MKD')
        model.progress = 0.5
        hooks = [dict(m._forward_pre_hooks) for m in model.modules()]
        model.loss(*batch_of('MKD'))
        assert [dict(m._forward_pre_hooks) for m in model.modules()] == hooks

    def test_does_not_break_a_compiled_graph(self):
        model = tiny_network('MKD', drop=False).eval()
        inputs = batch_of('MKD')[0]['sup']

        def outputs(img):
            output = model.forward_network('student1', img)
            return output.logits, output.feat

        compiled = torch.compile(outputs, backend='aot_eager', fullgraph=True)
        for _ in range(2):
            for found, expected in zip(compiled(inputs), outputs(inputs)):
                torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ('labels', 'expected'),
    [
        ([0, 1, 2, 255], 3.0),
        ([2, 2, 2, 255], 1.0),
        ([0, 0, 0, 1], 4 / 3**0.75),
        ([255, 255], 0.0),
        ([], 0.0),
    ],
)
def test_num_effective_classes(labels, expected):
    labels = torch.tensor(labels, dtype=torch.int64)
    found = num_effective_classes(labels.view(1, 1, -1), 3)
    assert found.item() == pytest.approx(expected)

"""The semi-supervised core, against plain mmseg segmentors."""

from copy import deepcopy

import pytest
import torch
from helpers.methods import FCN_HEAD, SEMI
from helpers.tiny import batch_of, tiny_batch, tiny_model, tiny_network
from mmengine.config import ConfigDict
from mmengine.runner import load_checkpoint

from mmseg_wsss.evaluation.wsss_tta_model import WSSSTTAModel
from mmseg_wsss.models.segmentors.semi.seg_output import (
    Dense,
    effective_classes,
    input_of,
    resized_labels,
)
from mmseg_wsss.models.segmentors.semi.unimatch import CUTMIX
from mmseg_wsss.registry import MODELS

AUXILIARY = FCN_HEAD | {'in_channels': 8, 'in_index': 0}


def plain_network(seed: int = 5, **settings) -> torch.nn.Module:
    """mmseg's segmentor that the methods are made of, with random statistics."""
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
    """A network that ends as OCRNet does."""
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
    dense = model.dense(model.students[0], inputs['sup'])
    losses = model.supervised_losses(model.students[0], dense, samples['sup'])
    expected = student.loss(inputs['sup'], samples['sup'])
    for key in ('decode_0.loss_ce', 'decode_1.loss_ce'):
        assert torch.isfinite(found[f'{prefix}.{key}'])
        weighted = model.train_cfg['sup_weight'] * expected[key]
        torch.testing.assert_close(losses[f'{prefix}.{key}'], weighted)
    logits = student.encode_decode(inputs['sup'], [{'img_shape': (33, 33)}] * 2)
    at_crop = model.at_crop_size(dense.logits, inputs['sup'])
    torch.testing.assert_close(at_crop, logits)


def test_the_branch_of_pidnet_that_predicts_is_the_one_that_learns():
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
    dense = model.decode('student1', feats, with_feat=True)
    torch.testing.assert_close(dense.logits, own.conv_seg(dense.feat))
    assert dense.logits is dense.outs[0][1]


def test_a_head_that_learns_at_points_is_refused():
    segmentor = cascade()
    point = {'type': 'PointHead', 'in_channels': [16], 'in_index': [1], 'channels': 4}
    segmentor['decode_head'][1] = point | {'num_classes': FCN_HEAD['num_classes']}
    with pytest.raises(TypeError, match='PointHead'):
        MODELS.build(ConfigDict(type='FixMatch', segmentor=segmentor))


class TestNetworks:
    def test_students_differ_and_teachers_begin_as_their_students(self):
        model = tiny_network('MKD')
        assert not same(model.student1, model.student2)
        assert same(model.teacher1, model.student1)
        assert same(model.teacher2, model.student2)

    @pytest.mark.parametrize('mode', ['eval', 'train'])
    def test_teachers_are_in_the_mode_that_is_asked_for(self, mode):
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
        """Each of two forwards moves the running mean by itself."""
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
    def test_is_that_of_the_networks_that_are_named(self, model, name):
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

    def test_first_student_by_default_or_what_semi_test_cfg_says(self):
        assert tiny_network('MKD').predict_on == 'student1'
        model = tiny_network('MKD', semi_test_cfg={'predict_on': 'teacher2'})
        assert model.predict_on == 'teacher2'

    def test_test_time_augmentation_sees_the_probabilities(self, model):
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
        with pytest.raises(KeyError, match=r"has 'predict_on' alone, .*'predict_one'"):
            tiny_network('MKD', semi_test_cfg={'predict_one': 'teacher1'})

    def test_unknown_networks_are_named(self, model):
        with pytest.raises(KeyError, match=r"knows no \['student3'\].*teacher1"):
            model.predict_on = 'student1+student3'
        with pytest.raises(KeyError, match='predict_on of CPS'):
            tiny_network('CPS', semi_test_cfg={'predict_on': 'teacher1'})


class TestSupervisedLoss:
    @pytest.mark.parametrize('weight', [1.0, 0.25])
    def test_is_that_of_the_plain_segmentor(self, weight):
        settings = {'auxiliary_head': AUXILIARY, 'drop': False}
        model = tiny_network(
            'SemiBaseSegmentor', semi_train_cfg={'sup_weight': weight}, **settings
        )
        inputs, samples = batch_of('SemiBaseSegmentor')
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
        model = tiny_network('FixMatch')
        inputs = torch.zeros(400, 3, 8, 8)
        torch.manual_seed(0)
        masks = model.draw_masks(inputs, {'num_boxes': 1, 'prob': 0.25})
        mixed = (masks == 0).flatten(1).any(1).float().mean()
        assert 0.2 < mixed < 0.3
        assert model.draw_masks(inputs, {'prob': 0.0}).all()
        assert model.draw_masks(inputs, None).all()

    def test_boxes_are_of_the_partner_where_asked(self):
        model = tiny_network('FixMatch')
        inputs = torch.zeros(4, 3, 20, 20)
        shares = {}
        for owner in ('own', 'partner'):
            torch.manual_seed(3)
            masks = model.draw_masks(
                inputs, {'num_boxes': 1, 'prop_range': (0.1, 0.2), 'box_of': owner}
            )
            shares[owner] = masks.mean((1, 2, 3))
        torch.testing.assert_close(shares['own'], 1 - shares['partner'])
        assert (shares['own'] < 0.3).all()

    def test_depend_on_the_seed_of_the_iteration(self):
        model = tiny_network('FixMatch')
        draw = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            draw.append(model.draw_masks(torch.zeros(3, 3, 16, 16), {}))
        assert torch.equal(draw[0], draw[1])
        assert not torch.equal(draw[0], draw[2])


class TestErrors:
    def test_unknown_settings_are_named(self):
        with pytest.raises(
            KeyError, match=r'semi_train_cfg of CPS has no .*typo.*cps_'
        ):
            tiny_network('CPS', semi_train_cfg={'typo': 1})

    def test_settings_of_cutmix_are_added_to_the_methods_own(self):
        model = tiny_network('FixMatch', semi_train_cfg={'cutmix': {'prob': 1.0}})
        assert model.train_cfg['cutmix'] == {**CUTMIX, 'prob': 1.0}
        assert tiny_network('CPS', semi_train_cfg={'cutmix': {}}).train_cfg['cutmix']
        off = tiny_network('FixMatch', semi_train_cfg={'cutmix': None})
        assert off.train_cfg['cutmix'] is None

    def test_unknown_teacher_mode(self):
        with pytest.raises(ValueError, match=r"teacher_mode must be .* got 'sleep'"):
            tiny_network('MKD', semi_train_cfg={'teacher_mode': 'sleep'})

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
        with pytest.raises(TypeError, match='FCNHead gives no map of logits'):
            model.loss(*batch_of('CPS'))


def test_dense_is_split_into_images():
    maps = torch.arange(3.0).view(3, 1, 1, 1)
    first, rest = Dense([maps], [maps], maps, None).split(1)
    assert first.logits.flatten().tolist() == [0]
    assert rest.feats[0].flatten().tolist() == [1, 2]
    assert rest.feat is None


def test_input_of_a_module_is_noted_while_asked_for_only():
    conv = torch.nn.Conv2d(1, 1, 1)
    maps = torch.ones(1, 1, 2, 2)
    with pytest.raises(RuntimeError), input_of(conv) as caught:
        conv(maps)
        raise RuntimeError
    conv(maps)
    assert len(caught) == 1
    assert caught[0] is maps


def test_labels_are_resized_by_nearest_neighbor():
    labels = torch.tensor([[[0, 255], [7, 1]]])
    assert torch.equal(
        resized_labels(labels, (4, 4)),
        labels.repeat_interleave(2, 1).repeat_interleave(2, 2),
    )
    assert resized_labels(labels == 255, (2, 2)).dtype == torch.bool


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
def test_effective_classes(labels, expected):
    labels = torch.tensor(labels, dtype=torch.int64)
    found = effective_classes(labels.view(1, 1, -1), 3)
    assert found.item() == pytest.approx(expected)

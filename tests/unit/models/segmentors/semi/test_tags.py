"""Image tags in semi-supervised methods: the constraint and the classifier."""

from copy import deepcopy

import pytest
import torch
from helpers.methods import FCN_HEAD, NUM_TAGS, SEMI
from helpers.tiny import batch_of, tiny_network
from mmengine.structures import LabelData, PixelData
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmseg_wsss.models.segmentors.semi.parts.tag_classifier import classification_loss
from mmseg_wsss.models.segmentors.semi.parts.tag_constraint import (
    ABSENT,
    TagConstraint,
    absent_classes,
)

CLASSIFIER = {'type': 'CAMHead', 'in_channels': 16, 'num_classes': NUM_TAGS}
HARD = {'tag_filter': {}}
CLASS_AWARE = {'tag_filter': {}, 'class_aware_ce': True}
UNLABELED_METHODS = [name for name in SEMI if name != 'SupervisedSegmentor']


def sample(tags: list[int] | None, num: int = 3, mask: list[int] | None = None):
    found = SegDataSample()
    if tags is not None:
        label = torch.zeros(num)
        label[tags] = 1
        found.gt_tags = LabelData(label=label)
    if mask is not None:
        found.gt_sem_seg = PixelData(data=torch.tensor([[mask]]))
    return found


def tagged(inputs: dict, samples: dict, tags: list[list[int] | None]) -> dict:
    """Give the unlabeled images tags."""
    result = {}
    for name, views in samples.items():
        views = deepcopy(views)
        for view, of_image in zip(views, tags):
            if name != 'sup' and of_image is not None:
                view.gt_tags = sample(of_image, NUM_TAGS).gt_tags
        result[name] = views
    return result


def training(name: str, settings: dict | None = None, **options) -> torch.nn.Module:
    cfg = dict(settings or {})
    if name in ('FixMatch', 'UniMatch', 'UniMatchV2', 'MeanTeacherSegmentor'):
        cfg['pseudo_thr'] = 0.0
    model = tiny_network(name, drop=False, semi_train_cfg=cfg, **options)
    model.progress = 0.5
    return model


class Operations(TorchDispatchMode):
    """Names of the operations that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket._qualified_op_name)
        return func(*args, **(kwargs or {}))


class TestAbsentClasses:
    def test_tags_masks_and_images_without_either(self):
        samples = [
            sample([1]),
            sample(None),
            sample([]),
            sample([1], mask=[0, 3, 255]),
            sample(None, mask=[0, 1]),
        ]
        absent = absent_classes(samples, 4)
        assert absent.tolist() == [
            [False, True, False, True],
            [False] * 4,
            [False, True, True, True],
            [False, True, False, False],  # the mask is right, whatever the tags
            [False] * 4,
        ]

    def test_without_background(self):
        absent = absent_classes([sample([0, 2]), sample([])], 3)
        assert absent.tolist() == [[False, True, False], [False] * 3]

    def test_another_number_of_classes(self):
        with pytest.raises(ValueError, match='3 tags for a network of 7 classes'):
            absent_classes([sample([0])], 7)


def test_a_filter_without_pseudo_labels_is_refused():
    with pytest.raises(ValueError, match='makes no pseudo-labels: remove semi_train'):
        training('SupervisedSegmentor', HARD)
    training('SupervisedSegmentor', CLASS_AWARE)


def test_class_aware_ce_needs_the_filter():
    with pytest.raises(ValueError, match='class_aware_ce=True needs tag_filter'):
        training('FixMatch', {'class_aware_ce': True})


@pytest.mark.parametrize('name', UNLABELED_METHODS)
def test_images_without_tags_train_as_before(name):
    inputs, samples = batch_of(name)
    for view in samples['sup']:
        del view.gt_tags
    losses = {}
    for kind, settings in {'plain': {}, 'tags': CLASS_AWARE}.items():
        torch.manual_seed(1)
        losses[kind] = training(name, settings).loss(inputs, samples)
    for key, value in losses['plain'].items():
        assert torch.equal(value, losses['tags'][key]), key


@pytest.mark.parametrize('name', UNLABELED_METHODS)
def test_pseudo_labels_have_tagged_classes(name, monkeypatch):
    """All tags of an image are removed but one: no other class has a label."""
    inputs, samples = batch_of(name)
    samples = tagged(inputs, samples, [[2], [2]])
    seen: list[Tensor] = []
    module = 'mmseg_wsss.models.segmentors.semi'
    targets = {
        'CPS': f'{module}.cps.valid_cross_entropy',
        'MKD': f'{module}.mkd.valid_cross_entropy',
    }
    target = targets.get(name, f'{module}.parts.pseudo_labels.confident_cross_entropy')
    path, function = target.rsplit('.', 1)
    original = getattr(__import__(path, fromlist=[function]), function)

    def spy(logits, label, *rest, **kwargs):
        seen.append(label[-2:])
        return original(logits, label, *rest, **kwargs)

    monkeypatch.setattr(target, spy)
    torch.manual_seed(1)
    training(name, HARD).loss(inputs, samples)
    assert seen
    for label in seen:
        assert set(label.unique().tolist()) <= {0, 3, 255}
    seen.clear()
    training(name).loss(inputs, samples)
    labels = torch.cat([label.flatten() for label in seen])
    assert not set(labels.unique().tolist()) <= {0, 3, 255}


@pytest.mark.parametrize(('thr', 'kept'), [(0.1, True), (0.4, True), (0.6, False)])
def test_confidences_of_mkd_are_among_the_tagged_classes(thr, kept):
    """Of indifferent networks: 1 / 7 among all classes, 1 / 2 among two."""
    inputs, samples = batch_of('MKD')
    settings = {'pseudo_thr_teacher': thr, 'pseudo_thr_student': thr, 'isda': None}
    model = training('MKD', HARD | settings | {'semi_on_labeled': False})
    for net in model.networks.values():
        net.decode_head.conv_seg.weight.data.zero_()
        net.decode_head.conv_seg.bias.data.zero_()
    losses = model.loss(inputs, tagged(inputs, samples, [[2], [1]]))
    assert losses['ratio_confident'] == kept
    for key in ('loss_st', 'loss_ss'):  # labels of teachers, and of students
        assert (losses[key] > 0) == kept
    untagged = model.loss(inputs, samples)
    assert (untagged['loss_st'] > 0) == (thr < 1 / 7)


@pytest.mark.parametrize('name', [name for name in UNLABELED_METHODS if name != 'MKD'])
def test_a_filter_alone_mixes_no_tags(name, monkeypatch):
    """MKD filters mixed logits; in all other methods only losses are of mixed views."""
    inputs, samples = batch_of(name)
    samples = tagged(inputs, samples, [[2], [1]])
    monkeypatch.delattr(f'{TagConstraint.__module__}.mix')
    training(name, HARD | {'cutmix': {}}).loss(inputs, samples)


@pytest.mark.parametrize('num', [1, 2])
@pytest.mark.parametrize('name', UNLABELED_METHODS)
def test_every_parameter_has_a_finite_gradient(name, num):
    """Also with one labeled and one unlabeled image."""
    inputs, samples = batch_of(name, num=num)
    samples = tagged(inputs, samples, [[2], None])
    model = training(name, CLASS_AWARE, cam_head=CLASSIFIER)
    losses = model.loss(inputs, samples)
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key
    assert model.cam_head.classifier.weight.grad.abs().sum() > 0


def losses_of(model, inputs, samples, raised: int | None = None) -> dict[str, Tensor]:
    """Losses, with the logits of a class raised in all heads of all networks."""
    model = deepcopy(model)
    if raised is not None:
        for net in model.networks.values():
            for head in (net.decode_head, net.auxiliary_head):
                head.conv_seg.bias.data[raised] += 3
    torch.manual_seed(1)
    losses = model.loss(inputs, samples)
    return {key: value for key, value in losses.items() if 'loss' in key}


AUXILIARY = FCN_HEAD | {'in_channels': 8, 'in_index': 0, 'dropout_ratio': 0.0}


@pytest.mark.parametrize('name', SEMI)
def test_losses_do_not_depend_on_absent_classes(name):
    """Those of labels and of pseudo-labels, in decode and auxiliary heads."""
    inputs, samples = batch_of(name, tags=((0,), (1,)))
    samples = tagged(inputs, samples, [[0], [1]])
    model = training(name, CLASS_AWARE, auxiliary_head=AUXILIARY)
    plain = losses_of(model, inputs, samples)
    raised = losses_of(model, inputs, samples, raised=4)
    assert raised.keys() == plain.keys()
    for key, value in plain.items():
        torch.testing.assert_close(raised[key], value, msg=lambda text, at=key: at)
    unaware = HARD if name in UNLABELED_METHODS else {}
    model = training(name, unaware, auxiliary_head=AUXILIARY)
    plain = losses_of(model, inputs, samples)
    raised = losses_of(model, inputs, samples, raised=4)
    for key, value in plain.items():
        if value != 0:
            assert not torch.isclose(raised[key], value), key


@pytest.mark.parametrize('name', UNLABELED_METHODS)
def test_pixels_from_another_image_keep_its_tags(name):
    """The second image is padding: all labels are those of pixels of the first."""
    inputs, samples = batch_of(name, tags=((0,), (0,)))
    samples = tagged(inputs, samples, [[0], [1]])
    for branch, (_, padding) in samples.items():
        if branch != 'sup':
            padding.valid_map.data[:] = False
    settings = CLASS_AWARE | {'cutmix': {}}
    model = training(name, settings, auxiliary_head=AUXILIARY)
    plain = losses_of(model, inputs, samples)
    assert sum(plain[key] for key in plain if not key.startswith('sup')) > 0
    for of_padding, same in ((2, True), (1, False)):
        raised = losses_of(model, inputs, samples, raised=of_padding)
        close = [torch.isclose(raised[key], plain[key], rtol=1e-4) for key in plain]
        assert all(close) == same, dict(zip(plain, close))


@pytest.mark.parametrize('settings', [HARD, CLASS_AWARE])
@pytest.mark.parametrize('name', UNLABELED_METHODS)
def test_a_margin_reaches_from_no_filter_to_a_hard_one(name, settings):
    inputs, samples = batch_of(name)
    samples = tagged(inputs, samples, [[2], [1]])

    def losses(settings):
        model = training(name, settings, auxiliary_head=AUXILIARY)
        return list(losses_of(model, inputs, samples).values())

    hard, soft, low, none = (
        losses(options)
        for options in (
            settings,
            settings | {'tag_filter': {'margin': -ABSENT}},
            settings | {'tag_filter': {'margin': 1e-6}},
            {},
        )
    )
    torch.testing.assert_close(soft, hard)
    torch.testing.assert_close(low, none)
    assert any(not torch.isclose(a, b) for a, b in zip(hard, none))


def test_class_aware_ce_by_hand():
    """Two pixels of FixMatch's supervised loss, with one of three classes absent."""
    name = 'FixMatch'
    inputs, samples = batch_of(name)
    for view, tags in zip(samples['sup'], ([0], [4])):
        view.gt_tags = sample(tags, NUM_TAGS).gt_tags
    model = training(name, CLASS_AWARE).eval()
    model.progress = 0.5
    output = model.forward_network('student', inputs['sup'])
    found = model.supervised_losses('student', output, samples['sup'])
    size = inputs['sup'].shape[2:]
    logits = model.networks['student'].decode_head(output.feats)
    expected = []
    for row, view in zip(logits, samples['sup']):
        gt = view.gt_sem_seg.data[0]
        kept = {0, *(view.gt_tags.label.nonzero()[:, 0] + 1).tolist()}
        kept |= {int(value) for value in gt.unique() if value != 255}
        kept = sorted(kept)
        up = torch.nn.functional.interpolate(
            row[None], size=size, mode='bilinear', align_corners=False
        )[0]
        log_prob = up[kept].log_softmax(0)
        for y in range(size[0]):
            for x in range(size[1]):
                if gt[y, x] != 255:
                    expected.append(-log_prob[kept.index(int(gt[y, x])), y, x])
    loss = torch.stack(expected).mean() * model.train_cfg.sup_weight
    torch.testing.assert_close(found['sup_student.decode.loss_ce'], loss)


def test_the_accuracy_counts_all_classes():
    inputs, samples = batch_of('FixMatch')
    for view in samples['sup']:
        view.gt_tags = sample([0], NUM_TAGS).gt_tags
    found = []
    for settings in ({}, CLASS_AWARE):
        model = training('FixMatch', settings)
        output = model.forward_network('student', inputs['sup'])
        found.append(model.supervised_losses('student', output, samples['sup']))
    plain, aware = found
    assert aware['sup_student.decode.loss_ce'] < plain['sup_student.decode.loss_ce']
    assert torch.equal(
        aware['sup_student.decode.acc_seg'], plain['sup_student.decode.acc_seg']
    )


class TestClassifier:
    def test_loss_is_a_mean_over_all_images(self):
        inputs, samples = batch_of('FixMatch')
        model = training('FixMatch', cam_head=CLASSIFIER)
        model.cam_head.dropout_ratio = 0.0
        both = tagged(inputs, samples, [[2], [1]])
        one = tagged(inputs, samples, [[2], None])
        none = tagged(inputs, samples, [None, None])
        losses = {}
        for name, batch in {'both': both, 'one': one, 'none': none}.items():
            torch.manual_seed(1)
            losses[name] = model.eval().loss(inputs, batch)['unsup_weak.loss_cls']
        feats = model.networks['student'].extract_feat(inputs['unsup_weak'])
        logits = model.cam_head(feats)
        values = [
            torch.nn.functional.binary_cross_entropy_with_logits(
                row, sample(tags, NUM_TAGS).gt_tags.label
            )
            for row, tags in zip(logits, ([2], [1]))
        ]
        torch.testing.assert_close(losses['both'], sum(values) / 2)
        torch.testing.assert_close(losses['one'], values[0] / 2)
        assert losses['none'] == 0

    def test_images_with_tags_are_chosen_without_a_copy_to_the_device(self):
        """An index tensor of a Python list would be such a copy."""
        samples = [sample(tags, NUM_TAGS) for tags in ([2], None, [1])]
        model = training('FixMatch', cam_head=CLASSIFIER)
        with Operations() as operations:
            classification_loss(model, [torch.randn(3, 16, 4, 4)], samples)
        assert 'aten::binary_cross_entropy_with_logits' in operations.names
        assert not operations.names & {'aten::index', 'aten::lift_fresh'}

    def test_masks_alone_train_it_on_the_tags_of_other_images(self):
        inputs, samples = batch_of('SupervisedSegmentor')
        model = training('SupervisedSegmentor', cam_head=CLASSIFIER)
        losses = model.loss(inputs, tagged(inputs, samples, [[2], [1]]))
        assert losses['unsup_weak.loss_cls'] > 0
        assert losses['sup_student.loss_cls'] > 0
        only = {'sup': inputs['sup']}, {'sup': samples['sup']}
        assert 'unsup_weak.loss_cls' not in model.loss(*only)

    def test_a_checkpoint_of_a_classifier_fills_backbone_and_classifier(self):
        source = tiny_network('CAM', seed=3)
        model = tiny_network('MKD', cam_head=CLASSIFIER)
        result = model.load_state_dict(source.state_dict(), strict=False)
        assert not result.unexpected_keys
        for name, value in source.state_dict().items():
            if name.startswith('cam_head.'):
                assert torch.equal(model.state_dict()[name], value)
            else:
                assert torch.equal(model.state_dict()[f'teacher2.{name}'], value)

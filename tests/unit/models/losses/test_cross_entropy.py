"""Cross entropies on pseudo-labels: loops, constants by hand, empty sets, ranks."""

import math

import pytest
import torch
from helpers import LossTester

from mmseg_wsss.models.losses import (
    balanced_cross_entropy,
    confident_cross_entropy,
    soft_cross_entropy,
    valid_cross_entropy,
)
from mmseg_wsss.registry import MODELS

CONF_THR = 0.6


def pixels(pseudo):
    """Every (n, y, x, label)."""
    for n, image in enumerate(pseudo.tolist()):
        for y, row in enumerate(image):
            for x, label in enumerate(row):
                yield n, y, x, label


def slow_nll(logits, n, y, x):
    """Negative logarithms of the class probabilities of one pixel."""
    values = logits[n, :, y, x].tolist()
    top = max(values)
    log_sum = top + math.log(math.fsum(math.exp(value - top) for value in values))
    return [log_sum - value for value in values]


def slow_mean(logits, pseudo, counts):
    values = [
        slow_nll(logits, n, y, x)[label]
        for n, y, x, label in pixels(pseudo)
        if counts(label)
    ]
    return math.fsum(values) / len(values) if values else 0.0


def slow_valid(logits, pseudo):
    return slow_mean(logits, pseudo, lambda label: label != 255)


def slow_balanced(logits, pseudo):
    background = slow_mean(logits, pseudo, lambda label: label == 0)
    foreground = slow_mean(logits, pseudo, lambda label: 0 < label < 255)
    return 0.5 * background + 0.5 * foreground


def slow_confident(logits, pseudo, conf):
    values = [
        slow_nll(logits, n, y, x)[label] if conf[n, y, x] >= CONF_THR else 0.0
        for n, y, x, label in pixels(pseudo)
        if label != 255
    ]
    return math.fsum(values) / len(values) if values else 0.0


def confident_loss(logits, pseudo, conf):
    return confident_cross_entropy(logits, pseudo, conf, CONF_THR)[0]


def slow_soft(logits, target, valid):
    values = []
    for n, y, x, inside in pixels(valid):
        if inside:
            nll = slow_nll(logits, n, y, x)
            values.append(sum(p * v for p, v in zip(target[n, :, y, x].tolist(), nll)))
    return math.fsum(values) / len(values) if values else 0.0


def draw(seed=0, classes=4, size=(5, 3)):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, classes, *size, generator=generator).double() * 2
    pseudo = torch.randint(classes + 1, (4, *size), generator=generator)
    return logits, pseudo.masked_fill(pseudo == classes, 255)


def label_cases():
    logits, pseudo = draw()
    uneven = pseudo.clone()
    uneven[0] = 255
    uneven[1, 1:] = 255
    return {
        'plain': (logits, pseudo),
        'uneven counts': (logits, uneven),
        'only background': (logits, pseudo.clamp(max=0).where(pseudo != 255, 255)),
        'only foreground': (logits, pseudo.clamp(min=1)),
        'two classes': draw(1, classes=2, size=(1, 7)),
        'large logits': (logits * 100, pseudo),
    }


class TestValidCrossEntropy(LossTester):
    loss = staticmethod(valid_cross_entropy)
    reference = staticmethod(slow_valid)
    blank = (1, 255)
    splits = ((2, 2), (1, 3))

    def inputs(self):
        return label_cases()


class TestBalancedCrossEntropy(LossTester):
    loss = staticmethod(balanced_cross_entropy)
    reference = staticmethod(slow_balanced)
    blank = (1, 255)
    splits = ((2, 2), (1, 3))

    def inputs(self):
        return label_cases()


class TestSoftCrossEntropy(LossTester):
    loss = staticmethod(soft_cross_entropy)
    reference = staticmethod(slow_soft)
    blank = (2, 0)
    splits = ((2, 2), (1, 3))

    def inputs(self):
        logits, pseudo = draw()
        target = draw(2)[0].softmax(1)
        unnormalized = target * torch.rand(4, 1, 5, 3).double()
        return {
            'plain': (logits, target, pseudo != 255),
            'sum below 1': (logits, unnormalized, pseudo != 255),
        }


class TestConfidentCrossEntropy(LossTester):
    loss = staticmethod(confident_loss)
    reference = staticmethod(slow_confident)
    blank = (1, 255)
    splits = ((2, 2), (1, 3))

    def inputs(self):
        return {
            name: (logits, pseudo, draw(3)[0][:, 0].sigmoid())
            for name, (logits, pseudo) in label_cases().items()
            if name != 'two classes'
        }


def test_share_of_confident_pixels_and_their_weight():
    # Of three valid pixels one is sure: a third of its log 4.
    logits, pseudo = torch.zeros(1, 4, 1, 4), torch.tensor([[[0, 2, 255, 3]]])
    conf = torch.tensor([[[0.5, 0.95, 1.0, 0.94]]])
    loss, share = confident_cross_entropy(logits, pseudo, conf, 0.95)
    assert loss.item() == pytest.approx(math.log(4) / 3)
    assert share.item() == pytest.approx(1 / 3)
    for empty in (torch.full_like(pseudo, 255), pseudo):
        loss, share = confident_cross_entropy(logits, empty, conf * 0, 0.5)
        assert loss == share == 0


def test_constants():
    # Uniform logits over 4 classes: log 4 a pixel, whatever the label.
    logits, pseudo = torch.zeros(1, 4, 1, 3), torch.tensor([[[0, 2, 255]]])
    assert valid_cross_entropy(logits, pseudo).item() == pytest.approx(math.log(4))
    assert balanced_cross_entropy(logits, pseudo).item() == pytest.approx(math.log(4))
    # Without foreground its half is missing.
    only_background = torch.tensor([[[0, 0, 255]]])
    half = balanced_cross_entropy(logits, only_background)
    assert half.item() == pytest.approx(math.log(4) / 2)


def test_background_and_foreground_weigh_the_same():
    # Costs: two background pixels at log 2, one foreground pixel at log 4.
    logits = torch.zeros(1, 4, 1, 3)
    logits[0, 2:, 0, :2] = -1e4
    pseudo = torch.tensor([[[0, 1, 0]]])
    logits[0, :, 0, 2] = logits[0, :, 0, 0]
    logits[0, :, 0, 1] = 0
    expected = 0.5 * math.log(2) + 0.5 * math.log(4)
    assert balanced_cross_entropy(logits, pseudo).item() == pytest.approx(expected)


def test_one_hot_target_is_the_hard_label():
    logits, pseudo = draw()
    valid = pseudo != 255
    target = torch.nn.functional.one_hot(pseudo.where(valid, 0), 4)
    soft = soft_cross_entropy(logits, target.permute(0, 3, 1, 2).double(), valid)
    torch.testing.assert_close(soft, valid_cross_entropy(logits, pseudo))


def test_target_gets_no_gradient():
    logits, target = draw()[0], draw(1)[0].softmax(1).requires_grad_()
    loss = soft_cross_entropy(logits.requires_grad_(), target)
    loss.backward()
    assert target.grad is None
    assert logits.grad.abs().sum() > 0


def test_ignored_pixels_get_no_gradient():
    logits, pseudo = draw()
    logits.requires_grad_()
    balanced_cross_entropy(logits, pseudo).backward()
    grad = logits.grad.abs().sum(1)
    assert (grad[pseudo == 255] == 0).all()
    assert (grad[pseudo != 255] > 0).all()


@pytest.mark.parametrize('ignore_index', [-1, 3, 100])
def test_another_ignore_index(ignore_index):
    logits, pseudo = draw(classes=3)
    other = pseudo.masked_fill(pseudo == 255, ignore_index)
    for loss in (valid_cross_entropy, balanced_cross_entropy):
        torch.testing.assert_close(
            loss(logits, other, ignore_index), loss(logits, pseudo)
        )


@pytest.mark.parametrize('name', ['BalancedCrossEntropyLoss', 'ValidCrossEntropyLoss'])
def test_modules_weigh_the_functions(name):
    logits, pseudo = draw()
    module = MODELS.build({'type': name, 'loss_weight': 2.0})
    function = valid_cross_entropy if 'Valid' in name else balanced_cross_entropy
    pseudo = pseudo.clamp(max=3)
    expected = 2 * function(logits, pseudo, ignore_index=3)
    torch.testing.assert_close(module(logits, pseudo, ignore_index=3), expected)


@pytest.mark.parametrize('name', ['BalancedCrossEntropyLoss', 'ValidCrossEntropyLoss'])
def test_losses_train_a_head_of_mmseg(name):
    from mmengine.structures import PixelData
    from mmseg.models.decode_heads import FCNHead
    from mmseg.structures import SegDataSample

    head = FCNHead(
        in_channels=2,
        channels=2,
        num_classes=3,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0,
        loss_decode={'type': name},
    )
    label = torch.tensor([[[0, 1], [2, 255]]])
    sample = SegDataSample(gt_sem_seg=PixelData(data=label))
    feat = torch.rand(1, 2, 2, 2)
    losses = head.loss([feat], [sample], None)
    function = valid_cross_entropy if 'Valid' in name else balanced_cross_entropy
    torch.testing.assert_close(losses['loss_ce'], function(head([feat]), label))


@pytest.mark.parametrize('name', ['BalancedCrossEntropyLoss', 'ValidCrossEntropyLoss'])
def test_losses_refuse_pixel_weights(name):
    module = MODELS.build({'type': name})
    logits, pseudo = draw()
    with pytest.raises(ValueError, match='takes no pixel weights'):
        module(logits, pseudo, weight=torch.ones(4, 5, 3))


@pytest.mark.parametrize('loss', [valid_cross_entropy, balanced_cross_entropy])
def test_sizes_must_agree(loss):
    logits, pseudo = draw()
    with pytest.raises(ValueError, match=r'\(4, 4, 5, 3\) and \(4, 5, 2\)'):
        loss(logits, pseudo[:, :, :2])


def test_sizes_of_soft_targets_must_agree():
    logits, pseudo = draw()
    with pytest.raises(ValueError, match=r'\(4, 4, 5, 3\), got \(4, 3, 5, 3\)'):
        soft_cross_entropy(logits, logits[:, :3])
    with pytest.raises(ValueError, match=r'and \(4, 2, 3\)'):
        soft_cross_entropy(logits, logits.softmax(1), pseudo[:, :2] == 0)

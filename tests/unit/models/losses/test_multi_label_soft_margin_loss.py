import math

import pytest
import torch
from helpers import LossTester

from mmseg_wsss.models.losses import multilabel_soft_margin
from mmseg_wsss.registry import MODELS


def slow(logits, tags):
    values = []
    for row, tag_row in zip(logits.tolist(), tags.tolist()):
        for v, y in zip(row, tag_row):
            values.append(math.log1p(math.exp(-v if y else v)))
    return math.fsum(values) / len(values)


class TestMultiLabelSoftMargin(LossTester):
    loss = staticmethod(multilabel_soft_margin)
    reference = staticmethod(slow)

    def inputs(self):
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(4, 5, generator=generator).double() * 3
        tags = torch.randint(2, (4, 5), generator=generator)
        no_tag = tags.clone()
        no_tag[1] = 0
        return {
            'integer tags': (logits, tags),
            'an image without tags': (logits, no_tag.double()),
            'one class': (logits[:, :1], tags[:, :1]),
        }


def test_constant():
    # log 2 for each undecided class; logits far on the right side cost nothing.
    logits = torch.tensor([[0.0, 0.0, 200.0, -200.0]])
    tags = torch.tensor([[1, 0, 1, 0]])
    expected = math.log(2) / 2
    assert multilabel_soft_margin(logits, tags).item() == pytest.approx(expected)
    # Far on the wrong side the cost is the logit, without overflow.
    assert multilabel_soft_margin(logits, 1 - tags).item() == pytest.approx(
        (2 * math.log(2) + 400) / 4
    )


def test_equals_the_loss_of_torch():
    logits, tags = torch.randn(3, 4), torch.randint(2, (3, 4))
    torch.testing.assert_close(
        multilabel_soft_margin(logits, tags),
        torch.nn.functional.multilabel_soft_margin_loss(logits, tags),
    )


def test_module_weighs_the_function():
    logits, tags = torch.randn(3, 4), torch.randint(2, (3, 4))
    module = MODELS.build({'type': 'MultiLabelSoftMarginLoss', 'loss_weight': 0.5})
    torch.testing.assert_close(
        module(logits, tags), 0.5 * multilabel_soft_margin(logits, tags)
    )


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r'logits \(2, 3\), got \(2, 1\)'):
        multilabel_soft_margin(torch.zeros(2, 3), torch.zeros(2, 1))

"""The fused prediction of several heads."""

import pytest
import torch

from mmseg_wsss.models.decode_heads import fuse_probabilities


@pytest.mark.parametrize(('mode', 'expected'), [('max', 0.75), ('mean', 0.625)])
def test_fused_probabilities(mode, expected):
    logits = [torch.tensor([ratio, 1.0]).log().view(1, 2, 1, 1) for ratio in (1, 3)]
    assert fuse_probabilities(logits, mode)[0, 0].item() == pytest.approx(expected)


def test_an_unknown_mode():
    with pytest.raises(ValueError, match=r"mode must be one of .*got 'avg'"):
        fuse_probabilities([torch.zeros(1, 2, 1, 1)] * 2, 'avg')

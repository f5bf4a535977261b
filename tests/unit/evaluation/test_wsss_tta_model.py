"""WSSSTTAModel: how the views of an image are merged."""

from copy import deepcopy

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image
from torch import nn

from mmseg_wsss.evaluation import WSSSTTAModel


class Plain(nn.Module):
    data_preprocessor = None

    def test_step(self, data):
        raise NotImplementedError


def view(size: tuple[int, int], logits: torch.Tensor) -> SegDataSample:
    sample = SegDataSample(metainfo={'img_shape': size, 'img_path': 'none.png'})
    sample.seg_logits = PixelData(data=logits)
    return sample


@pytest.fixture
def views():
    """Two scales, each with a flipped copy, of an image of 2 x 3 pixels."""
    rng = torch.Generator().manual_seed(0)
    sizes = [(8, 12), (8, 12), (4, 6), (4, 6)]
    return [view(size, 3 * torch.randn(3, 2, 3, generator=rng)) for size in sizes]


def test_mean_of_probabilities(views):
    expected = sum(v.seg_logits.data.softmax(0) for v in views) / 4
    (result,) = WSSSTTAModel(Plain()).merge_preds([views])
    torch.testing.assert_close(result.seg_logits.data, expected)
    assert torch.equal(result.pred_sem_seg.data[0], expected.argmax(0))


def test_maximum_over_scales_of_the_mean_over_mirror_images(views):
    a, b, c, d = (v.seg_logits.data.clone() for v in views)
    order = [views[0], views[2], views[1], views[3]]  # any order of the views
    (result,) = WSSSTTAModel(Plain(), merge='max').merge_preds([order])
    expected = torch.maximum((a + b) / 2, (c + d) / 2).softmax(0)
    torch.testing.assert_close(result.seg_logits.data, expected)


def test_by_hand():
    logits = [torch.tensor(v).view(2, 1, 1) for v in ([2.0, 0.0], [0.0, 3.0])]
    views = [view((n + 1, 1), item) for n, item in enumerate(logits)]
    (result,) = WSSSTTAModel(Plain(), merge='max').merge_preds([views])
    expected = torch.tensor([2.0, 3.0]).softmax(0)
    torch.testing.assert_close(result.seg_logits.data.flatten(), expected)


def test_crf_refines_the_merged_probabilities(views, tmp_path):
    """Its guide is the image on disk in RGB, its result is what is predicted."""
    path = tmp_path / 'image.png'
    Image.new('RGB', (3, 2), (10, 20, 30)).save(path)
    for sample in views:
        sample.set_metainfo({'img_path': str(path)})
    guides = []

    def swap(guide: torch.Tensor, prob: torch.Tensor) -> torch.Tensor:
        guides.append(guide)
        return prob.flip(1)

    (plain,) = WSSSTTAModel(Plain()).merge_preds([deepcopy(views)])
    model = WSSSTTAModel(Plain())
    model.crf = swap
    (result,) = model.merge_preds([views])
    assert guides[0].shape == (1, 3, 2, 3)
    assert guides[0][0, :, 1, 2].tolist() == [10, 20, 30]
    expected = plain.seg_logits.data.flip(0)
    assert torch.equal(result.seg_logits.data, expected)
    assert torch.equal(result.pred_sem_seg.data[0], expected.argmax(0))


def test_unknown_merge():
    with pytest.raises(ValueError, match=r"merge must be .* got 'sum'"):
        WSSSTTAModel(Plain(), merge='sum')

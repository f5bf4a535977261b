import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmseg_wsss.models.utils import valid_maps


def test_maps_of_samples_that_are_smaller_than_the_batch():
    inside = torch.tensor([[[True, False], [True, True]]])
    samples = [
        SegDataSample(valid_map=PixelData(data=inside)),
        SegDataSample(metainfo={'img_shape': (1, 3)}),
        SegDataSample(),
    ]
    valid = valid_maps(samples, torch.zeros(3, 3, 3, 4))
    assert valid.dtype == torch.bool
    assert valid.sum((1, 2)).tolist() == [3, 3, 12]
    assert valid[0, :2, :2].equal(inside[0])
    assert valid[1, 0].tolist() == [True, True, True, False]

import pytest
import torch

from mmseg_wsss.models.utils import channel_argmax


@pytest.mark.parametrize('order', [torch.contiguous_format, torch.channels_last])
def test_same_as_argmax_also_where_channels_are_equal(order):
    maps = torch.randint(3, (2, 5, 20, 30)).float().contiguous(memory_format=order)
    assert (maps == maps.amax(1, keepdim=True)).sum() > 2 * 20 * 30  # some are equal
    assert torch.equal(channel_argmax(maps), maps.argmax(1))


def test_other_dimensions_and_no_graph():
    maps = torch.rand(2, 3, 4, 5, 6, requires_grad=True)
    index = channel_argmax(maps, 2)
    assert torch.equal(index, maps.argmax(2))
    assert index.dtype == torch.int64
    assert not index.requires_grad

import pytest
import torch

from mmseg_wsss.models.utils import CutMixSettings, draw_masks, opaque


@opaque(lambda maps, factor: maps.new_empty(maps.shape))
def transposed_twice(maps: torch.Tensor, factor: float) -> torch.Tensor:
    """What no graph can hold, with a result that is not contiguous."""
    return torch.from_numpy(maps.numpy() * factor).t().contiguous().t()


def test_is_part_of_a_graph():
    compiled = torch.compile(transposed_twice, backend='aot_eager', fullgraph=True)
    maps = torch.rand(3, 4)
    found = compiled(maps, 2.0)
    assert torch.equal(found, maps * 2) and found.is_contiguous()
    assert not transposed_twice(maps, 2.0).is_contiguous()


@pytest.mark.parametrize('prob', [1.0, 0.5])
def test_compiled_masks_are_those_of_the_seed(prob):
    """Two draws of one graph differ, and the graph holds none of them."""
    cutmix = CutMixSettings(prob=prob, box_of='partner')

    def draw(first, second):
        return draw_masks(first, cutmix), draw_masks(second, cutmix)

    torch.compiler.reset()
    compiled = torch.compile(draw, backend='aot_eager', fullgraph=True)
    img = torch.zeros(5, 3, 12, 10)
    for seed in (1, 2):
        torch.manual_seed(seed)
        expected = draw(img, img)
        torch.manual_seed(seed)
        found = compiled(img, img)
        assert not torch.equal(found[0], found[1])
        assert all(map(torch.equal, found, expected))

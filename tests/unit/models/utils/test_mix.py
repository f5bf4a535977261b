import math

import pytest
import torch
import torch.nn.functional as F

from mmseg_wsss.models.utils import CutMixSettings, cutmix_masks, draw_masks, mix


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slow_masks(num, height, width, num_boxes, low, high, generator):
    """The recipe pixel by pixel, from the same draws."""
    draws = torch.rand(4, num, num_boxes, 1, generator=generator)
    masks = torch.zeros(num, 1, height, width)
    for i in range(num):
        for b in range(num_boxes):
            p = low + (high - low) * draws[0, i, b, 0].item()
            rel_height = p ** draws[1, i, b, 0].item()
            rows = round(height * rel_height / math.sqrt(num_boxes))
            columns = round(width * p / rel_height / math.sqrt(num_boxes))
            top = int(draws[2, i, b, 0].item() * (height - rows + 1))
            left = int(draws[3, i, b, 0].item() * (width - columns + 1))
            for y in range(top, top + rows):
                for x in range(left, left + columns):
                    masks[i, 0, y, x] = 1 - masks[i, 0, y, x]
    return masks


class TestCutMixMasks:
    @pytest.mark.parametrize('boxes', [1, 3])
    def test_recipe(self, boxes):
        masks = cutmix_masks(6, 41, 53, boxes, (0.1, 0.6), generator=seeded())
        expected = slow_masks(6, 41, 53, boxes, 0.1, 0.6, seeded())
        assert masks.shape == (6, 1, 41, 53) and masks.dtype == torch.float32
        assert masks.equal(expected)

    def test_ratio_of_own_pixels(self):
        """Mean about 0.25, 5 to 95 % of the masks between about 0.14 and 0.37."""
        ratio = cutmix_masks(4000, 64, 64, generator=seeded()).mean((1, 2, 3))
        assert ratio.mean().item() == pytest.approx(0.25, abs=0.01)
        ends = ratio.quantile(torch.tensor([0.05, 0.95]))
        assert ends.tolist() == pytest.approx([0.14, 0.37], abs=0.015)

    def test_overlaps_are_flipped_back(self):
        """Three boxes of the largest possible area must overlap."""
        masks = cutmix_masks(200, 32, 32, 3, (1.0, 1.0), generator=seeded())
        area = round(32 * 3**-0.5) ** 2
        assert (masks.sum((1, 2, 3)) < 3 * area).all()
        parity = masks.sum((1, 2, 3)).long() % 2
        assert (parity == 3 * area % 2).all()

    def test_every_position_is_reached(self):
        masks = cutmix_masks(3000, 5, 5, 1, (0.25, 0.25), generator=seeded())
        assert (masks.mean(0) > 0.05).all()
        assert masks.mean(0)[0, 2, 2] == masks.mean(0).max()

    def test_global_generator_is_left_alone(self):
        state = torch.get_rng_state()
        cutmix_masks(2, 16, 16, generator=seeded())
        cutmix_masks(2, 16, 16)
        assert torch.get_rng_state().equal(state)

    def test_without_generator_calls_differ(self):
        assert not cutmix_masks(4, 64, 64).equal(cutmix_masks(4, 64, 64))

    def test_generator_advances(self):
        generator = seeded()
        first = cutmix_masks(2, 32, 32, generator=generator)
        assert not cutmix_masks(2, 32, 32, generator=generator).equal(first)
        assert cutmix_masks(2, 32, 32, generator=seeded()).equal(first)

    @pytest.mark.parametrize('size', [(1, 1), (1, 7), (3, 2)])
    def test_tiny(self, size):
        masks = cutmix_masks(50, *size, generator=seeded())
        assert masks.shape == (50, 1, *size)
        assert ((masks == 0) | (masks == 1)).all()

    @pytest.mark.parametrize('args', [(0, 4, 4), (1, 0, 4), (1, 4, 4, 0)])
    def test_bad_sizes(self, args):
        with pytest.raises(ValueError, match='at least 1'):
            cutmix_masks(*args)

    @pytest.mark.parametrize('prop_range', [(0, 0.5), (0.5, 0.25), (0.5, 1.1)])
    def test_bad_range(self, prop_range):
        with pytest.raises(ValueError, match='prop_range'):
            cutmix_masks(1, 4, 4, prop_range=prop_range)


class TestMix:
    def test_literal(self):
        img = torch.rand(3, 2, 6, 8)
        mask = cutmix_masks(3, 6, 8, generator=seeded(1))
        mixed = mix(img, mask)
        for i in range(3):
            other = img[(i + 1) % 3]
            assert mixed[i].equal(mask[i] * img[i] + (1 - mask[i]) * other)

    @pytest.mark.parametrize(
        'dtype', [torch.int64, torch.uint8, torch.bool, torch.float64, torch.bfloat16]
    )
    @pytest.mark.parametrize('channels', [(), (2,)])
    def test_types_are_kept(self, dtype, channels):
        maps = (torch.rand(2, *channels, 4, 4) * 300).to(dtype)
        mask = torch.zeros(2, 1, 4, 4)
        mask[0, :, :2] = 1
        mixed = mix(maps, mask)
        assert mixed.dtype == dtype
        assert mixed[0, ..., :2, :].equal(maps[0, ..., :2, :])
        assert mixed[0, ..., 2:, :].equal(maps[1, ..., 2:, :])
        assert mixed[1].equal(maps[0])

    def test_one_mask_for_every_resolution(self):
        """Images, labels, valid maps, logits and features are mixed alike."""
        mask = cutmix_masks(4, 16, 24, generator=seeded(2))
        owner = torch.arange(4.0).view(4, 1, 1, 1)
        full = mix(owner.expand(4, 3, 16, 24), mask)
        assert mix(owner[:, 0].expand(4, 16, 24).long(), mask).equal(full[:, 0].long())
        small = mix(owner.expand(4, 5, 8, 6), mask)
        assert small[:, :1].equal(F.interpolate(full[:, :1], (8, 6), mode='nearest'))
        large = mix(owner.expand(4, 1, 32, 48), mask)
        assert large.equal(F.interpolate(full[:, :1], (32, 48), mode='nearest'))

    def test_batch_of_one_stays(self):
        img = torch.rand(1, 3, 5, 5)
        assert mix(img, cutmix_masks(1, 5, 5, generator=seeded())).equal(img)

    def test_values_that_are_not_finite_stay_at_their_pixels(self):
        logits = torch.zeros(2, 1, 2, 2)
        logits[0, 0, 0, 0] = -torch.inf
        logits[1, 0, 1, 1] = torch.nan
        mixed = mix(logits, torch.ones(2, 1, 2, 2) * torch.tensor([1.0, 0.0]))
        assert mixed[0].isfinite().sum() == 2 and mixed[1].isfinite().all()

    def test_gradient_goes_to_the_source(self):
        img = torch.rand(2, 1, 2, 2, requires_grad=True)
        mask = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
        mix(img, mask)[0].sum().backward()
        assert img.grad[0].eq(1).all() and img.grad[1].eq(0).all()

    @pytest.mark.parametrize(
        'maps, mask',
        [
            (torch.zeros(2, 4), torch.zeros(2, 1, 4, 4)),
            (torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)),
            (torch.zeros(2, 4, 4), torch.zeros(1, 1, 4, 4)),
        ],
    )
    def test_bad_shapes(self, maps, mask):
        with pytest.raises(ValueError, match='expected maps'):
            mix(maps, mask)


class TestDrawMasks:
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

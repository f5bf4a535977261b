"""LocalAffinityRefiner against its formula (AFA, TSCD), pixel by pixel."""

import copy
import math
import pickle

import pytest
import torch
import torch.nn.functional as F

from mmseg_wsss.models.refiners import LocalAffinityRefiner
from mmseg_wsss.models.refiners import local_affinity_refiner as module
from mmseg_wsss.registry import MODELS

DILATIONS = (1, 2, 4, 8, 12, 24)


def offsets_of(dilations):
    steps = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]
    return [(d * y, d * x) for d in dilations for y, x in steps]


def shift(maps, y, x):
    """Values at p + (y, x), coordinates clamped to the image."""
    rows = (torch.arange(maps.shape[-2]) + y).clamp(0, maps.shape[-2] - 1)
    columns = (torch.arange(maps.shape[-1]) + x).clamp(0, maps.shape[-1] - 1)
    return maps[..., rows[:, None], columns]


def slow_weights(img, kind, dilations=DILATIONS):
    """W (N, k, H, W) in float64, term by term as the formula has them.

    Kind ``'both'`` is PAR with the variation term of VARM.
    """
    img = img.double()
    offsets = offsets_of(dilations)
    w1 = 0.25 if kind == 'varm' else 0.3
    stack = torch.stack([shift(img, y, x) for y, x in offsets])
    std = stack.std(0, unbiased=True)
    logits = -((((stack - img).abs() / (std + 1e-8)) / w1) ** 2).mean(2)
    weights = logits.softmax(0)
    if kind != 'varm':
        r = torch.tensor([math.hypot(y, x) for y, x in offsets], dtype=torch.float64)
        term = (-((r / (r.std(unbiased=True) + 1e-8) / 0.3) ** 2)).softmax(0)
        weights = weights + 0.01 * term[:, None, None, None]
    if kind != 'par':
        down = torch.zeros_like(stack)
        down[..., :-1, :] = stack[..., :-1, :] - stack[..., 1:, :]
        right = torch.zeros_like(stack)
        right[..., :-1] = stack[..., :-1] - stack[..., 1:]
        term = (down**2 + right**2).mean(2).softmax(0)
        weights = weights - 0.01 * term
    return weights.transpose(0, 1)


def slow_refine(img, mask, kind, num_iters=10, dilations=DILATIONS):
    mask = F.interpolate(
        mask.double(), img.shape[-2:], mode='bilinear', align_corners=True
    )
    weights = slow_weights(img, kind, dilations)
    for _ in range(num_iters):
        new = torch.zeros_like(mask)
        for k, (y, x) in enumerate(offsets_of(dilations)):
            new += weights[:, k : k + 1] * shift(mask, y, x)
        mask = new
    return mask


def images(seed=0, num=2, height=37, width=45):
    """Noise, a flat block, flat with one odd pixel, one flat channel, saturated."""
    generator = torch.Generator().manual_seed(seed)
    img = torch.rand(num, 3, height, width, generator=generator)
    img = (img * 255).round() / 255
    img[0, :, 4:20, 6:30] = 0.3
    img[0, :, 10, 12] = 0.9
    img[0, 1] = 0.5
    img[-1, :, :, 30:] = 1.0
    mask = torch.rand(num, 4, height, width, generator=generator)
    return img, mask


def odd_pixel():
    """Faint noise with one pixel that stands out in two channels."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.randint(-2, 3, (1, 3, 31, 33), generator=generator)
    img = 0.5 + noise * 2.0**-12
    img[0, :2, 15, 16] = 1.0
    return img, torch.rand(1, 2, 31, 33, generator=generator)


def largest_error(refined, expected):
    return (refined.double() - expected).abs().max()


@pytest.mark.parametrize('kind', ['par', 'varm'])
class TestFormula:
    def test_everywhere(self, kind):
        img, mask = images()
        refined = LocalAffinityRefiner(kind)(img, mask)
        assert refined.dtype == torch.float32
        assert largest_error(refined, slow_refine(img, mask, kind)) < 5e-6

    def test_in_float64(self, kind):
        img, mask = (x.double() for x in images(num=1))
        refined = LocalAffinityRefiner(kind)(img, mask)
        assert largest_error(refined, slow_refine(img, mask, kind)) < 1e-12

    def test_taller_than_bands_and_reach(self, kind, monkeypatch):
        """Bands of rows in the middle of the image see beyond their own rows."""
        monkeypatch.setattr(module, '_BAND', 16 * 31)
        img, mask = (x.double() for x in images(num=1, height=101, width=31))
        refined = LocalAffinityRefiner(kind)(img, mask)
        assert largest_error(refined, slow_refine(img, mask, kind)) < 1e-12

    def test_flat_regions_that_were_resized(self, kind):
        """They differ by rounding errors, as their standard deviation does."""
        side = 75
        img = torch.full((1, 3, side, side), 0.3)
        img[..., side // 4 : side // 2, side // 5 :] = 0.7
        img[:, 1, side // 2 :] = 0.51
        img = F.interpolate(img, (side // 2, side // 2), mode='bilinear')
        assert len(img[0, 0, : side // 9].unique()) > 2
        mask = images(num=1, height=side // 2, width=side // 2)[1]
        refined = LocalAffinityRefiner(kind)(img, mask)
        assert largest_error(refined, slow_refine(img, mask, kind)) < 1e-5

    @pytest.mark.parametrize('size', [(1, 1), (1, 9), (7, 1), (2, 3), (23, 5)])
    def test_images_smaller_than_the_largest_dilation(self, kind, size):
        img, mask = (x[..., : size[0], : size[1]] for x in images(seed=1))
        refined = LocalAffinityRefiner(kind)(img, mask)
        assert largest_error(refined, slow_refine(img, mask, kind)) < 5e-6

    def test_pixel_by_pixel(self, kind):
        """The reference itself, against loops over pixels and neighbors."""
        img, mask = (x[:1, ..., :4, :5].double() for x in images(seed=2))
        weights = slow_weights(img, kind)[0]
        expected = torch.zeros(4, 4, 5, dtype=torch.float64)
        for y in range(4):
            for x in range(5):
                for k, (dy, dx) in enumerate(offsets_of(DILATIONS)):
                    row = min(max(y + dy, 0), 3)
                    column = min(max(x + dx, 0), 4)
                    expected[:, y, x] += weights[k, y, x] * mask[0, :, row, column]
        refined = LocalAffinityRefiner(kind, num_iters=1)(img, mask)
        assert largest_error(refined[0], expected) < 1e-12

    def test_mask_of_another_size(self, kind):
        img, mask = images()
        mask = mask[..., ::3, ::2]
        refined = LocalAffinityRefiner(kind, num_iters=3)(img, mask)
        assert refined.shape == (2, 4, 37, 45)
        assert largest_error(refined, slow_refine(img, mask, kind, 3)) < 5e-6

    def test_odd_pixel_in_nearly_flat_surroundings(self, kind):
        """Squares of up to 1e8, of which single precision knows no fractions."""
        img, mask = odd_pixel()
        refined = LocalAffinityRefiner(kind, num_iters=1)(img, mask)
        assert largest_error(refined, slow_refine(img, mask, kind, 1)) < 2e-5

    def test_odd_pixel_in_a_flat_channel(self, kind):
        """A channel in which all neighbors agree decides nothing (squares of 1e17)."""
        img, mask = odd_pixel()
        img[0, 0] = 0.25
        plain = img.clone()
        img[0, 0, 15, 16] = 1.0
        refine = LocalAffinityRefiner(kind, num_iters=1, var_weight=0)
        refined, expected = refine(img, mask), refine(plain, mask)
        assert refined[..., 15, 16].equal(expected[..., 15, 16])

    def test_flat_image_averages_the_neighbors(self, kind):
        img = torch.full((1, 3, 9, 9), 0.3)
        mask = torch.zeros(1, 1, 9, 9)
        mask[..., 4, 4] = 1
        refined = LocalAffinityRefiner(kind, (1,), num_iters=1)(img, mask)[0, 0]
        # PAR's position term is 1/4 at distance 1 and e-99 at sqrt(2); VARM's is 1/8
        near, far = (0.1275, 0.125) if kind == 'par' else (0.12375, 0.12375)
        assert refined[4, 4] == 0
        assert refined[3, 4].item() == pytest.approx(near, rel=1e-6)
        assert refined[3, 3].item() == pytest.approx(far, rel=1e-6)
        assert (refined > 0).sum() == 8

    def test_sum_of_the_weights(self, kind):
        """A constant map is scaled by 1.01 (PAR) or 0.99 (VARM) in each iteration."""
        img, _ = images()
        refined = LocalAffinityRefiner(kind)(img, torch.ones(2, 1, 37, 45))
        total = 1.01 if kind == 'par' else 0.99
        torch.testing.assert_close(refined, torch.full_like(refined, total**10))

    def test_options_of_the_weights(self, kind):
        """Without the second term and with PAR's bandwidth both kinds are RML's."""
        img, mask = images()
        refine = LocalAffinityRefiner(kind, bandwidth=0.3, pos_weight=0, var_weight=0)
        ones = refine(img, torch.ones(2, 1, 37, 45))
        torch.testing.assert_close(ones, torch.ones_like(ones))
        other = LocalAffinityRefiner('par', pos_weight=0)
        assert refine(img, mask).equal(other(img, mask))

    def test_batch_and_channels_do_not_mix(self, kind):
        """Stacked thresholds and images give the bits of separate calls."""
        img, mask = images(num=3)
        refine = LocalAffinityRefiner(kind)
        stacked = refine(img, mask)
        for i in range(3):
            one = slice(i, i + 1)
            for part in (slice(0, 1), slice(1, 4)):
                alone = refine(img[one], mask[one, part])
                assert alone.equal(stacked[one, part])

    def test_empty_maps_of_padded_classes(self, kind):
        """Maps of zeros stay so, beside others and alone in an image."""
        img, mask = images(num=3)
        mask[0, 1:3] = 0
        mask[1] = 0
        refined = LocalAffinityRefiner(kind)(img, mask)
        assert largest_error(refined, slow_refine(img, mask, kind)) < 5e-6
        assert not refined[0, 1:3].any()
        assert not refined[1].any()

    @pytest.mark.parametrize('vectorized', [False, True])
    def test_images_of_several_sizes(self, kind, vectorized):
        """On a CPU one by one, elsewhere all at once by clamped indices."""
        img, mask = images(num=3)
        sizes = torch.tensor([(37, 45), (9, 45), (30, 2)])
        refine = LocalAffinityRefiner(kind, num_iters=3)
        if vectorized:
            steps = module.affinity_weights_, module.neighbor_sum
            refined = refine._iterate(img, mask, *steps, sizes)
        else:
            refined = refine(img, mask, sizes)
        for i, (height, width) in enumerate(sizes.tolist()):
            part = slice(i, i + 1), slice(None), slice(height), slice(width)
            expected = slow_refine(img[part], mask[part], kind, 3)
            assert largest_error(refined[part], expected) < 5e-6

    def test_map_that_is_not_finite_shows(self, kind):
        img, mask = images()
        mask[0, 2, 7, 9] = torch.nan
        refined = LocalAffinityRefiner(kind)(img, mask)
        assert refined[0, 2].isnan().any()
        assert refined[0, :2].isfinite().all()

    def test_graph_as_a_compiler_sees_it(self, kind, monkeypatch):
        """The compiled functions' own path, traced whole, without code generation."""

        def traced(function):
            return torch.compile(function, backend='aot_eager', fullgraph=True)

        monkeypatch.setattr(module, '_compiled', traced)
        img, mask = images()
        compiled = LocalAffinityRefiner(kind, (1, 5), backend='compile')
        eager = LocalAffinityRefiner(kind, (1, 5), backend='eager')
        torch.testing.assert_close(compiled(img, mask), eager(img, mask))


@pytest.mark.integration  # the C++ compiler takes longer than all other tests here
@pytest.mark.skipif(not module._has_compiler('cpu'), reason='no C++ compiler')
def test_compiled_equals_the_formula(monkeypatch):
    """All terms, also in the middle of images that are taller than bands and reach."""
    monkeypatch.setattr(module, '_BAND', 16 * 31)
    img, mask = images(num=1, height=101, width=31)
    refine = LocalAffinityRefiner('par', (2, 24), var_weight=0.01, backend='compile')
    expected = slow_refine(img, mask, 'both', dilations=(2, 24))
    assert largest_error(refine(img, mask), expected) < 5e-6


def test_no_graph_and_inputs_untouched():
    img, mask = images()
    before = img.clone(), mask.clone()
    mask.requires_grad_()
    refined = LocalAffinityRefiner()(img, mask)
    assert not refined.requires_grad
    assert img.equal(before[0]) and mask.equal(before[1])
    untouched = LocalAffinityRefiner(num_iters=0)(img, before[1])
    assert untouched.equal(mask) and untouched is not before[1]


def test_half_precision_inputs_and_autocast():
    img, mask = (x.bfloat16() for x in images())
    refine = LocalAffinityRefiner('varm')
    expected = refine(img.float(), mask.float())
    with torch.autocast('cpu', torch.bfloat16):
        refined = refine(img, mask)
    assert refined.dtype == torch.float32
    assert refined.equal(expected)


def test_nothing_to_refine():
    img, mask = images()
    assert LocalAffinityRefiner()(img, mask[:, :0, ::2]).shape == (2, 0, 37, 45)


class TestBackend:
    def test_small_calls_stay_eager(self, monkeypatch):
        def fail(function):
            raise AssertionError('compiled')

        monkeypatch.setattr(module, '_compiled', fail)
        img, mask = images()
        LocalAffinityRefiner()(img, mask)
        with pytest.raises(AssertionError, match='compiled'):
            LocalAffinityRefiner(backend='compile')(img, mask)

    def test_auto_compiles_large_calls_where_there_is_a_compiler(self, monkeypatch):
        compiled = []
        monkeypatch.setattr(module, '_COMPILE_FROM', 1)
        monkeypatch.setattr(module, '_compiled', lambda f: compiled.append(f) or f)
        img, mask = images()
        for found in (False, True):
            monkeypatch.setattr(module, '_has_compiler', lambda device, f=found: f)
            LocalAffinityRefiner()(img, mask)
            assert len(compiled) == (2 if found else 0)

    def test_auto_falls_back_with_one_warning(self, monkeypatch, recwarn):
        def fail(function):
            def call(*args, **kwargs):
                raise RuntimeError('no compiler today')

            return call

        monkeypatch.setattr(module, '_COMPILE_FROM', 1)
        monkeypatch.setattr(module, '_has_compiler', lambda device: True)
        monkeypatch.setattr(module, '_failed_devices', set())
        monkeypatch.setattr(module, '_compiled', fail)
        img, mask = images()
        expected = LocalAffinityRefiner(backend='eager')(img, mask)
        for _ in range(2):
            assert LocalAffinityRefiner()(img, mask).equal(expected)
        (warning,) = recwarn.list
        assert 'no compiler today' in str(warning.message)

    def test_forced_backend_does_not_fall_back(self, monkeypatch):
        def fail(function):
            raise RuntimeError('no compiler today')

        monkeypatch.setattr(module, '_compiled', fail)
        with pytest.raises(RuntimeError, match='no compiler today'):
            LocalAffinityRefiner(backend='compile')(*images())


def test_config_copy_and_pickle():
    refine = MODELS.build(dict(type='LocalAffinityRefiner', kind='varm', num_iters=2))
    img, mask = images()
    expected = refine(img, mask)
    assert copy.deepcopy(refine)(img, mask).equal(expected)
    assert pickle.loads(pickle.dumps(refine))(img, mask).equal(expected)
    assert 'varm' in repr(refine) and '48' in repr(refine)


@pytest.mark.parametrize(
    'argument',
    [
        {'kind': 'pamr'},
        {'backend': 'cuda'},
        {'dilations': ()},
        {'dilations': (0, 1)},
        {'num_iters': -1},
        {'bandwidth': 0.0},
    ],
)
def test_bad_arguments_name_themselves(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=name):
        LocalAffinityRefiner(**argument)


@pytest.mark.parametrize(
    'change, error',
    [
        (lambda img, mask: (img[0], mask), ValueError),
        (lambda img, mask: (img[:1], mask), ValueError),
        (lambda img, mask: (img[..., :0], mask), ValueError),
        (lambda img, mask: (img.to('meta'), mask), ValueError),
        (lambda img, mask: ((img * 255).byte(), mask), TypeError),
        (lambda img, mask: (img, mask > 0.5), TypeError),
        (lambda img, mask: (img, mask, torch.ones(2, 1)), ValueError),
        (lambda img, mask: (img, mask[..., ::2], torch.ones(2, 2)), ValueError),
    ],
)
def test_bad_inputs(change, error):
    with pytest.raises(error, match='img'):
        LocalAffinityRefiner()(*change(*images()))

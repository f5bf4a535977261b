"""DenseCRF against slow exact mean field, invariants, and the C++ original."""

import copy
import math

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from PIL import Image

from mmseg_wsss.models.refiners import DenseCRF, crf_guide
from mmseg_wsss.models.refiners.crf_guide import CRFGuide, PairwiseTerm
from mmseg_wsss.models.refiners.dense_crf import mean_field

RRM = {}
DEEPLAB = {'bilateral_sxy': 83.0, 'bilateral_srgb': 5.0, 'bilateral_compat': 4.0}


def make_scene(num=1, classes=3, height=20, width=24, seed=0, groups=0):
    """Images of a bright disc on a dark ground, and noisy scores of it."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    middle = torch.stack(
        [torch.tensor([height / 2 - n, width / 2 + n]) for n in range(num)]
    )
    distance = (y - middle[:, 0, None, None]) ** 2 + (x - middle[:, 1, None, None]) ** 2
    disc = distance < (min(height, width) / 3) ** 2
    color = torch.tensor([[40.0, 60.0, 80.0], [200.0, 150.0, 90.0]])
    img = color[disc.long()].permute(0, 3, 1, 2)
    img = img + 8 * torch.randn(img.shape, generator=generator)
    shape = (num, groups or 1, classes, height, width)
    logit = torch.randn(shape, generator=generator)
    if classes > 1:
        logit[:, :, 1] += 2.0 * disc[:, None] - 1
    prob = logit.softmax(2)
    return img.clamp(0, 255), prob if groups else prob[:, 0]


def exact_kernel(img, terms):
    """Sum of normalized Gaussian kernels (n, n) of an image (3, H, W), float64."""
    _, height, width = img.shape
    rgb = img.round().double().numpy().reshape(3, -1)
    pixels = [(i // width, i % width) for i in range(height * width)]
    total = np.zeros((len(pixels), len(pixels)))
    for term in terms:
        kernel = np.zeros_like(total)
        for i, (yi, xi) in enumerate(pixels):
            for j, (yj, xj) in enumerate(pixels):
                distance = ((yi - yj) ** 2 + (xi - xj) ** 2) / term.sxy**2
                if term.srgb is not None:
                    distance += ((rgb[:, i] - rgb[:, j]) ** 2).sum() / term.srgb**2
                kernel[i, j] = math.exp(-distance / 2)
        norm = 1 / np.sqrt(kernel.sum(1))
        total += term.compat * norm[:, None] * kernel * norm
    return total


def slow_mean_field(prob, kernel, num_iters):
    """Label by label and pixel by pixel: prob (C, n) -> marginals (C, n)."""
    unary = -np.log(prob)
    q = np.exp(-unary) / np.exp(-unary).sum(0)
    for _ in range(num_iters):
        energy = np.zeros_like(unary)
        for label in range(len(unary)):
            for pixel in range(unary.shape[1]):
                # Potts: a label pays for the mass of all other labels; the part that
                # all labels share drops out in the softmax.
                own = (kernel[pixel] * q[label]).sum()
                energy[label, pixel] = unary[label, pixel] - own
        q = np.exp(-energy) / np.exp(-energy).sum(0)
    return q


def best_is_zero(prob):
    """Scores (n, G, C) of mean_field from maps (G, C, n)."""
    score = prob.log().permute(2, 0, 1)
    return score - score.amax(2, keepdim=True)


@pytest.mark.parametrize('bound', [13.0, math.inf])
@pytest.mark.parametrize('num_iters', [0, 1, 10])
def test_mean_field_equals_slow_loop(num_iters, bound):
    crf = DenseCRF()
    img, prob = make_scene(height=5, width=6, groups=2)
    kernel = exact_kernel(img[0], crf.terms)
    prob = prob[0].flatten(2)
    matrix = torch.from_numpy(kernel).float()
    score = best_is_zero(prob)
    result = mean_field(score, lambda q: matrix @ q, num_iters, bound)
    for group in range(2):
        slow = slow_mean_field(prob[group].double().numpy(), kernel, num_iters)
        np.testing.assert_allclose(result[:, group].t().numpy(), slow, atol=1e-5)


@pytest.mark.parametrize('settings', [RRM, DEEPLAB])
def test_close_to_exact_mean_field(settings):
    """The lattice is an approximation: labels agree, marginals correlate."""
    crf = DenseCRF(**settings)
    img, prob = make_scene(height=18, width=20)
    kernel = exact_kernel(img[0], crf.terms)
    exact = slow_mean_field(prob[0].flatten(1).double().numpy(), kernel, 10)
    result = crf(img, prob)[0].flatten(1).numpy()
    assert (result.argmax(0) == exact.argmax(0)).mean() > 0.97
    assert np.corrcoef(result.ravel(), exact.ravel())[0, 1] > 0.97
    start = prob[0].flatten(1).argmax(0).numpy()
    assert (start == exact.argmax(0)).mean() < 0.9


def test_recovers_the_disc_from_noise():
    img, prob = make_scene(classes=2)
    disc = img[0, 0] > 120
    assert ((prob[0].argmax(0) == 1) == disc).float().mean() < 0.9
    assert ((DenseCRF()(img, prob)[0].argmax(0) == 1) == disc).float().mean() > 0.99


def test_marginals_sum_to_one_without_gradient():
    img, prob = make_scene(num=2, classes=4)
    prob.requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        result = MODELS.build({'type': 'DenseCRF'})(img, prob)
    assert result.dtype == torch.float32 and not result.requires_grad
    torch.testing.assert_close(result.sum(1), torch.ones(2, 20, 24))
    torch.testing.assert_close(result, DenseCRF()(img, prob))


def test_bfloat16_scores():
    img, prob = make_scene()
    result = DenseCRF()(img, prob.bfloat16())
    torch.testing.assert_close(result, DenseCRF()(img, prob), atol=0.05, rtol=0)


def test_no_iteration_normalizes_the_scores():
    img, prob = make_scene()
    for crf in (DenseCRF(num_iters=0), DenseCRF(gauss_compat=0, bilateral_compat=0)):
        torch.testing.assert_close(crf(img, 0.3 * prob), prob)


def test_scale_of_a_pixels_scores_does_not_matter():
    img, prob = make_scene()
    scale = torch.rand(1, 1, 20, 24) + 0.5
    torch.testing.assert_close(DenseCRF()(img, scale * prob), DenseCRF()(img, prob))


def test_uniform_scores_stay_uniform_and_labels_are_exchangeable():
    img, prob = make_scene(classes=4)
    crf = DenseCRF()
    result = crf(img, torch.full_like(prob, 0.2))
    torch.testing.assert_close(result, torch.full_like(prob, 0.25))
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(crf(img, prob[:, order]), crf(img, prob)[:, order])


def test_zero_scores_never_win():
    img, prob = make_scene(classes=3)
    prob[:, 2] = 0
    result = DenseCRF()(img, prob)
    assert result.isfinite().all()
    assert (result[:, 2] < 1e-12).all()
    expected = DenseCRF()(img, prob[:, :2])
    torch.testing.assert_close(result[:, :2], expected)


def test_huge_weights_stay_finite():
    img, prob = make_scene()
    result = DenseCRF(gauss_compat=300.0, bilateral_compat=1000.0)(img, prob)
    torch.testing.assert_close(result.sum(1), torch.ones(1, 20, 24))


def test_batch_equals_loop():
    img, prob = make_scene(num=3)
    crf = DenseCRF()
    each = [crf(img[n : n + 1], prob[n : n + 1]) for n in range(3)]
    torch.testing.assert_close(crf(img, prob), torch.cat(each))


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize('mode', [torch.enable_grad, torch.inference_mode])
def test_threads_change_nothing(two_threads, mode):
    img, prob = make_scene(num=3, height=21)
    each = [DenseCRF()(img[n : n + 1], prob[n : n + 1]) for n in range(3)]
    with mode():
        result = DenseCRF()(img, prob.clone().requires_grad_())
    assert not result.requires_grad
    assert torch.get_num_threads() == 2
    assert torch.equal(result.clone(), torch.cat(each))


def test_an_error_in_a_thread_reaches_the_caller(two_threads):
    img, prob = make_scene(num=2)
    with pytest.raises(ValueError, match='use larger standard deviations'):
        DenseCRF(bilateral_sxy=1e-3, bilateral_srgb=1e-3)(img, prob)
    assert torch.get_num_threads() == 2


def test_groups_equal_separate_calls():
    img, prob = make_scene(num=2, groups=3)
    crf = DenseCRF()
    each = [crf(img, prob[:, g]) for g in range(3)]
    torch.testing.assert_close(crf(img, prob), torch.stack(each, 1))


MASK = torch.tensor([[1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]]).bool()


@pytest.mark.parametrize('groups', [0, 2])
def test_class_mask_equals_a_subset_of_labels(groups):
    img, prob = make_scene(num=4, classes=4, groups=groups)
    crf = DenseCRF()
    result = crf(img, prob, MASK)
    for n, exists in enumerate(MASK):
        kept, other = (result[n].movedim(-3, 0)[m] for m in (exists, ~exists))
        assert (other == 0).all()
        if exists.any():
            part = prob[n].movedim(-3, 0)[exists].movedim(0, -3)
            expected = crf(img[n : n + 1], part[None])[0].movedim(-3, 0)
            torch.testing.assert_close(kept, expected)


def test_images_in_one_chunk_equal_one_by_one(monkeypatch):
    """GPUs filter all images at once, with ragged sets of labels."""
    img, prob = make_scene(num=4, classes=4, groups=2)
    expected = DenseCRF()(img, prob, MASK)
    monkeypatch.setattr(CRFGuide, 'chunks', property(lambda self: [slice(0, 4)]))
    torch.testing.assert_close(DenseCRF()(img, prob, MASK), expected)


def test_guide_is_built_once_and_shared(monkeypatch):
    img, prob = make_scene(num=2, height=19, width=17)
    first, same, other = DenseCRF(), DenseCRF(num_iters=3), DenseCRF(**DEEPLAB)
    expected = [crf(img, prob) for crf in (first, same, other)]
    built = []
    build = crf_guide.build_lattice
    monkeypatch.setattr(
        crf_guide, 'build_lattice', lambda *args: built.append(1) or build(*args)
    )
    guide = first.prepare(img)
    for crf, result in zip((first, same, other), expected):
        torch.testing.assert_close(crf(guide, prob), result)
    # One bilateral lattice for each image and each of the two settings; that of the
    # positions is remembered from the calls before.
    assert len(built) == 4


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (5, 1), (2, 3), (13, 31)])
@pytest.mark.parametrize('scale_factor', [1.0, 0.5])
def test_any_size(size, scale_factor):
    img, prob = make_scene(height=size[0], width=size[1])
    result = DenseCRF(scale_factor=scale_factor)(img, prob)
    assert result.shape == prob.shape
    torch.testing.assert_close(result.sum(1), torch.ones(1, *size))


def test_one_label_and_one_color():
    img, prob = make_scene(classes=1)
    torch.testing.assert_close(DenseCRF()(img, prob), torch.ones_like(prob))
    flat = torch.full((1, 3, 15, 15), 128.0)
    prob = torch.rand(1, 2, 15, 15) + torch.tensor([0.0, 0.8])[:, None, None]
    assert (DenseCRF()(flat, prob).argmax(1) == 1).all()


def test_reduced_size_is_close_to_full():
    img, prob = make_scene(classes=2, height=48, width=64)
    full = DenseCRF()(img, prob)
    small = DenseCRF(scale_factor=0.5)(img, prob)
    assert (full.argmax(1) == small.argmax(1)).float().mean() > 0.97
    assert not torch.equal(full, small)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('gauss_sxy', 0),
        ('bilateral_sxy', -1.0),
        ('bilateral_srgb', math.nan),
        ('gauss_compat', -3),
        ('bilateral_compat', math.inf),
        ('num_iters', -1),
        ('num_iters', 2.5),
        ('num_workers', -1),
        ('backend', 'cuda'),
        ('scale_factor', 0),
        ('scale_factor', 2.0),
    ],
)
def test_bad_settings_name_themselves(name, value):
    with pytest.raises(ValueError, match=f'^{name}: expected .*, found '):
        DenseCRF(**{name: value})


@pytest.mark.parametrize('value', ['a', None, True])
@pytest.mark.parametrize('name', ['bilateral_srgb', 'gauss_compat', 'num_iters'])
def test_settings_that_are_no_numbers_name_themselves(name, value):
    with pytest.raises(TypeError, match=f'^{name}: expected a number, found {value!r}'):
        DenseCRF(**{name: value})


def test_bad_inputs_name_themselves():
    img, prob = make_scene(num=2)
    crf = DenseCRF()
    bad = prob.clone()
    bad[0, 0, 0, 0] = math.nan
    for args, message in (
        ((img[0], prob), r'^img: .* found \(3, 20, 24\)'),
        ((img * 2, prob), r'^img: expected RGB values in 0\.\.255'),
        ((img * math.nan, prob), r'^img: expected RGB values in 0\.\.255'),
        ((img, prob[:1]), r'^prob: expected shape \(2, C, 20, 24\)'),
        ((img, prob[..., 1:]), r'^prob: expected shape'),
        ((img, prob[0]), r'^prob: expected shape'),
        ((img, prob[:, :0]), r'^prob: expected shape'),
        ((img, bad), '^prob: expected finite scores'),
        ((img, prob / 0), '^prob: expected finite scores'),
        ((img, prob, MASK), r'^class_mask: expected shape \(2, 3\), found \(4, 4\)'),
    ):
        with pytest.raises(ValueError, match=message):
            crf(*args)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ImportError, match='pydensecrf2'):
        DenseCRF(backend='pydensecrf')


@pytest.mark.extras
@pytest.mark.parametrize('settings', [RRM, DEEPLAB])
def test_agrees_with_pydensecrf(settings):
    pytest.importorskip('pydensecrf')
    img, prob = make_scene(num=4, classes=4, groups=2)
    result = DenseCRF(**settings)(img, prob, MASK)
    original = DenseCRF(**settings, backend='pydensecrf')(img, prob, MASK)
    torch.testing.assert_close(result, original, atol=2e-3, rtol=0)
    assert (result.argmax(2) == original.argmax(2)).float().mean() > 0.99


@pytest.mark.extras
@pytest.mark.parametrize('settings', [RRM, DEEPLAB])
def test_agrees_with_pydensecrf_on_a_photo(shared, settings):
    pytest.importorskip('pydensecrf')
    path = shared / 'data/voc-mini/VOC2012/JPEGImages/2007_000042.jpg'
    if not path.is_file():
        pytest.skip(f'no image at {path}')
    with Image.open(path) as file:
        img = torch.from_numpy(np.array(file.convert('RGB')))
    img = img.permute(2, 0, 1)[None, :, :200, :220].float()
    coarse = torch.randn(1, 5, 7, 8, generator=torch.Generator().manual_seed(0))
    prob = torch.nn.functional.interpolate(coarse, img.shape[2:], mode='bilinear')
    prob = prob.softmax(1)
    result = DenseCRF(**settings)(img, prob).argmax(1)
    original = DenseCRF(**settings, backend='pydensecrf')(img, prob).argmax(1)
    assert (result == original).float().mean() > 0.99
    assert (original != prob.argmax(1)).float().mean() > 0.05


@pytest.mark.extras
def test_processes_equal_one_process():
    pytest.importorskip('pydensecrf')
    img, prob = make_scene(num=2)
    crf = DenseCRF(backend='pydensecrf', num_workers=1)
    expected = DenseCRF(backend='pydensecrf')(img, prob)
    torch.testing.assert_close(crf(img, prob), expected)
    assert copy.deepcopy(crf).pool._executor is None
    crf.pool.close()
    assert crf.pool._executor is None


def test_terms_of_the_settings():
    """Distances shrink with the image; colors and weights do not."""
    crf = DenseCRF(
        gauss_sxy=2,
        gauss_compat=5,
        bilateral_sxy=60,
        bilateral_srgb=7,
        bilateral_compat=11,
        scale_factor=0.5,
    )
    assert crf.terms == (PairwiseTerm(1, None, 5), PairwiseTerm(30, 7, 11))

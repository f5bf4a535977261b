"""ISDA against the P x C x A formula of the paper, and pooled variances."""

import copy
import math

import pytest
import torch
from helpers import run_processes
from torch import nn

from mmseg_wsss.models.utils import ImplicitSemanticAugmentation

C, A = 5, 7


def batch(seed, pixels=200, classes=C, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    feat = torch.randn(pixels, A, generator=generator, dtype=torch.float64)
    label = torch.randint(0, classes, (pixels,), generator=generator)
    label[::9] = 255
    feat = feat * (1 + label[:, None] % 7) + seed
    return feat.to(dtype), label


def slow_update(state, feat, label):
    """The recursion of the paper, class by class."""
    for c in range(C):
        values = feat[label == c].double()
        if not len(values):
            continue
        mean, variance = values.mean(0), values.var(0, unbiased=False)
        omega = len(values) / (len(values) + state['count'][c].item())
        gap = state['mean'][c] - mean
        state['variance'][c] = (
            (1 - omega) * state['variance'][c]
            + omega * variance
            + omega * (1 - omega) * gap**2
        )
        state['mean'][c] = (1 - omega) * state['mean'][c] + omega * mean
        state['count'][c] += len(values)


def slow_shift(variance, weight, label, ratio):
    """Every pixel, every class, every channel by itself."""
    shift = torch.zeros(len(label), len(weight), dtype=torch.float64)
    for p, y in enumerate(label.tolist()):
        if y == 255:
            continue
        for j in range(len(weight)):
            for a in range(weight.shape[1]):
                step = weight[j, a] - weight[y, a]
                shift[p, j] += 0.5 * ratio * variance[y, a] * step * step
    return shift


def updated(*seeds, **kwargs):
    isda = ImplicitSemanticAugmentation(C, A)
    for seed in seeds:
        isda.update(*batch(seed, **kwargs))
    return isda


class TestUpdate:
    def test_recursion_of_the_paper(self):
        isda = ImplicitSemanticAugmentation(C, A)
        state = {
            'mean': torch.zeros(C, A, dtype=torch.float64),
            'variance': torch.zeros(C, A, dtype=torch.float64),
            'count': torch.zeros(C, dtype=torch.int64),
        }
        for seed, classes in ((0, 3), (1, 5), (2, 2)):
            feat, label = batch(seed, classes=classes, dtype=torch.float64)
            isda.update(feat, label)
            slow_update(state, feat, label)
        for name, value in state.items():
            torch.testing.assert_close(getattr(isda, name), value, rtol=1e-12, atol=0)

    def test_pooled_variance_of_all_chunks(self):
        isda = ImplicitSemanticAugmentation(C, A)
        feat, label = batch(0, 10_000)
        for part in (slice(0, 1), slice(1, 6000), slice(6000, None)):
            isda.update(feat[part], label[part])
        for c in range(C):
            values = feat[label == c].double()
            assert isda.count[c] == len(values)
            torch.testing.assert_close(isda.mean[c], values.mean(0))
            expected = values.var(0, unbiased=False)
            torch.testing.assert_close(isda.variance[c], expected)

    def test_small_spread_far_from_zero(self):
        """Single precision would lose a spread of 1e-3 around 1000 in its squares."""
        isda = ImplicitSemanticAugmentation(1, 1)
        feat = 1000 + torch.tensor([-1.0, 1.0]).repeat(500)[:, None] * 2.0**-10
        isda.update(feat, torch.zeros(1000, dtype=torch.int64))
        isda.update(feat, torch.zeros(1000, dtype=torch.int64))
        assert isda.variance.item() == pytest.approx(2.0**-20, rel=1e-9)

    def test_billions_of_pixels_still_move_the_statistics(self):
        isda = ImplicitSemanticAugmentation(1, 1)
        isda.count.fill_(3_000_000_000)
        isda.variance.fill_(1.0)
        feat = torch.tensor([[1.0]])
        label = torch.zeros(1, dtype=torch.int64)
        isda.update(feat, label)
        assert isda.count.item() == 3_000_000_001
        assert isda.mean.item() == pytest.approx(1 / 3_000_000_001, rel=1e-9)

    def test_nothing_labeled_changes_nothing(self):
        isda = updated(0)
        before = copy.deepcopy(isda.state_dict())
        isda.update(torch.rand(3, A), torch.full((3,), 255))
        isda.update(torch.rand(0, A), torch.zeros(0, dtype=torch.int64))
        for name, value in isda.state_dict().items():
            assert value.equal(before[name]), name

    def test_pixels_that_overflowed_are_skipped(self):
        feat, label = batch(0)
        broken = feat.clone()
        broken[3, 2], broken[4, 0], label[5] = torch.inf, torch.nan, 255
        broken[5] = torch.nan
        isda = ImplicitSemanticAugmentation(C, A)
        isda.update(broken, label)
        label[3:5] = 255
        expected = ImplicitSemanticAugmentation(C, A)
        expected.update(feat, label)
        for name, value in expected.state_dict().items():
            torch.testing.assert_close(isda.state_dict()[name], value)

    def test_half_precision_and_autocast(self):
        feat, label = batch(0)
        expected = ImplicitSemanticAugmentation(C, A)
        expected.update(feat.bfloat16().double(), label)
        isda = ImplicitSemanticAugmentation(C, A)
        with torch.autocast('cpu', torch.bfloat16):
            isda.update(feat.bfloat16(), label)
            shift = isda.shift(torch.rand(C, A), label, 1.0)
        assert shift.dtype == torch.float32
        for name, value in expected.state_dict().items():
            torch.testing.assert_close(isda.state_dict()[name], value)

    def test_memory_of_the_past_may_be_limited(self):
        isda = ImplicitSemanticAugmentation(1, 1, max_count=100)
        label = torch.zeros(100, dtype=torch.int64)
        for value in (0.0, 0.0, 0.0, 1.0):
            isda.update(torch.full((100, 1), value), label)
        assert isda.count.item() == 100
        assert isda.mean.item() == 0.5 and isda.variance.item() == 0.25

    def test_no_graph(self):
        isda = ImplicitSemanticAugmentation(C, A)
        feat, label = batch(0)
        isda.update(feat.requires_grad_(), label)
        assert not isda.variance.requires_grad

    def test_bad_shapes_and_labels(self):
        isda = ImplicitSemanticAugmentation(C, A)
        with pytest.raises(ValueError, match=r'\(P, 7\).*\(3, 6\)'):
            isda.update(torch.rand(3, 6), torch.zeros(3, dtype=torch.int64))
        with pytest.raises(ValueError, match=r'labels \(P,\)'):
            isda.update(torch.rand(3, A), torch.zeros(2, dtype=torch.int64))
        for label in (torch.full((3,), C), torch.full((3,), -1)):
            with pytest.raises(IndexError):
                isda.update(torch.rand(3, A), label)
            with pytest.raises(IndexError):
                isda.shift(torch.rand(C, A), label, 1.0)


class TestShift:
    @pytest.mark.parametrize('ratio', [0.0, 0.75, 1.5])
    def test_formula(self, ratio):
        isda = updated(0, 1, dtype=torch.float64)
        _, label = batch(2, 60)
        weight = torch.randn(C, A, dtype=torch.float64)
        shift = isda.shift(weight, label, ratio)
        expected = slow_shift(isda.variance, weight, label, ratio)
        assert shift.dtype == torch.float64
        torch.testing.assert_close(shift, expected, rtol=1e-12, atol=1e-13)

    def test_by_hand(self):
        """Variance 4 and weights 3 apart: half of 2 * 4 * 3 ** 2."""
        isda = ImplicitSemanticAugmentation(2, 1)
        isda.variance[:] = torch.tensor([[4.0], [0.25]])
        weight = torch.tensor([[1.0], [-2.0]])
        shift = isda.shift(weight, torch.tensor([0, 1, 255]), 2.0)
        assert shift.tolist() == [[0.0, 36.0], [2.25, 0.0], [0.0, 0.0]]

    def test_never_negative_and_exactly_zero_at_the_own_class(self):
        isda = updated(0)
        weight = 100 + torch.randn(C, A) * 1e-5
        label = torch.arange(C)
        shift = isda.shift(weight, label, 1.5)
        assert (shift >= 0).all() and (shift.diagonal() == 0).all()

    def test_zero_before_any_update(self):
        isda = ImplicitSemanticAugmentation(C, A)
        assert (isda.shift(torch.randn(C, A), torch.arange(C), 1.5) == 0).all()

    def test_no_gradient_reaches_the_weight(self):
        weight = torch.randn(C, A, requires_grad=True)
        assert not updated(0).shift(weight, torch.arange(C), 1.5).requires_grad

    def test_bad_weight(self):
        with pytest.raises(ValueError, match=r'\(5, 7\), got \(5, 7, 1, 1\)'):
            updated(0).shift(torch.rand(C, A, 1, 1), torch.arange(C), 1.0)


class TestBuffers:
    def test_saved_with_the_model(self):
        isda = updated(0, 1)
        other = ImplicitSemanticAugmentation(C, A)
        other.load_state_dict(isda.state_dict())
        for one in (isda, other):
            one.update(*batch(2))
        for name, value in isda.state_dict().items():
            assert value.equal(other.state_dict()[name]), name

    @pytest.mark.parametrize('cast', ['half', 'bfloat16', 'float'])
    def test_statistics_keep_their_types(self, cast):
        isda = updated(0)
        before = copy.deepcopy(isda.state_dict())
        model = getattr(nn.Sequential(nn.Linear(2, 2), isda), cast)()
        assert model[0].weight.dtype != torch.float64
        for name, value in isda.state_dict().items():
            assert value.dtype == before[name].dtype and value.equal(before[name])
        assert isda.to('meta').variance.device.type == 'meta'


def statistics_of_rank(rank: int, splits: list[tuple[int, int]]) -> list[dict]:
    """State of the statistics after each rank got its part of three batches."""
    isda = ImplicitSemanticAugmentation(C, A)
    for seed, (start, stop) in enumerate(splits):
        feat, label = batch(seed)
        part = slice(0, start) if rank == 0 else slice(start, stop)
        isda.update(feat[part], label[part])
    return isda.state_dict()


def test_ranks_share_their_statistics():
    splits = [(100, 200), (7, 200), (200, 200)]
    states = run_processes(statistics_of_rank, 2, (splits,))
    expected = updated(0, 1, 2).state_dict()
    for state in states:
        for name, value in expected.items():
            torch.testing.assert_close(state[name], value, rtol=1e-12, atol=1e-14)


def test_expected_cross_entropy_is_bounded():
    """What the offset is for: E CE(z + w n) <= CE(z + offset), n ~ N(0, variance)."""
    generator = torch.Generator().manual_seed(0)
    isda = ImplicitSemanticAugmentation(3, 4)
    isda.variance[:] = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    weight = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    logits = torch.randn(3, generator=generator, dtype=torch.float64)
    for y in range(3):
        noise = torch.randn(20_000, 4, generator=generator, dtype=torch.float64)
        noisy = logits + (noise * isda.variance[y].sqrt()) @ weight.T
        drawn = -noisy.log_softmax(1)[:, y].mean()
        shifted = logits + isda.shift(weight, torch.tensor([y]), 1.0)[0]
        bound = -shifted.log_softmax(0)[y]
        plain = -logits.log_softmax(0)[y]
        assert plain < drawn < bound + 3 / math.sqrt(20_000)

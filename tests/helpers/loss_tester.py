"""One battery of tests for every loss."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from .processes import run_processes

Arguments = Sequence[Tensor]


class LossTester:
    """Base of a test class: one loss, six tests.

    A subclass names the loss, an independent reference and the inputs::

        class TestSoftCrossEntropy(LossTester):
            loss = staticmethod(soft_cross_entropy)
            reference = staticmethod(slow_soft_cross_entropy)

            def inputs(self):
                return {'plain': (logits, target, valid)}

    The first argument is the trained one. Floating arguments are float64, and every
    argument has the batch in its first dimension.

    Attributes:
        loss: Loss under test, importable by a fresh interpreter.
        reference: The same, written from the formula: slow, in float64.
        gradient: Slow gradient for the trained argument, where the loss has a rule of
            its own; by default finite differences decide.
        blank: Argument that can leave nothing to train on, by position, and the value
            that does (255 for a label, 0 for a mask).
        splits: Shares of a batch of 4 that two ranks get.
    """

    loss: ClassVar[Callable[..., Tensor]]
    reference: ClassVar[Callable[..., Tensor | float]]
    gradient: ClassVar[Callable[..., Tensor] | None] = None
    blank: ClassVar[tuple[int, float] | None] = None
    splits: ClassVar[Sequence[tuple[int, int]]] = ((2, 2),)

    def __init_subclass__(cls) -> None:
        """Leave out the test of a blank argument where there is none."""
        if cls.blank is None:
            cls.test_nothing_to_train_on = None

    def inputs(self) -> dict[str, Arguments]:
        """Arguments by the name of the case, each a batch of 4."""
        raise NotImplementedError

    def test_equals_the_reference(self) -> None:
        """In float64, in float32, and for each image alone."""
        for name, args in self.inputs().items():
            expected = torch.as_tensor(self.reference(*args), dtype=torch.float64)
            assert expected != 0, f'{name}: nothing to compare'
            _close(name, self.loss(*args), expected, 1e-9)
            _close(f'{name}, float32', self.loss(*_cast(args)), expected, 1e-5)
            for i in range(len(args[0])):
                one = [arg[i : i + 1] for arg in args]
                _close(f'{name}, {i}', self.loss(*one), self.reference(*one), 1e-9)

    def test_gradient(self) -> None:
        """Finite differences, or the rule of the loss, in float64."""
        for name, (trained, *rest) in self.inputs().items():
            if self.gradient is None:
                leaf = trained.clone().requires_grad_()
                assert torch.autograd.gradcheck(self.loss, (leaf, *rest)), name
            else:
                _, grad = _value_and_grad(self.loss, (trained, *rest))
                _close(name, grad, self.gradient(trained, *rest), 1e-9)

    def test_half_precision(self) -> None:
        """A trained argument in bfloat16, and autocast, lose no more than rounding."""
        for name, args in self.inputs().items():
            trained, *rest = _cast(args)
            half = trained.bfloat16()
            rounded = (half.double(), *args[1:])
            value, grad = _value_and_grad(self.loss, (half, *rest))
            expected, expected_grad = _value_and_grad(self.loss, rounded)
            assert value.dtype == torch.float32, f'{name}: {value.dtype}'
            _close(f'{name}, bfloat16', value, expected, 1e-5)
            _close(f'{name}, bfloat16, gradient', grad, expected_grad, 1e-2)
            expected, expected_grad = _value_and_grad(self.loss, args)
            value, grad = _value_and_grad(
                torch.autocast('cpu', torch.bfloat16)(self.loss), (trained, *rest)
            )
            _close(f'{name}, autocast', value, expected, 1e-5)
            _close(f'{name}, autocast, gradient', grad, expected_grad, 1e-4)

    def test_nothing_to_train_on(self) -> None:
        """Exactly 0 with a gradient of exactly 0, never NaN."""
        for name, args in self.inputs().items():
            value, grad = _value_and_grad(self.loss, self._blanked(args, slice(None)))
            assert value == 0, f'{name}: {value}'
            assert (grad == 0).all(), f'{name}: gradient up to {grad.abs().max()}'

    def test_two_processes_equal_one(self) -> None:
        """Loss and gradient, averaged over two ranks as DDP does.

        Each split of the batch is tried as it is, and with nothing to train on on
        either rank.
        """
        trials = []
        for name, args in self.inputs().items():
            for first, second in self.splits:
                assert first + second == len(args[0]), f'{name}: split {self.splits}'
                trials.append((f'{name}, {first} + {second}', args, first))
                if self.blank is not None:
                    for rank, part in enumerate([slice(first), slice(first, None)]):
                        blanked = self._blanked(args, part)
                        trials.append((f'{name}, rank {rank} blank', blanked, first))
        ranks = run_processes(
            _values_and_grads_of_rank, 2, (self.loss, [trial[1:] for trial in trials])
        )
        for (name, args, _), one, other in zip(trials, *ranks):
            value, grad = _value_and_grad(self.loss, args)
            _close(name, (one[0] + other[0]) / 2, value, 1e-9)
            _close(f'{name}, gradient', torch.cat([one[1], other[1]]) / 2, grad, 1e-9)

    def test_compiled_equals_eager(self) -> None:
        """No branch on data breaks the graph."""
        torch.compiler.reset()
        compiled = torch.compile(
            self.loss, backend='eager', fullgraph=True, dynamic=False
        )
        name, args = next(iter(self.inputs().items()))
        value, grad = _value_and_grad(compiled, args)
        expected, expected_grad = _value_and_grad(self.loss, args)
        _close(name, value, expected, 1e-9)
        _close(f'{name}, gradient', grad, expected_grad, 1e-9)

    def _blanked(self, args: Arguments, part: slice) -> Arguments:
        assert self.blank is not None
        position, value = self.blank
        args = [arg.clone() for arg in args]
        args[position][part] = value
        return args


def _values_and_grads_of_rank(
    rank: int,
    loss: Callable[..., Tensor],
    trials: Sequence[tuple[Arguments, int]],
) -> list[tuple[Tensor, Tensor]]:
    """Losses and gradients of one rank's share of each batch."""
    results = []
    for args, first in trials:
        part = slice(0, first) if rank == 0 else slice(first, None)
        results.append(_value_and_grad(loss, [arg[part] for arg in args]))
    return results


def _value_and_grad(
    loss: Callable[..., Tensor], args: Arguments
) -> tuple[Tensor, Tensor]:
    leaf = args[0].detach().clone().requires_grad_()
    value = loss(leaf, *args[1:])
    assert value.shape == (), f'a loss is a scalar, got shape {tuple(value.shape)}'
    (grad,) = torch.autograd.grad(value, leaf)
    return value.detach(), grad


def _cast(args: Arguments) -> list[Tensor]:
    return [arg.float() if arg.is_floating_point() else arg for arg in args]


def _close(name: str, value: Tensor, expected: Tensor | float, rtol: float) -> None:
    """Assert that values agree within ``rtol`` of the largest expected one."""
    value = value.double()
    expected = torch.as_tensor(expected, dtype=torch.float64)
    assert value.shape == expected.shape, f'{name}: {value.shape}, {expected.shape}'
    error = (value - expected).abs().max()
    limit = rtol * expected.abs().max()
    assert error <= limit, f'{name}: off by {error:.3g}, allowed {limit:.3g}'

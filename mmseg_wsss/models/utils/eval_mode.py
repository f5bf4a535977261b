from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


@contextmanager
def eval_mode(model: nn.Module, keep_dropout: bool = False) -> Iterator[None]:
    """Put a model in eval mode, and restore the mode of every module afterwards.

    Args:
        model: Model, switched with all its sub-modules.
        keep_dropout: Whether dropout layers keep their current mode.
    """
    states = [(module, module.training) for module in model.modules()]
    for module, _ in states:
        if not (keep_dropout and isinstance(module, _DropoutNd)):
            module.training = False
    try:
        yield
    finally:
        for module, training in states:
            module.training = training


def matches_eval_mode(module: nn.Module) -> bool:
    """Return whether a forward pass in the current mode equals one in eval mode.

    It does not if batch norm uses the statistics of the batch, or if dropout or
    stochastic depth is active.

    Args:
        module: Module, checked with all its sub-modules.
    """
    return not any(
        part.training
        and (
            isinstance(part, _BatchNorm)
            or (isinstance(part, _DropoutNd) and part.p > 0)
            or (isinstance(part, nn.MultiheadAttention) and part.dropout > 0)
            or getattr(part, 'drop_prob', None)
        )
        for part in module.modules()
    )

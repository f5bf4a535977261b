from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


@contextmanager
def eval_mode(model: nn.Module, keep_dropout: bool = False) -> Iterator[None]:
    """Let a model behave as in inference, and put every module back afterwards.

    Args:
        model: Model of which every sub-module is switched.
        keep_dropout: Whether dropout layers keep the mode that they are in.
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
    """Whether a forward now gives what inference gives.

    It does not while batch norm takes the statistics of the batch, or while dropout or
    stochastic depth is at work.
    """
    return not any(
        part.training
        and (
            isinstance(part, _BatchNorm)
            or (isinstance(part, _DropoutNd) and part.p > 0)
            or getattr(part, 'drop_prob', None)
        )
        for part in module.modules()
    )

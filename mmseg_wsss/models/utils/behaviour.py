from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.dropout import _DropoutNd


@contextmanager
def inference_behaviour(model: nn.Module, keep_dropout: bool = False) -> Iterator[None]:
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

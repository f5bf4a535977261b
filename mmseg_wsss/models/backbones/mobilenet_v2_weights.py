"""Weights of torchvision's MobileNetV2, renamed for mmseg's backbone."""

from collections.abc import Mapping
from itertools import accumulate

from torch import Tensor

# Blocks in each of the seven layers. Source: Sandler et al. (MobileNetV2), table 2,
# https://arxiv.org/abs/1801.04381.
NUM_BLOCKS = (1, 2, 3, 4, 3, 3, 1)


def from_torchvision(state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Rename the weights of ``torchvision.models.mobilenet_v2`` for mmseg.

    ``features.0`` becomes ``conv1`` and ``features.1`` to ``17`` the blocks of
    ``layer1`` to ``layer7``; the last convolution and the classifier, which mmseg's
    backbone lacks, are left out.

    Args:
        state: State dict with the keys ``features.*`` and ``classifier.*``.
        source: Name of the file, for messages.

    Returns:
        State dict of mmseg's ``MobileNetV2``.

    Raises:
        ValueError: If ``state`` is not a state dict of torchvision's MobileNetV2.
    """
    if 'features.17.conv.0.0.weight' not in state:
        raise ValueError(
            f'{source}: expected the state dict of torchvision.models.mobilenet_v2, '
            f'found the keys {sorted(state)[:3]}'
        )
    found = {}
    for key, value in state.items():
        part, *rest = key.split('.')
        if part == 'features' and int(rest[0]) < 18:
            found[_name(int(rest[0]), rest[1:])] = value
    return found


def _name(index: int, rest: list[str]) -> str:
    if index == 0:
        return f'conv1.{_in_module(rest[0])}.{rest[1]}'
    ends = list(accumulate(NUM_BLOCKS))
    layer = next(i for i, end in enumerate(ends) if index <= end)
    block = index - 1 - (ends[layer - 1] if layer else 0)
    conv, inner, *last = rest[1:]
    if last:  # a convolution with its norm layer
        return f'layer{layer + 1}.{block}.conv.{conv}.{_in_module(inner)}.{last[0]}'
    # The projection: its convolution and its norm layer are separate items.
    projection = 1 if index == 1 else 2
    kind = _in_module(str(int(conv) - projection))
    return f'layer{layer + 1}.{block}.conv.{projection}.{kind}.{inner}'


def _in_module(index: str) -> str:
    return 'conv' if index == '0' else 'bn'

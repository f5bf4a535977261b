"""Outputs of mmseg's networks, and their computation by the decode heads."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import accumulate
from typing import Any, NamedTuple

from mmseg.models.decode_heads import PIDHead, PointHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.utils import add_prefix
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ....decode_heads import auxiliary_losses, head_losses, unchanged
from ....utils import check_class_scores, mix, require_ops


class SegOutput(NamedTuple):
    """Output of a network for N images.

    Args:
        feats: Feature maps of the backbone and neck.
        outs: Output of each decode head, in the form that its ``loss_by_feat`` takes.
        logits: Logits (N, C, h, w) of the last head.
        feat: Input (N, A, h, w) of its ``conv_seg`` without gradient, if recorded.
    """

    feats: Sequence[Tensor]
    outs: list[Any]
    logits: Tensor
    feat: Tensor | None = None

    def split(self, *counts: int) -> tuple['SegOutput', ...]:
        """Split into parts of ``counts`` images."""
        ends = accumulate(counts)
        return tuple(
            _images(self, slice(end - count, end)) for count, end in zip(counts, ends)
        )

    def mixed(self, mask: Tensor) -> 'SegOutput':
        """Mix logits and features by CutMix masks (N, 1, H, W)."""
        feat = None if self.feat is None else mix(self.feat, mask)
        return self._replace(logits=mix(self.logits, mask), feat=feat)


def _images(node: Any, part: slice) -> Any:
    if isinstance(node, SegOutput):
        return SegOutput(*(_images(item, part) for item in node))
    if isinstance(node, list | tuple):
        return type(node)(_images(item, part) for item in node)
    return node if node is None else node[part]


def decode_heads_of(net: Any) -> list[Any]:
    """Return the decode heads of a network; several if it is a cascade."""
    head = net.decode_head
    return list(head) if isinstance(head, nn.ModuleList) else [head]


def decode(net: Any, feats: Sequence[Tensor]) -> SegOutput:
    """Compute the outputs of the decode heads of a network from feature maps.

    Args:
        net: mmseg's ``EncoderDecoder`` or ``CascadeEncoderDecoder``.
        feats: Feature maps of its backbone and neck.

    Raises:
        TypeError: If the last head does not return a map of logits.
    """
    outs: list[Any] = []
    for head in decode_heads_of(net):  # each also gets the output of the one before
        outs.append(head.forward(feats, *outs[-1:]))
    logits = outs[-1]
    if isinstance(logits, tuple):  # with auxiliary maps; PIDHead's own one is second
        logits = logits[isinstance(head, PIDHead)]
    if not isinstance(logits, Tensor):
        raise TypeError(
            f'{type(head).__name__} returns no map of logits (N, C, h, w), which '
            'semi-supervised training needs'
        )
    return SegOutput(feats, outs, logits)


class ClassifierInput:
    """Recorder of the input of ``conv_seg``, the linear classifier of a decode head.

    Its pre-hook is registered once, on construction, and records only between
    :meth:`start` and :meth:`take`. It works after ``copy.deepcopy``, in wrappers, and
    under ``torch.compile`` without a graph break.

    Args:
        conv_seg: The classifier.
    """

    def __init__(self, conv_seg: nn.Module) -> None:
        self._feat: Tensor | None = None
        self._recording = False
        conv_seg.register_forward_pre_hook(self)

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        """Record the input, as a pre-hook of ``conv_seg``."""
        if self._recording:
            self._feat = args[0].detach()

    def start(self) -> None:
        """Record from now on."""
        self._recording = True

    def take(self) -> Tensor:
        """Return the last input (N, A, h, w), without gradient, and stop recording.

        Raises:
            RuntimeError: If ``conv_seg`` was not called.
        """
        feat, self._feat, self._recording = self._feat, None, False
        if feat is None:
            raise RuntimeError('the decode head does not call its conv_seg')
        return feat


def build_network(segmentor: dict) -> Any:
    """Build a network of a semi-supervised method.

    Args:
        segmentor: Config of an mmseg ``EncoderDecoder`` or ``CascadeEncoderDecoder``.

    Raises:
        TypeError: If there is no decode head, or if one predicts points.
        ValueError: If the network has one output channel, or a loss of independent
            classes.
    """
    _refuse_point_heads(segmentor)
    require_ops(segmentor)
    network = MODELS.build(deepcopy(segmentor))
    check_class_scores(network)
    for head in decode_heads_of(network):
        losses = getattr(head, 'loss_decode', None)
        for loss in losses if isinstance(losses, nn.ModuleList) else [losses]:
            if isinstance(loss, CrossEntropyLoss) and loss.use_sigmoid:
                raise ValueError(
                    f'{type(head).__name__}.loss_decode has use_sigmoid=True, but '
                    'pseudo-labels are classes of a softmax; set use_sigmoid=False'
                )
    return network


def _refuse_point_heads(segmentor: dict) -> None:
    heads = segmentor.get('decode_head')
    if not heads:
        raise TypeError(
            'segmentor must be the config of an EncoderDecoder or '
            f'CascadeEncoderDecoder with a decode_head, got {segmentor.get("type")!r}'
        )
    for head in heads if isinstance(heads, list | tuple) else [heads]:
        kind = head.get('type')
        cls = MODELS.get(kind) if isinstance(kind, str) else kind
        if isinstance(cls, type) and issubclass(cls, PointHead):
            raise TypeError(
                f'{cls.__name__} predicts points instead of a map of logits, which '
                'semi-supervised training needs; leave it out of the cascade'
            )


def supervised_losses(
    net: Any,
    output: SegOutput,
    data_samples: list,
    constrain: Callable[[Any], Any] = unchanged,
) -> dict[str, Tensor]:
    """Compute the losses of a network's own heads on the ground truth.

    Args:
        net: An mmseg segmentor.
        output: Its output for N images.
        data_samples: Their data samples, with ``gt_sem_seg``.
        constrain: Applied to the output of each head.
    """
    heads = decode_heads_of(net)
    losses: dict[str, Tensor] = {}
    for i, (head, out) in enumerate(zip(heads, output.outs)):
        prefix = 'decode' if len(heads) == 1 else f'decode_{i}'
        own = head_losses(head, out, data_samples, constrain)
        losses |= add_prefix(own, prefix)
    if net.with_auxiliary_head:
        losses |= auxiliary_losses(net, output.feats, data_samples, constrain)
    return losses

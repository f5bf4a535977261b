from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, Protocol

from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import read_settings

from .network import CAMNetwork, Feats


class CAMExtractor(Protocol):
    """Protocol of CAM extractors, such as :class:`MultiScaleCAM`."""

    def __call__(
        self,
        network: CAMNetwork,
        inputs: Tensor,
        size: Sequence[int] | None = None,
        feats: Feats | Mapping[float, Feats] | None = None,
    ) -> Tensor:
        """Extract the CAM (N, K, h, w) of images (N, 3, H, W)."""


def build_cam(
    cfg: Mapping[str, Any] | None, default: CAMExtractor, path: str
) -> CAMExtractor:
    """Build a CAM extractor from a dict of a config.

    Args:
        cfg: Settings that override those of ``default``; with another ``type``, the
            defaults of this type.
        default: Default extractor of the method.
        path: Key of the dict in the config, for messages: ``'train_cfg.cam'``.

    Returns:
        The extractor; ``default`` with the given settings.

    Raises:
        KeyError: If a key is unknown.
        TypeError: If ``cfg`` or a value has a wrong type.
        ValueError: If ``type`` is unknown, or a value is outside its range.
    """
    if not isinstance(cfg, Mapping | None):
        raise TypeError(f'{path} must be a dict, got {cfg!r}')
    cfg = dict(cfg or {})
    name = cfg.pop('type', type(default).__name__)
    cls = type(default) if name == type(default).__name__ else MODELS.get(name)
    if cls is None or not is_dataclass(cls):
        raise ValueError(
            f"{path}.type must be the name of a CAM extractor, such as 'MultiScaleCAM' "
            f"or 'PairedCAM', got {name!r}"
        )
    base = default if isinstance(default, cls) else None
    extractor: Any = read_settings(cls, cfg, path, base)
    return extractor

"""Settings of ``train_cfg`` and ``test_cfg`` of the weakly supervised methods."""

from dataclasses import dataclass
from typing import Any

from mmseg_wsss.utils.settings import setting


@dataclass(frozen=True)
class WeakTrainSettings:
    """Settings of ``train_cfg``.

    Args:
        cam: Extractor of the CAM of a training step, see :func:`.build_cam`.
    """

    cam: Any = None


@dataclass(frozen=True)
class WeakTestSettings:
    """Settings of ``test_cfg``.

    Args:
        mode: ``'whole'`` images or a ``'slide'`` of windows, as in mmseg.
        crop_size: Height and width of a window.
        stride: Steps of the windows along height and width.
        cam: Extractor of the exported CAM, see :func:`.build_cam`.
        bg_thr: Background threshold of the pseudo-label ``cam``, in [0, 1]; no effect
            without a background class.
        pseudo_sources: Pseudo-labels to attach to each prediction of images with tags.
        predict_tags: Whether to attach ``pred_tags`` to each prediction.
    """

    mode: str = setting('whole', choices=('whole', 'slide'))
    crop_size: tuple[int, int] | None = setting(None, above=0)
    stride: tuple[int, int] | None = setting(None, above=0)
    cam: Any = None
    bg_thr: float = setting(0.45, at_least=0, at_most=1)
    pseudo_sources: tuple[str, ...] = ()
    predict_tags: bool = False

    def __post_init__(self) -> None:
        if self.mode == 'slide' and (self.crop_size is None or self.stride is None):
            raise ValueError("test_cfg.mode='slide' needs crop_size and stride")


@dataclass(frozen=True)
class SegmentorTrainSettings(WeakTrainSettings):
    """Settings of ``train_cfg``, with the keys of mmseg's ``PointHead``."""

    num_points: int = setting(2048, above=0)
    oversample_ratio: float = setting(3, at_least=1)
    importance_sample_ratio: float = setting(0.75, at_least=0, at_most=1)


@dataclass(frozen=True)
class FusedCAMSettings:
    """Constants of the pseudo-label ``fused_cam``, see :func:`.fuse_cam`."""

    bg_alpha: float = setting(1.0, above=0)
    weight: float = setting(1.0, at_least=0)
    floor: float = setting(0.1, above=0, at_most=1)


@dataclass(frozen=True)
class SegmentorTestSettings(WeakTestSettings):
    """Settings of ``test_cfg``, with the keys of mmseg's ``PointHead``.

    Args:
        fused_cam: Constants of the pseudo-label ``fused_cam``.
    """

    fused_cam: FusedCAMSettings = FusedCAMSettings()

    subdivision_steps: int = setting(2, at_least=0)
    subdivision_num_points: int = setting(8196, above=0)
    scale_factor: float = setting(2, above=0)

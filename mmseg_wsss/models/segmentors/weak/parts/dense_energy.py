from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmseg_wsss.utils.settings import read_settings, setting

from ....losses import dense_energy_losses
from ....losses.dense_energy_loss import BACKENDS


@dataclass(frozen=True)
class DenseEnergy:
    """Gated dense energy of heads on one batch, see :func:`.dense_energy_losses`.

    Args:
        sigma_rgb: Standard deviation of colors in 0..255.
        sigma_xy: Standard deviation of positions in pixels.
        scale_factor: Resize factor of all inputs of the energy.
        weight: Weight of the loss; 5.8e-8 is as strong as published for RRM and ASDT,
            5.8e-10 as for AFA and TSCD.
        backend: ``'matmul'``, or ``'triton'`` on CUDA, not measured yet.
    """

    sigma_rgb: float = setting(15.0, above=0)
    sigma_xy: float = setting(100.0, above=0)
    scale_factor: float = setting(0.5, above=0, at_most=1)
    weight: float = setting(5.8e-8, at_least=0)
    backend: str = setting('matmul', choices=BACKENDS)

    def __call__(
        self, logits: Sequence[Tensor], img: Tensor, valid: Tensor, label: Tensor
    ) -> Sequence[Tensor]:
        """Compute the energy of several heads, which share the kernel of the images.

        Args:
            logits: For each head, logits (N, C, H, W).
            img: Colors (N, 3, H, W) in 0..255.
            valid: Pixels (N, H, W) bool of the image, not padding.
            label: Pseudo-label (N, H, W), 255 for unlabeled pixels.

        Returns:
            A scalar for each head.
        """
        probs = [logit.softmax(1) for logit in logits]
        return dense_energy_losses(
            probs,
            img,
            valid,
            label,
            self.sigma_rgb,
            self.sigma_xy,
            self.scale_factor,
            self.weight,
            backend=self.backend,
        )


def build_dense_energy(cfg: Mapping[str, Any] | None) -> DenseEnergy | None:
    """Build the energy from the argument ``dense_energy`` of a method, None if off."""
    return None if cfg is None else read_settings(DenseEnergy, cfg, 'dense_energy')

import numpy as np

from mmseg_wsss.registry import TRANSFORMS
from mmseg_wsss.utils.settings import check_value

from . import color_ops
from .color_transform import ColorTransform


@TRANSFORMS.register_module()
class SemiColorJitter(ColorTransform):
    """Change brightness, contrast, saturation and hue, in random order.

    Defaults are as in MKD (https://arxiv.org/abs/2208.11499, released code) and
    UniMatch (https://arxiv.org/abs/2208.09910).

    Args:
        brightness: The factor is uniform in [1 - brightness, 1 + brightness]; in
            [0, 1], as the next two.
        contrast: The factor is uniform in [1 - contrast, 1 + contrast].
        saturation: The factor is uniform in [1 - saturation, 1 + saturation].
        hue: The rotation, as a fraction of the color circle, is uniform in
            [-hue, hue]; at most 0.5. Images that are not RGB need ``saturation=0`` and
            ``hue=0``.

    Raises:
        ValueError: If a value is negative or too large.
    """

    def __init__(
        self,
        brightness: float = 0.5,
        contrast: float = 0.5,
        saturation: float = 0.5,
        hue: float = 0.25,
    ) -> None:
        check_value('hue', hue, at_least=0, at_most=0.5)
        self.ranges = {
            'brightness': brightness,
            'contrast': contrast,
            'saturation': saturation,
        }
        for name, value in self.ranges.items():
            check_value(name, value, at_least=0, at_most=1)
        self.hue = hue

    def needs_color(self) -> str:
        """Return the remedy for images that are not RGB."""
        colorless = self.ranges['saturation'] == 0 and self.hue == 0
        return '' if colorless else 'set saturation=0 and hue=0'

    def change(self, img: np.ndarray) -> np.ndarray:
        """Apply the four changes with random strengths."""
        factors = {
            name: np.random.uniform(1 - value, 1 + value)
            for name, value in self.ranges.items()
        }
        rotation = np.random.uniform(-self.hue, self.hue)
        steps = [
            lambda img: color_ops.adjust_brightness(img, factors['brightness']),
            lambda img: color_ops.adjust_contrast(img, factors['contrast']),
            lambda img: color_ops.adjust_saturation(img, factors['saturation']),
            lambda img: color_ops.shift_hue(img, rotation),
        ]
        colorless = img.ndim == 2 or img.shape[2] != 3
        for index in np.random.permutation(len(steps)):
            if colorless and index > 1:  # saturation and hue
                continue
            img = steps[index](img)
        return img

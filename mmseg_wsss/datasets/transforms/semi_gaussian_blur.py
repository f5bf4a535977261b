import numpy as np

from mmseg_wsss.registry import TRANSFORMS

from . import color_ops
from .color_transform import ColorTransform


@TRANSFORMS.register_module()
class SemiGaussianBlur(ColorTransform):
    """Blur with a Gaussian of random standard deviation.

    Args:
        sigma: Bounds of the standard deviation in pixels, which is drawn uniformly; by
            default as in MKD and UniMatch.
        kernel: Bounds of the side of the kernel in pixels, drawn uniformly among the
            odd numbers; (3, 7) in MKD. By default the size follows from ``sigma``.

    Raises:
        ValueError: If the bounds are not 0 < low <= high, or contain no odd number.
    """

    def __init__(
        self,
        sigma: tuple[float, float] = (0.1, 2.0),
        kernel: tuple[int, int] | None = None,
    ) -> None:
        if not 0 < sigma[0] <= sigma[1]:
            raise ValueError(f'sigma must be 0 < low <= high, got {sigma}')
        sides: list[int | None] = [None]
        if kernel is not None:
            sides = [side for side in range(kernel[0], kernel[1] + 1) if side % 2]
            if not sides or kernel[0] < 1:
                raise ValueError(
                    f'kernel must be bounds of odd numbers above 0, got {kernel}'
                )
        self.sigma = sigma
        self.sides = sides

    def change(self, img: np.ndarray) -> np.ndarray:
        """Blur with a random standard deviation and kernel size."""
        side = self.sides[np.random.randint(len(self.sides))]
        return color_ops.blur(img, np.random.uniform(*self.sigma), side)

import io

import cv2
import numpy as np
from mmengine import fileio
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from mmseg_wsss.registry import TRANSFORMS

from ..label_maps import LABEL_MODES, LabelRule, require_lossless
from .load_image_strict import require_complete


@TRANSFORMS.register_module()
class LoadAnnotationsStrict(LoadAnnotations):
    """mmseg's ``LoadAnnotations`` for training: invalid masks raise errors.

    Args:
        num_classes: Number C of classes: labels must lie in [0, C) or be
            ``ignore_index``. None skips the check; mmseg's metrics then ignore invalid
            labels silently.
        ignore_index: Value of pixels without a label.
        **kwargs: Arguments of mmseg's ``LoadAnnotations``.
    """

    def __init__(
        self, num_classes: int | None = None, ignore_index: int = 255, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        """Add ``gt_seg_map`` (H, W) uint8.

        Raises:
            FileNotFoundError: If the file ``seg_map_path`` does not exist.
            ValueError: If it is broken, a JPEG or a color image, differs from the image
                in size, or contains invalid labels; the message names it.
        """
        path = results['seg_map_path']
        data = fileio.get(path, backend_args=self.backend_args)
        try:
            require_complete(data)
            _require_labels(data)
            results = super().transform(results)
        except Exception as error:  # the decoders raise errors of many types
            raise ValueError(f'{path}: unreadable label map: {error}') from error
        labels = results['gt_seg_map']
        expected = tuple(results.get('ori_shape', labels.shape))
        if labels.shape != expected:
            raise ValueError(
                f'{path}: expected a label map of shape {expected} as the image, '
                f'found {labels.shape}'
            )
        if self.num_classes is not None:
            rule = LabelRule(self.num_classes, False, ignore_index=self.ignore_index)
            counts = cv2.calcHist([labels], [0], None, [256], [0, 256])
            problem = rule.problem(np.flatnonzero(counts))
            if problem:
                raise ValueError(f'{path}: {problem}')
        return results


def _require_labels(data: bytes) -> None:
    """Check that an image file has one small integer per pixel, not a color."""
    with Image.open(io.BytesIO(data)) as image:
        require_lossless(image)
        if image.mode not in LABEL_MODES:
            raise ValueError(
                f'expected a palette or gray label map (modes {", ".join(LABEL_MODES)})'
                f', found mode {image.mode}'
            )
        largest = int(np.asarray(image).max()) if image.mode.startswith('I') else 0
    if largest > 255:
        raise ValueError(f'expected labels of one byte, found {largest}')

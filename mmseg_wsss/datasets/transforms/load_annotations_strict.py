import io

import numpy as np
from mmengine import fileio
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from mmseg_wsss.registry import TRANSFORMS

from ..label_maps import LABEL_MODES
from .load_image_strict import require_whole


@TRANSFORMS.register_module()
class LoadAnnotationsStrict(LoadAnnotations):
    """mmseg's ``LoadAnnotations``, which refuses wrong masks and names them.

    Args:
        num_classes: Number C of classes: labels must lie in [0, C) or be
            ``ignore_index``. None does not check them, as mmseg, whose metrics then
            leave wrong labels out without a word.
        ignore_index: The value of pixels without a label.
        **kwargs: Arguments of mmseg's ``LoadAnnotations``.
    """

    def __init__(
        self, num_classes: int | None = None, ignore_index: int = 255, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def _load_seg_map(self, results: dict) -> None:
        path = results['seg_map_path']
        data = fileio.get(path, backend_args=self.backend_args)
        try:
            require_whole(data)
            _require_labels(data)
            super()._load_seg_map(results)
        except Exception as error:  # each decoder has errors of its own
            raise ValueError(f'{path}: unreadable label map: {error}') from error
        labels = results['gt_seg_map']
        expected = tuple(results.get('ori_shape', labels.shape))
        if labels.shape != expected:
            raise ValueError(
                f'{path}: expected a label map of shape {expected} as the image, '
                f'found {labels.shape}'
            )
        if self.num_classes is None:
            return
        values = np.unique(labels)
        bad = values[(values >= self.num_classes) & (values != self.ignore_index)]
        if bad.size:
            raise ValueError(
                f'{path}: labels {bad.tolist()} outside [0, {self.num_classes - 1}] '
                f'and not {self.ignore_index} (ignored)'
            )


def _require_labels(data: bytes) -> None:
    """Check that an image holds one small integer a pixel, not a color."""
    with Image.open(io.BytesIO(data)) as image:
        if image.mode not in LABEL_MODES:
            raise ValueError(
                f'expected a palette or gray label map (modes {", ".join(LABEL_MODES)})'
                f', found mode {image.mode}'
            )
        largest = int(np.asarray(image).max()) if image.mode.startswith('I') else 0
    if largest > 255:
        raise ValueError(f'expected labels of one byte, found {largest}')

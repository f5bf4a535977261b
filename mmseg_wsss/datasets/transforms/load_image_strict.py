import io

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from PIL import Image

from mmseg_wsss.registry import TRANSFORMS

END_OF_JPEG = b'\xff\xd9'


def require_whole(data: bytes) -> None:
    """Check that no byte is missing at the end of an image file.

    OpenCV shows what is left of a truncated file, gray below. A JPEG file must end with
    its marker, and the check sums of a PNG file must be right; these checks take no
    decoding. Any other file is decoded by Pillow.

    Args:
        data: Content of the file.

    Raises:
        OSError, SyntaxError, ValueError: It is truncated, or no image.
    """
    with Image.open(io.BytesIO(data)) as image:
        if image.format == 'PNG':
            image.verify()
        elif image.format != 'JPEG' or not data.endswith(END_OF_JPEG):
            image.load()


@TRANSFORMS.register_module()
class LoadImageStrict(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, which refuses broken files and names them.

    Args:
        to_float32: Whether the image becomes float32 instead of uint8.
        color_type: Flag of :func:`mmcv.imfrombytes`.
        imdecode_backend: Backend of :func:`mmcv.imfrombytes`.
        backend_args: Arguments of MMEngine's file backend.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'cv2',
        backend_args: dict | None = None,
    ) -> None:
        super().__init__(
            to_float32=to_float32,
            color_type=color_type,
            imdecode_backend=imdecode_backend,
            backend_args=backend_args,
        )

    def transform(self, results: dict) -> dict:
        """Add ``img`` (H, W, 3), ``img_shape``, ``ori_shape`` and ``valid_map`` (H, W).

        ``valid_map`` is 1 where there is an image. It is listed in ``seg_fields``, so
        that mmseg's geometric transforms carry it along, and what they add is not 1.

        Raises:
            FileNotFoundError: There is no file ``img_path``.
            ValueError: It is broken or no image; names the file.
        """
        path = results['img_path']
        data = fileio.get(path, backend_args=self.backend_args)
        try:
            require_whole(data)
            img = mmcv.imfrombytes(
                data, flag=self.color_type, backend=self.imdecode_backend
            )
        except Exception as error:  # each decoder has errors of its own
            raise ValueError(f'{path}: unreadable image: {error}') from error
        if img is None:
            raise ValueError(f'{path}: unreadable image')
        results['img'] = img.astype('float32') if self.to_float32 else img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        results['valid_map'] = np.ones(img.shape[:2], dtype=np.uint8)
        results.setdefault('seg_fields', []).append('valid_map')
        return results

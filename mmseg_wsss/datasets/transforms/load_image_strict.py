import io

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from PIL import Image

from mmseg_wsss.registry import TRANSFORMS

from ..image_headers import bits_per_channel
from .valid_area import add_valid_map

END_OF_JPEG = b'\xff\xd9'


def require_complete(data: bytes) -> None:
    """Check that an image file is complete.

    OpenCV decodes truncated files and fills the missing part with gray. A JPEG file
    must end with its marker and the checksums of a PNG file must be right, which is
    checked without decoding; files of other formats are decoded by Pillow.

    Args:
        data: Content of the file.

    Raises:
        OSError, SyntaxError, ValueError: If the file is truncated or not an image.
    """
    with Image.open(io.BytesIO(data)) as image:
        if image.format == 'PNG':
            image.verify()
        elif image.format != 'JPEG' or not data.endswith(END_OF_JPEG):
            image.load()


@TRANSFORMS.register_module()
class LoadImageStrict(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` for training: broken files raise errors.

    ``color_type='color'`` gives 3 channels in BGR, ``'grayscale'`` 1 channel, both in 8
    bits, and ``'unchanged'`` the channels of the file. Files with more than 8 bits per
    channel need ``'unchanged'`` and become float32 in their own range, e.g. [0, 4095]:
    ``mean`` and ``std`` of the data preprocessor and ``pad_val`` of ``RandomCropPad``
    must be in this range.

    Args:
        to_float32: Whether to convert the image from uint8 to float32.
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
        """Add ``img``, ``img_shape``, ``ori_shape`` and ``valid_map`` (H, W).

        ``img`` is (H, W, channels), or (H, W) for a single channel, uint8 or float32.

        Raises:
            FileNotFoundError: If the file ``img_path`` does not exist.
            ValueError: If it is broken or not an image, or has more bits than
                ``color_type`` keeps; the message names it.
        """
        path = results['img_path']
        data = fileio.get(path, backend_args=self.backend_args)
        try:
            require_complete(data)
            img = mmcv.imfrombytes(
                data, flag=self.color_type, backend=self.imdecode_backend
            )
        except Exception as error:  # the decoders raise errors of many types
            raise ValueError(f'{path}: unreadable image: {error}') from error
        if img is None:
            raise ValueError(f'{path}: unreadable image')
        if self.color_type != 'unchanged' and (bits := bits_per_channel(data)) > 8:
            raise ValueError(
                f'{path}: {bits} bits per channel, of which '
                f'color_type={self.color_type!r} keeps the upper 8; set '
                "color_type='unchanged', and mean, std and pad_val in the range of the "
                'file, or convert the files to 8 bits'
            )
        convert = self.to_float32 or img.dtype != np.uint8
        results['img'] = img.astype(np.float32) if convert else img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        add_valid_map(results)
        return results

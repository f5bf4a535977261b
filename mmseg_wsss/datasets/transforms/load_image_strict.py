import io

import mmcv
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from PIL import Image

from mmseg_wsss.registry import TRANSFORMS

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
        """Add ``img`` (H, W, 3), ``img_shape``, ``ori_shape`` and ``valid_map`` (H, W).

        Raises:
            FileNotFoundError: If the file ``img_path`` does not exist.
            ValueError: If it is broken or not an image; names the file.
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
        results['img'] = img.astype('float32') if self.to_float32 else img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        add_valid_map(results)
        return results

"""Size and depth of image files, from their headers."""

import io

from PIL import Image

from mmseg_wsss.utils.files import StrPath

from .label_maps import IMAGE_ERRORS

ROTATED = ('color', 'grayscale')  # color types with which mmcv applies EXIF data
EXIF_ORIENTATION = 0x0112
EXIF_ROTATED = (5, 6, 7, 8)  # by 90 or 270 degrees
HEADER_OF_PNG = 26  # bytes up to the color type


def bits_per_channel(data: bytes) -> int:
    """Return the bits per channel of an image file, from its header.

    Args:
        data: Content of a file that Pillow can open.
    """
    if data.startswith(b'\xff\xd8'):  # JPEG
        return 8
    with Image.open(io.BytesIO(data)) as image:
        return _bits(image, data)


def _bits(image: Image.Image, data: bytes) -> int:
    if image.format == 'PNG':
        return data[24]  # Pillow reports 8 for RGB of 16 bits
    if image.format == 'TIFF':
        tags = getattr(image, 'tag_v2', {})
        return max(tags.get(258, (1,)))  # BitsPerSample
    return {'I': 32, 'F': 32}.get(image.mode[:1], 8)


def read_header(
    path: StrPath, rotate: bool = True
) -> tuple[tuple[int, int], int] | None:
    """Return the size of an image file and its bits per channel.

    Args:
        path: The file; pixels are not decoded.
        rotate: Whether to apply the EXIF orientation of a JPEG file.

    Returns:
        (height, width) and bits per channel; None if the file is missing or not an
        image.
    """
    try:
        with open(path, 'rb') as file, Image.open(file) as image:
            # Pillow decodes files of other formats to find the orientation.
            size = loaded_size(image, rotate and image.format == 'JPEG')
            file.seek(0)
            bits = _bits(image, file.read(HEADER_OF_PNG))
    except IMAGE_ERRORS:
        return None
    return size, bits


def loaded_size(image: Image.Image, rotate: bool = True) -> tuple[int, int]:
    """Return (height, width) of an image as mmcv loads it.

    Args:
        image: An open image.
        rotate: Whether its loader applies the EXIF orientation: whether its color type
            is one of ``ROTATED``.
    """
    width, height = image.size
    rotated = rotate and image.getexif().get(EXIF_ORIENTATION) in EXIF_ROTATED
    return (width, height) if rotated else (height, width)

"""Number of pixels that are processed at a time."""

import torch

# On a CPU: few enough for its cache. Elsewhere every chunk costs kernel launches, so
# only memory matters: 2**26 values are 256 MiB in float32.
_CACHED_PIXELS, _VALUES = 2**14, 2**26


def chunk_rows(
    shape: torch.Size, channels: int, device: torch.device, chunk_size: int | None
) -> int:
    """Return the number of rows, of all maps of a batch, to process at a time.

    Args:
        shape: Shape (N, H, W) of the maps.
        channels: Number of values per pixel, at least 1.
        device: Device of the maps.
        chunk_size: Number of pixels at a time; None for a number that suits the device.

    Returns:
        Number of rows, at least 1.

    Example:
        >>> chunk_rows(torch.Size([8, 384, 384]), 21, torch.device('cpu'), None)
        5
    """
    if chunk_size is None:
        chunk_size = _CACHED_PIXELS
        if device.type != 'cpu':
            chunk_size = max(chunk_size, _VALUES // channels)
    return max(1, chunk_size // max(1, shape[0] * shape[2]))

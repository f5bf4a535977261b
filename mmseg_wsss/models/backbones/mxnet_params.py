"""Reader of MXNet's ``.params`` files, without MXNet.

A file is a list of arrays followed by a list of names, all little-endian::

    uint64 0x112, uint64 reserved
    uint64 number of arrays, the arrays
    uint64 number of names, each as uint64 length and UTF-8 bytes

    array V2: uint32 0xF993FAC9, int32 storage type (0: dense), uint32 ndim,
              int64 dims[ndim], then, unless ndim is 0: context, type flag, data
    array V3: as V2 with magic 0xF993FACA; ndim 0 is a scalar, ndim -1 no array
    array V1: uint32 0xF993FAC8, uint32 ndim, int64 dims[ndim], then as V2
    older:    uint32 ndim, uint32 dims[ndim], then as V2

    context:  int32 device type, int32 device id;   type flag: int32
"""

import math
import mmap
import os
import struct
from pathlib import Path

import numpy as np

LIST_MAGIC = 0x112
V1_MAGIC, V2_MAGIC, V3_MAGIC = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
MAX_NDIM = 32

# Position in the list is MXNet's type flag.
DTYPES = ('<f4', '<f8', '<f2', 'u1', '<i4', 'i1', '<i8', '?')


class _Reader:
    """Cursor over a file that checks every read against the end of the file."""

    def __init__(self, path: str | os.PathLike, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.offset = 0

    def error(self, problem: str) -> ValueError:
        return ValueError(f'{self.path}: {problem} (MXNet params file)')

    def skip(self, size: int, what: str) -> int:
        """Move on by ``size`` bytes and return where they start."""
        start, left = self.offset, len(self.data) - self.offset
        if size > left:
            raise self.error(
                f'ends at byte {len(self.data)}, inside {what}: expected {size} bytes '
                f'from byte {start}, found {left}'
            )
        self.offset += size
        return start

    def number(self, code: str, what: str) -> int:
        layout = '<' + code
        start = self.skip(struct.calcsize(layout), what)
        return struct.unpack_from(layout, self.data, start)[0]

    def count(self, what: str, min_size: int) -> int:
        """Read a uint64 length that the rest of the file can hold."""
        start, count = self.offset, self.number('Q', what)
        left = len(self.data) - self.offset
        if count * min_size > left:
            raise self.error(
                f'{what} is {count} at byte {start}, but only {left} bytes follow'
            )
        return count

    def text(self, what: str) -> str:
        size = self.count(f'length of {what}', 1)
        start = self.skip(size, what)
        try:
            return self.data[start : start + size].decode('utf-8')
        except UnicodeDecodeError as exc:
            raise self.error(f'{what} at byte {start} is not UTF-8') from exc

    def array(self, what: str) -> np.ndarray | None:
        """Read an array, or None if the file marks it as absent."""
        start, magic = self.offset, self.number('I', what)
        ndim, dim_code = magic, 'I'
        if magic in (V1_MAGIC, V2_MAGIC, V3_MAGIC):
            if magic != V1_MAGIC and (storage := self.number('i', what)) != 0:
                raise self.error(
                    f'{what} at byte {start} has storage type {storage}; only dense '
                    'arrays (0) are supported'
                )
            ndim, dim_code = self.number('i', what), 'q'
        if ndim == (-1 if magic == V3_MAGIC else 0):
            return None
        if not 0 <= ndim <= MAX_NDIM:
            raise self.error(
                f'{what} at byte {start} has {ndim} dimensions; expected at most '
                f'{MAX_NDIM} (or an unknown version of the format)'
            )
        shape = [self.number(dim_code, what) for _ in range(ndim)]
        if any(dim < 0 for dim in shape):
            raise self.error(f'{what} at byte {start} has the shape {shape}')
        self.skip(8, what)
        flag = self.number('i', what)
        if not 0 <= flag < len(DTYPES):
            raise self.error(
                f'{what} at byte {start} has type flag {flag}; expected one in '
                f'[0, {len(DTYPES) - 1}]'
            )
        dtype, size = np.dtype(DTYPES[flag]), math.prod(shape)
        begin = self.skip(size * dtype.itemsize, f'the data of {what}')
        return np.frombuffer(self.data, dtype, size, begin).reshape(shape).copy()


def read_mxnet_params(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read the named arrays of an MXNet ``.params`` file.

    Args:
        path: File written by ``mx.nd.save`` or ``Module.save_params``, of any version
            of the format.

    Returns:
        Arrays by name, names as stored (``'arg:conv0_weight'``, ``'aux:...'``).

    Raises:
        ValueError: If the file is of another format, truncated, or stores arrays
            without names, sparse arrays or an unknown type; the message names the file
            and, if known, the byte.
    """
    if Path(path).stat().st_size == 0:
        raise ValueError(f'{path}: is empty (MXNet params file)')
    with (
        open(path, 'rb') as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        reader = _Reader(path, data)
        magic = reader.number('Q', 'the magic number')
        if magic != LIST_MAGIC:
            raise reader.error(
                f'expected magic number {LIST_MAGIC:#x} at byte 0, found {magic:#x}'
            )
        reader.skip(8, 'the header')
        count = reader.count('number of arrays', 4)
        arrays = [reader.array(f'array {i} of {count}') for i in range(count)]
        names_at, num_names = reader.offset, reader.count('number of names', 8)
        if num_names != count:
            raise reader.error(
                f'expected {count} names, one per array, found {num_names} at byte '
                f'{names_at}'
            )
        names = [reader.text(f'name {i} of {count}') for i in range(count)]
    if len(set(names)) != count:
        raise ValueError(f'{path}: has two arrays of one name (MXNet params file)')
    return {name: array for name, array in zip(names, arrays) if array is not None}

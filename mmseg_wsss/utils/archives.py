"""Unpacking archives of data sets: only files and folders, only inside the folder."""

import gzip
import lzma
import os
import secrets
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

from .files import inside

StrPath = str | os.PathLike[str]

SUFFIXES = ('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz', '.zip')

# What tarfile and zipfile raise for broken, encrypted and unknown files; our refusals.
ARCHIVE_ERRORS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    RuntimeError,
    ValueError,
)


def unpacked(path: StrPath) -> Path:
    """Folder of a data set that may still be an archive.

    An archive is unpacked beside itself, into a folder of its name without suffix,
    unless that folder is there already: it appears only when it is complete.

    Args:
        path: A folder, or a tar or zip file.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: Not an archive, a broken one, or one that :func:`unpack` refuses.
    """
    path = Path(path)
    if path.is_dir():
        return path
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file or folder')
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise ValueError(f'{path}: expected a folder or one of {", ".join(SUFFIXES)}')
    folder = path.with_name(path.name[: -len(suffix)])
    if not folder.exists():
        unpack(path, folder)
    return folder


def unpack(archive: StrPath, folder: StrPath) -> None:
    """Unpack a tar or zip file into a new folder, all of it or nothing.

    Args:
        archive: The file.
        folder: A folder that does not exist yet.

    Raises:
        ValueError: The archive is broken, or holds links, devices, or paths that lead
            out of the folder; names archive and member.
        FileExistsError: The folder exists.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f'{folder} exists already')
    part = folder.with_name(f'.{folder.name}.{secrets.token_hex(4)}.part')
    part.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, part)
        else:
            _unpack_tar(archive, part)
        os.replace(part, folder)
    except ARCHIVE_ERRORS as error:
        raise ValueError(f'{archive}: {error}') from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unpack_zip(archive: StrPath, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            inside(folder, member.filename.replace('\\', '/'))
            file.extract(member, folder)


def _unpack_tar(archive: StrPath, folder: Path) -> None:
    with tarfile.open(archive) as file:
        # Before 3.10.12 and 3.11.4 there is no filter; the checks below do without.
        file.extraction_filter = getattr(tarfile, 'data_filter', None)
        for member in file:
            # Stricter than the filter, which lets links through whose targets it
            # deems inside; the data sets have none.
            if not (member.isfile() or member.isdir()):
                raise ValueError(
                    f'{member.name!r} is neither a file nor a folder; unpack the '
                    'archive yourself if you trust it, and give its folder'
                )
            inside(folder, member.name)
            file.extract(member, folder)
        # The check sum of a compressed file lies behind the last member.
        while file.fileobj is not None and file.fileobj.read(1 << 20):
            pass

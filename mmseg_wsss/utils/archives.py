"""Unpack archives of data sets: only files and folders, only inside the target."""

import gzip
import lzma
import os
import secrets
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

from .files import StrPath, inside

SUFFIXES = ('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz', '.zip')

# Errors of tarfile and zipfile for damaged, encrypted or unknown files, and our own.
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
    """Return the folder of a data set, unpacking it first if it is an archive.

    An archive is unpacked into a folder next to it, named like the archive without its
    suffix, unless this folder exists. The folder appears only once it is complete.

    Args:
        path: A folder, or a tar or zip file.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If the file is not an archive, or :func:`unpack` rejects it.
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
    """Unpack a tar or zip file into a new folder, completely or not at all.

    Args:
        archive: Path of the archive.
        folder: Folder to create.

    Raises:
        ValueError: If the archive is damaged, or has links, devices or paths outside
            the folder; the message names the archive.
        FileExistsError: If the folder exists.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f'{folder} already exists')
    part = folder.with_name(f'.{folder.name}.{secrets.token_hex(4)}.part')
    part.mkdir(parents=True)
    try:
        # A tar file that ends with a zip file counts as one for is_zipfile, too.
        if zipfile.is_zipfile(archive) and not tarfile.is_tarfile(archive):
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
        # Python before 3.10.12 and 3.11.4 has no filter; the checks below suffice.
        file.extraction_filter = getattr(tarfile, 'data_filter', None)
        for member in file:
            # Stricter than the filter, which allows links to targets inside the folder;
            # the data sets have none.
            if not (member.isfile() or member.isdir()):
                raise ValueError(
                    f'{member.name!r} is neither a file nor a folder; unpack the '
                    'archive yourself if you trust it, and use its folder'
                )
            inside(folder, member.name)
            file.extract(member, folder)
        # A compressed file has its checksum after the last member: read up to it.
        while file.fileobj is not None and file.fileobj.read(1 << 20):
            pass

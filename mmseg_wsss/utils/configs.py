"""Where the configs of the package lie."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def config_path(name: str = '') -> str:
    """Absolute path of a config, wherever the package is installed or cloned.

    A config anywhere on disk inherits from one of ours, without a path of its own::

        _base_ = __import__('mmseg_wsss').config_path('asdt/NAME.py')

    MMEngine evaluates this line, and takes configs with an ``import`` for another kind.

    Args:
        name: Path below ``configs/``; the folder itself by default.

    Raises:
        FileNotFoundError: There is no such config; names the folder.
    """
    folders = (PACKAGE / '.mim' / 'configs', PACKAGE.parent / 'configs')
    folder = next((path for path in folders if path.is_dir()), folders[-1])
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(f'no config {name!r} in {folder}')
    return str(path)

"""Check the versions of the required packages at import.

The check reads the version of the *imported module*, not of an installed distribution:
the OneDL forks and the original OpenMMLab packages share their import names, so only
the module identifies the package in use.
"""

import importlib
import importlib.util
import re
import sys
import warnings
from types import ModuleType

INSTALL_HINT = (
    "install one family, never both: pip install 'mmseg_wsss[onedl]' (OneDL forks) or "
    "pip install 'mmseg_wsss[openmmlab]' (original OpenMMLab packages); "
    '`python -m mmseg_wsss.doctor` examines the environment'
)
# Oldest supported versions, in both families.
LOWER = {'torch': '2.1', 'mmengine': '0.10.5', 'mmcv': '2.1.0', 'mmseg': '1.2.2'}
# Newest tested versions; newer ones trigger a warning.
TESTED = {'torch': '2.13', 'mmengine': '0.10.12', 'mmcv': '2.3.6', 'mmseg': '1.4.2'}


def check_versions() -> None:
    """Check the versions of torch, mmengine, mmcv and mmseg.

    Raises:
        ImportError: If a module is missing, cannot be imported, or is older than
            ``LOWER``. The message gives the version, the path and the install command.

    Warns:
        UserWarning: Once, if any version is newer than ``TESTED``.
    """
    found = {name: _import(name) for name in LOWER}
    newer = []
    for name, module in found.items():
        version = _version(module)
        if compare_versions(version, LOWER[name]) < 0:
            raise ImportError(
                f'mmseg_wsss needs {name} >= {LOWER[name]}, but found {version}, '
                f'imported from {_place(module)}; {INSTALL_HINT}'
            )
        if compare_versions(version, TESTED[name]) > 0:
            newer.append(f'{name} {version} (tested up to {TESTED[name]})')
    if newer:
        warnings.warn(
            f'mmseg_wsss was not tested with {", ".join(newer)}',
            UserWarning,
            stacklevel=3,
        )


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise _broken(name, error) from error
        raise ImportError(
            f'mmseg_wsss needs {name} >= {LOWER[name]}, but found no module {name} in '
            f'{sys.prefix}; {INSTALL_HINT}'
        ) from error
    except (ImportError, AssertionError) as error:
        # mmseg 1.2.2 asserts that the version of mmcv is supported.
        raise _broken(name, error) from error


def _broken(name: str, error: BaseException) -> ImportError:
    spec = importlib.util.find_spec(name)
    place = spec.origin if spec else sys.prefix
    return ImportError(
        f'mmseg_wsss needs {name} >= {LOWER[name]}, but the {name} found at {place} '
        f'cannot be imported ({error}); {INSTALL_HINT}'
    )


def _version(module: ModuleType) -> str:
    version = getattr(module, '__version__', None)
    if version is None:
        raise ImportError(
            f'mmseg_wsss needs {module.__name__} >= {LOWER[module.__name__]}, but the '
            f'module found at {_place(module)} has no version; {INSTALL_HINT}'
        )
    return str(version)


def _place(module: ModuleType) -> str:
    path = getattr(module, '__file__', None) or getattr(module, '__path__', None)
    return str(path or 'an unknown place')


def compare_versions(version: str, bound: str) -> int:
    """Compare a version with a bound, to as many components as the bound has.

    Args:
        version: Version; a suffix such as ``+cu128`` or ``rc1`` is ignored.
        bound: Version to compare with.

    Returns:
        -1 if ``version`` is older than ``bound``, 0 if equal, 1 if newer.

    Example:
        >>> compare_versions('2.13.1+cu128', '2.13')
        0
    """
    ours, theirs = _digits(version), _digits(bound)
    ours = (ours + (0,) * len(theirs))[: len(theirs)]
    return (ours > theirs) - (ours < theirs)


def _digits(version: str) -> tuple[int, ...]:
    match = re.match(r'\d+(\.\d+)*', version)
    return tuple(int(part) for part in match[0].split('.')) if match else ()


def runs_doctor() -> bool:
    """Return whether ``python -m mmseg_wsss.doctor`` is importing the package.

    The doctor finds out why an import fails, so the import of this package then skips
    the version check and the registration. Python sets ``sys.argv[0]`` to ``-m`` while
    it locates the module to run.
    """
    return sys.argv[:1] == ['-m'] and 'mmseg_wsss.doctor' in sys.orig_argv

"""Result of a check, and functions that inspect installed modules."""

import importlib
import io
import warnings
from contextlib import redirect_stdout
from importlib.metadata import distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

OK, NOTE, PROBLEM = 'ok', 'note', 'problem'
MM_MODULES = ('mmengine', 'mmcv', 'mmseg', 'mmpretrain')


class Finding(NamedTuple):
    """Result of a check: ``ok``, ``note`` or ``problem``, and the remedy."""

    status: str
    text: str
    remedy: str = ''


def distributions(module: str) -> list[str]:
    """Return the installed distributions that provide a module, each once."""
    return sorted(set(packages_distributions().get(module, ())))


def origin(module: str) -> Path | None:
    """Return the location of a module; None if it is missing.

    A top-level module is not imported; the parent packages of a submodule are.
    """
    try:
        spec = find_spec(module)
    except Exception:  # a broken parent may raise anything
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin or module)


def is_hidden(name: str, place: Path) -> bool:
    """Return whether a module at ``place`` hides its installed distribution."""
    installed = distribution(name)
    editable = '"editable": true' in (installed.read_text('direct_url.json') or '')
    root = Path(str(installed.locate_file(''))).resolve()
    return not editable and not place.resolve().is_relative_to(root)


def try_import(module: str) -> ModuleType | str:
    """Import a module; return the first line of the error if that fails."""
    try:
        # The output and the warnings of the modules are not findings.
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return importlib.import_module(module)
    except Exception as error:
        lines = str(error).splitlines() or ['']
        return f'{type(error).__name__}: {lines[0]}'


def family() -> str | None:
    """Return ``'onedl'``, ``'openmmlab'``, or None if neither or both are installed."""
    found = {name for module in MM_MODULES for name in distributions(module)}
    onedl = {name for name in found if name.startswith('onedl-')}
    if not found or (onedl and found - onedl):
        return None
    return 'onedl' if onedl else 'openmmlab'

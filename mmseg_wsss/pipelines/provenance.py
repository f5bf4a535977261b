"""Describe the origin of a result: processor, versions and commit."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    'torch',
    'numpy',
    'mmseg_wsss',
    'mmengine',
    'onedl-mmengine',
    'mmsegmentation',
    'onedl-mmsegmentation',
    'mmcv',
    'mmcv-lite',
    'onedl-mmcv',
)
CPU_INFO = Path('/proc/cpuinfo')


def processor() -> str:
    """Return the model of the processor, or its architecture if unknown."""
    text = CPU_INFO.read_text('utf-8', 'replace') if CPU_INFO.is_file() else ''
    for line in text.splitlines():
        key, _, value = line.partition(':')
        if key.strip() == 'model name' and value.strip():
            return ' '.join(value.split())
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages on which a result depends.

    ``commit`` is the last one that changed this package, if the package is in a clone,
    with ``-dirty`` appended if its tracked files have other changes.
    """
    found = {'python': platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    commit = _commit()
    return found | ({'commit': commit} if commit else {})


def _commit() -> str | None:
    commit = _git('log', '-1', '--format=%H', '--', '.')
    changed = commit and _git('status', '--porcelain', '--untracked-files=no', '.')
    return f'{commit}-dirty' if changed else commit


def _git(*words: str) -> str | None:
    """Return the output of git in the folder of this package; None without any."""
    folder = Path(__file__).resolve().parents[1]
    command = ['git', '--no-optional-locks', *words]
    try:
        found = subprocess.run(  # noqa: S603
            command, cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:  # no git
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None

"""Build of mmseg_wsss.

Configs, tools and model-index.yml lie at the top of the repository and travel inside
the package, under ``mmseg_wsss/.mim``, as in the other OpenMMLab packages.
"""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PACKAGE = 'mmseg_wsss'
CARRIED = ('configs', 'tools', 'model-index.yml')


def read_version() -> str:
    """Version from version.py, read as text: importing it would need torch."""
    path = ROOT / PACKAGE / 'version.py'
    match = re.search(r"^__version__ = '([^']+)'$", path.read_text('utf-8'), re.M)
    if match is None:
        raise RuntimeError(f"expected a line __version__ = '...' in {path}")
    return match[1]


def read_requirements(name: str) -> list[str]:
    """Requirements of one file in requirements/, without comments."""
    text = (ROOT / 'requirements' / f'{name}.txt').read_text('utf-8')
    lines = (line.partition('#')[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def read_readme() -> str:
    """The README, shown by package indices."""
    path = ROOT / 'README.md'
    return path.read_text('utf-8') if path.exists() else ''


def carried_files() -> list[Path]:
    """Every file of CARRIED, relative to the repository, without caches."""
    files: list[Path] = []
    for name in CARRIED:
        top = ROOT / name
        found = [top] if top.is_file() else sorted(top.rglob('*'))
        files += [path.relative_to(ROOT) for path in found if path.is_file()]
    return [path for path in files if '__pycache__' not in path.parts]


class BuildWithMim(build_py):
    """Copy configs, tools and model-index.yml to ``.mim`` of what is built.

    An editable install gets links instead, so that it always sees the present files;
    git ignores the folder.
    """

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            link_mim()
            return
        # Nothing of an earlier build may travel along.
        shutil.rmtree(os.path.join(self.build_lib, PACKAGE, '.mim'), ignore_errors=True)
        for source, target in self._mim():
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(ROOT / source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs = list(super().get_outputs(include_bytecode))
        if self.editable_mode:
            return outputs
        return outputs + [target for _, target in self._mim()]

    def _mim(self) -> list[tuple[Path, str]]:
        base = os.path.join(self.build_lib, PACKAGE, '.mim')
        return [(path, os.path.join(base, path)) for path in carried_files()]


def link_mim() -> None:
    """Fill ``mmseg_wsss/.mim`` of the work tree with links (copies where none work)."""
    folder = ROOT / PACKAGE / '.mim'
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    for name in CARRIED:
        target = folder / name
        try:
            target.symlink_to(Path('..', '..', name))
        except OSError:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, target)


EXTRAS = {
    'onedl': read_requirements('onedl'),
    'openmmlab': read_requirements('openmmlab'),
    'crf': read_requirements('optional'),
    'tests': read_requirements('tests'),
}
# Everything but the families, which exclude each other: 'mmseg_wsss[onedl,all]'.
EXTRAS['all'] = sorted({*EXTRAS['crf'], *EXTRAS['tests']})

setup(
    name=PACKAGE,
    version=read_version(),
    description='Weakly and semi-supervised semantic segmentation for mmsegmentation',
    long_description=read_readme(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed']},
    install_requires=read_requirements('runtime'),
    extras_require=EXTRAS,
    cmdclass={'build_py': BuildWithMim},
    include_package_data=False,
    zip_safe=False,
)

"""Set-up, import and registration of the package."""

import json
import os
import re
import subprocess
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from mmseg_wsss import __version__, compat

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str) -> str:
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fake(name: str, version: str | None) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = f'/somewhere/{name}/__init__.py'
    if version is not None:
        module.__version__ = version
    return module


class TestVersions:
    def check_with(self, monkeypatch, versions: dict[str, str | None]) -> list[str]:
        """Messages of the warnings with some modules replaced by fakes."""
        for name, version in versions.items():
            monkeypatch.setitem(sys.modules, name, fake(name, version))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            compat.check_versions()
        assert all(warning.category is UserWarning for warning in caught)
        return [str(warning.message) for warning in caught]

    @pytest.mark.parametrize(
        ('name', 'version'),
        [('torch', '2.0.1'), ('mmcv', '2.0.1'), ('mmseg', '1.2.1'), ('mmcv', '1.7.2')],
    )
    def test_too_old(self, monkeypatch, name, version):
        with pytest.raises(ImportError) as error:
            self.check_with(monkeypatch, {name: version})
        message = str(error.value)
        bound = compat.LOWER[name]
        assert f'needs {name} >= {bound}, but found {version}' in message
        assert f'/somewhere/{name}/__init__.py' in message
        assert 'mmseg_wsss[onedl]' in message
        assert 'mmseg_wsss[openmmlab]' in message
        assert '\n' not in message

    def test_bounds_are_included(self, monkeypatch):
        lower = {'torch': '2.1.0+cu118', 'mmcv': '2.1.0', 'mmseg': '1.2.2'}
        assert self.check_with(monkeypatch, lower) == []
        tested = {'torch': '2.13.1', 'mmcv': '2.3.6', 'mmseg': '1.4.2'}
        assert self.check_with(monkeypatch, tested) == []

    def test_newer_warns_once_and_goes_on(self, monkeypatch):
        (message,) = self.check_with(
            monkeypatch, {'torch': '3.0.0', 'mmcv': '2.3.7', 'mmseg': '1.4.2'}
        )
        assert 'torch 3.0.0 (tested up to 2.13)' in message
        assert 'mmcv 2.3.7 (tested up to 2.3.6)' in message
        assert 'mmseg' not in message.replace('mmseg_wsss', '')

    def test_no_version(self, monkeypatch):
        with pytest.raises(
            ImportError, match=r'module found at .*mmseg.* has no version'
        ):
            self.check_with(monkeypatch, {'mmseg': None})

    @pytest.mark.parametrize('name', list(compat.LOWER))
    def test_missing(self, monkeypatch, name):
        monkeypatch.setitem(compat.LOWER, f'{name}_absent', compat.LOWER[name])
        with pytest.raises(ImportError) as error:
            compat.check_versions()
        message = str(error.value)
        assert f'found no module {name}_absent in {sys.prefix}' in message
        assert 'mmseg_wsss[onedl]' in message
        assert 'mmseg_wsss[openmmlab]' in message

    def test_module_that_refuses_its_company(self, monkeypatch, tmp_path):
        # As mmseg 1.2.2 beside mmcv 2.2.0.
        (tmp_path / 'picky.py').write_text('assert False, "mmcv==2.2.0 is too new"')
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setitem(compat.LOWER, 'picky', '1.0')
        with pytest.raises(ImportError, match='cannot be imported') as error:
            compat.check_versions()
        assert 'mmcv==2.2.0 is too new' in str(error.value)
        assert str(tmp_path / 'picky.py') in str(error.value)

    def test_module_with_a_missing_dependency(self, monkeypatch, tmp_path):
        (tmp_path / 'needy.py').write_text('import nowhere_to_be_found')
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setitem(compat.LOWER, 'needy', '1.0')
        with pytest.raises(ImportError, match="No module named 'nowhere_to_be_found'"):
            compat.check_versions()

    def test_pins_are_the_tested_versions(self):
        files = (ROOT / 'requirements').glob('constraints*.txt')
        text = '\n'.join(file.read_text() for file in files)
        pins = dict(re.findall(r'^([\w.-]+)==(\S+)', text, re.M))
        tested = compat.TESTED
        assert pins['onedl-mmengine'] == tested['mmengine']
        assert pins['onedl-mmcv'] == tested['mmcv']
        assert pins['onedl-mmsegmentation'] == tested['mmseg']
        assert pins['torch'].startswith(tested['torch'] + '.')


# Prints {registry: {name: module}} of all that mmseg's registries hold.
SNAPSHOT = """
import importlib, json, mmseg.registry
from mmengine.registry import Registry
def snapshot():
    nodes = {k: v for k, v in vars(mmseg.registry).items() if isinstance(v, Registry)}
    return {k: {n: c.__module__ for n, c in v.module_dict.items()}
            for k, v in nodes.items()}
def load_mmseg():
    for part in ('models', 'datasets', 'engine', 'evaluation', 'visualization',
                 'structures'):
        importlib.import_module(f'mmseg.{part}')
"""
OURS_FIRST = (
    """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    import mmseg_wsss
from pathlib import Path
package = str(Path(mmseg_wsss.__file__).parent)  # a clone may have its name, too
ours = [w for w in caught if 'mmseg_wsss' in str(w.message) or package in w.filename]
assert not ours, ours
"""
    + SNAPSHOT
    + """
load_mmseg()
first = snapshot()
warnings.simplefilter('error')
import mmseg_wsss
importlib.reload(mmseg_wsss)
assert snapshot() == first
import sys
assert 'mmpretrain.models' not in sys.modules
print(json.dumps(first))
"""
)
MMSEG_FIRST = (
    SNAPSHOT
    + """
load_mmseg()
fresh = snapshot()
import mmseg_wsss, pkgutil
both = snapshot()
for module in pkgutil.walk_packages(mmseg_wsss.__path__, 'mmseg_wsss.'):
    # Triton is there with CUDA only, and its module registers nothing.
    if not module.name.startswith('helpers') and 'triton' not in module.name:
        importlib.import_module(module.name)
late = {n for k, v in snapshot().items() for n in v.keys() - both[k].keys()}
assert not late, f'import mmseg_wsss does not register {late}'
parents = {k: list(getattr(mmseg.registry, k).parent.module_dict) for k in both}
print(json.dumps([fresh, both, parents]))
"""
)


@pytest.fixture(scope='module')
def mmseg_first() -> list[dict]:
    return json.loads(run_python(MMSEG_FIRST).splitlines()[-1])


class TestRegistration:
    def test_order_and_repetition_change_nothing(self, mmseg_first):
        ours_first = json.loads(run_python(OURS_FIRST).splitlines()[-1])
        assert ours_first == mmseg_first[1]

    def test_no_name_clashes_with_mmseg(self, mmseg_first):
        fresh, both, parents = mmseg_first
        ours = [
            (registry, name)
            for registry, names in both.items()
            for name, module in names.items()
            if module.startswith('mmseg_wsss.')
        ]
        assert ours
        for registry, name in ours:
            assert name not in fresh[registry], f'{name} hides a {registry} of mmseg'
            assert name not in parents[registry], f'{name} hides one of MMEngine'
        # Nothing else changed: no name of mmseg was replaced.
        for registry, name in ours:
            del both[registry][name]
        assert both == fresh


class TestBuild:
    @pytest.fixture(scope='class')
    def tree(self, tmp_path_factory) -> Path:
        """A copy of what git tracks or would track, with one tool and one config."""
        root = tmp_path_factory.mktemp('tree')
        listed = subprocess.run(
            ['git', 'ls-files', '-co', '--exclude-standard', '-z'],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if listed.returncode:
            pytest.skip('not in a git work tree')
        for name in filter(None, listed.stdout.split('\0')):
            source = ROOT / name
            if source.is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(source.read_bytes())
        cache = root / 'tools' / '__pycache__'
        cache.mkdir()
        (cache / 'train.pyc').touch()
        return root

    def names_below(self, tree: Path, folder: str) -> set[str]:
        files = (path for path in (tree / folder).rglob('*') if path.is_file())
        names = {path.relative_to(tree).as_posix() for path in files}
        return {name for name in names if '__pycache__' not in name}

    def test_wheel_carries_configs_and_tools(self, tree, tmp_path):
        options = ['-q', '--no-deps', '--no-index', '--no-build-isolation']
        subprocess.run(
            [sys.executable, '-m', 'pip', 'wheel', *options, '-w', tmp_path, tree],
            check=True,
        )
        (wheel,) = tmp_path.glob('*.whl')
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
            metadata = archive.read(
                f'mmseg_wsss-{__version__}.dist-info/METADATA'
            ).decode()
        wanted = self.names_below(tree, 'configs') | self.names_below(tree, 'tools')
        wanted |= {'model-index.yml'}
        carried = {f'mmseg_wsss/.mim/{name}' for name in wanted}
        modules = self.names_below(tree, 'mmseg_wsss')
        ours = {name for name in names if '.dist-info/' not in name}
        assert ours == carried | modules
        assert not re.search(
            r'^Requires-Dist: (onedl-)?mm\w+[^;\n]*$', metadata, re.M
        ), 'a family of OpenMMLab packages must stay an extra'
        extras = set(re.findall(r'^Provides-Extra: (\w+)$', metadata, re.M))
        assert extras == {'onedl', 'openmmlab', 'crf', 'tests', 'all'}

    def test_sdist_can_be_built_from(self, tree, tmp_path):
        subprocess.run(
            [sys.executable, 'setup.py', '-q', 'sdist', '-d', str(tmp_path)],
            cwd=tree,
            check=True,
            capture_output=True,
        )
        (sdist,) = tmp_path.glob('*.tar.gz')
        with tarfile.open(sdist) as archive:
            names = {name.partition('/')[2] for name in archive.getnames()}
        wanted = {'LICENSE', 'model-index.yml', 'setup.py', 'mmseg_wsss/version.py'}
        for folder in ('configs', 'tools', 'requirements'):
            wanted |= self.names_below(tree, folder)
        assert wanted <= names
        assert not [name for name in names if name.endswith('.pyc')]

    def test_editable_install_links_and_leaves_nothing_to_git(self, tree):
        code = 'import setup; setup.link_mim(); setup.link_mim()'
        subprocess.run(
            [sys.executable, '-c', code, '-q', '--version'],
            cwd=tree,
            check=True,
            capture_output=True,
        )
        mim = tree / 'mmseg_wsss' / '.mim'
        assert (mim / 'tools').resolve() == tree / 'tools'
        assert (mim / 'configs').resolve() == tree / 'configs'
        assert (mim / 'model-index.yml').resolve() == tree / 'model-index.yml'
        ignored = subprocess.run(
            ['git', 'check-ignore', '-q', 'mmseg_wsss/.mim/tools'],
            cwd=ROOT,
            check=False,
        )
        assert ignored.returncode == 0


def test_model_index_names_every_metafile():
    text = (ROOT / 'model-index.yml').read_text()
    listed = re.findall(r'^ *- (\S+)$', text, re.M)
    found = [path.relative_to(ROOT) for path in ROOT.glob('configs/*/metafile.yml')]
    assert sorted(listed) == sorted(path.as_posix() for path in found)

"""The doctor finds what is wrong in faked environments, also in a fresh process."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from mmseg_wsss import compat
from mmseg_wsss.doctor import findings, machine, packages, report

ROOT = Path(__file__).resolve().parents[2]
ORIGINALS = {'mmcv': '2.1.0', 'mmengine': '0.10.7', 'mmsegmentation': '1.2.2'}
FORKS = {
    'onedl-mmcv': '2.3.6',
    'onedl-mmengine': '0.10.12',
    'onedl-mmsegmentation': '1.4.2',
}


BARE_TORCH = """
from types import SimpleNamespace
version = SimpleNamespace(cuda=None)
cuda = SimpleNamespace(is_available=lambda: False)
"""


def install(folder: Path, distribution: str, version: str, code: str = '') -> None:
    """Write a package with the metadata that pip writes."""
    module = distribution.removeprefix('onedl-').replace('mmsegmentation', 'mmseg')
    (folder / module).mkdir(parents=True, exist_ok=True)
    (folder / module / '__init__.py').write_text(f'__version__ = {version!r}\n{code}')
    info = folder / f'{distribution.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Name: {distribution}\nVersion: {version}\n')
    (info / 'top_level.txt').write_text(f'{module}\n')


def run_doctor(*folders: Path) -> tuple[int, str]:
    """Run the doctor with no packages but those in the folders."""
    done = subprocess.run(
        [sys.executable, '-S', '-m', 'mmseg_wsss.doctor'],
        env={
            'PATH': os.environ['PATH'],
            'PYTHONPATH': os.pathsep.join(map(str, [ROOT, *folders])),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


class TestFreshProcess:
    def test_nothing_is_installed(self):
        code, out = run_doctor()
        assert code == 1
        for module in ('torch', 'mmengine', 'mmcv', 'mmseg'):
            assert f'problem  {module} is not installed' in out
        assert 'no OpenMMLab package is installed' in out
        assert "pip install 'mmseg_wsss[onedl]'" in out
        assert 'cannot be imported' in out

    def test_both_families(self, tmp_path):
        for name, version in (ORIGINALS | FORKS).items():
            install(tmp_path, name, version)
        code, out = run_doctor(tmp_path)
        assert code == 1
        assert 'both provide mmengine, mmcv, mmseg' in out
        assert (
            f'-> pip uninstall {" ".join(sorted(ORIGINALS | FORKS))}; then pip' in out
        )

    def test_a_mixture_of_both_families(self, tmp_path):
        install(tmp_path, 'mmcv', '2.1.0')
        install(tmp_path, 'onedl-mmengine', '0.10.12')
        code, out = run_doctor(tmp_path)
        assert code == 1
        assert 'exclude each other: mmcv, onedl-mmengine\n' in out

    def test_one_family_with_an_old_package(self, tmp_path):
        for name, version in (ORIGINALS | {'mmsegmentation': '1.1.0'}).items():
            install(tmp_path, name, version)
        code, out = run_doctor(tmp_path)
        assert code == 1
        assert 'one family of OpenMMLab packages: the original packages' in out
        assert 'problem  mmseg 1.1.0' in out
        assert '-> install mmseg >= 1.2.2' in out
        assert 'ok       mmengine 0.10.7' in out

    def test_a_folder_that_hides_a_package(self, tmp_path):
        install(tmp_path / 'site', 'onedl-mmengine', '0.10.12')
        (tmp_path / 'work' / 'mmengine').mkdir(parents=True)
        (tmp_path / 'work' / 'mmengine' / '__init__.py').touch()
        code, out = run_doctor(tmp_path / 'work', tmp_path / 'site')
        assert code == 1
        assert 'which hides the installed distribution' in out
        assert f'remove {tmp_path / "work"} from PYTHONPATH' in out

    def test_operators_for_another_torch(self, tmp_path):
        install(tmp_path, 'torch', '2.13.0', BARE_TORCH)
        install(tmp_path, 'mmcv', '2.1.0')
        (tmp_path / 'mmcv' / '_ext.py').touch()
        (tmp_path / 'mmcv' / 'ops.py').write_text('raise ImportError("undefined: c10")')
        code, out = run_doctor(tmp_path)
        assert code == 1
        assert 'do not fit this torch: ImportError: undefined: c10' in out

    def test_a_package_that_refuses_its_company(self, tmp_path):
        install(tmp_path, 'torch', '2.13.0', BARE_TORCH)
        for name, version in ORIGINALS.items():
            install(tmp_path, name, version)
        install(tmp_path, 'mmsegmentation', '1.2.3', 'assert 0, "mmcv is too new"')
        code, out = run_doctor(tmp_path)
        assert code == 1
        assert 'cannot be imported (mmcv is too new)' in out


def test_the_import_error_points_to_the_doctor(monkeypatch):
    monkeypatch.setitem(compat.LOWER, 'nowhere_to_be_found', '1.0')
    with pytest.raises(ImportError, match=r'python -m mmseg_wsss\.doctor'):
        compat.check_versions()


def test_only_the_doctor_is_spared_the_check(monkeypatch):
    command = ['python', '-m', 'mmseg_wsss.doctor']
    monkeypatch.setattr(sys, 'orig_argv', command)
    monkeypatch.setattr(sys, 'argv', ['-m'])
    assert compat.runs_doctor()
    monkeypatch.setattr(sys, 'argv', ['tools/train.py', 'mmseg_wsss.doctor'])
    assert not compat.runs_doctor()
    monkeypatch.setattr(sys, 'argv', ['-m'])
    monkeypatch.setattr(sys, 'orig_argv', ['python', '-m', 'mmseg_wsss.other'])
    assert not compat.runs_doctor()


@pytest.mark.parametrize(
    ('version', 'bound', 'expected'),
    [
        ('2.0.1', '2.1', -1),
        ('2.13.0+cpu', '2.13', 0),
        ('2.1', '2.1.0', 0),
        ('10.0', '9.1', 1),
        ('2.14.0.dev20260101', '2.13', 1),
        ('', '1.0', -1),
    ],
)
def test_versions_are_compared_in_the_digits_of_the_bound(version, bound, expected):
    assert compat.compare_versions(version, bound) == expected


def fake_torch(monkeypatch, cuda=None, devices=(), archs=()) -> None:
    torch = ModuleType('torch')
    torch.version = SimpleNamespace(cuda=cuda)
    torch.cuda = SimpleNamespace(
        is_available=lambda: bool(devices),
        device_count=lambda: len(devices),
        get_device_capability=lambda index: devices[index],
        get_device_name=lambda index: f'card {index}',
        get_arch_list=lambda: list(archs),
    )
    fakes = {'torch': torch, 'triton': SimpleNamespace(__version__='3.7.1')}
    for module in (machine, packages):
        monkeypatch.setattr(
            module, 'try_import', lambda name: fakes.get(name, 'ImportError: broken')
        )
        monkeypatch.setattr(module, 'origin', lambda name: Path('/somewhere'))
    fakes['mmcv.ops'] = SimpleNamespace(get_compiling_cuda_version=lambda: '12.8')


def texts(findings_: list, status: str) -> str:
    return '\n'.join(f.text + f.remedy for f in findings_ if f.status == status)


class TestTorch:
    def check(self, monkeypatch, driver='', **options) -> list:
        fake_torch(monkeypatch, **options)
        monkeypatch.setattr(machine, 'nvidia_driver', lambda: driver)
        return list(machine.check_torch())

    def test_no_gpu(self, monkeypatch):
        (finding,) = self.check(monkeypatch)
        assert finding.status == 'note'

    def test_cpu_build_beside_a_gpu(self, monkeypatch):
        found = self.check(monkeypatch, driver='570.10')
        assert 'no CUDA, although' in texts(found, 'problem')

    @pytest.mark.parametrize('out', ['570.10\n570.10\n', '\n', ''])
    def test_output_of_nvidia_smi(self, monkeypatch, out):
        monkeypatch.setattr(machine.shutil, 'which', lambda name: name)
        done = subprocess.CompletedProcess([], 0, stdout=out)
        monkeypatch.setattr(machine.subprocess, 'run', lambda *_, **__: done)
        assert machine.nvidia_driver() == ('570.10' if '5' in out else '')

    def test_driver_too_old(self, monkeypatch):
        found = self.check(monkeypatch, driver='470.10', cuda='13.0')
        assert 'finds no GPU' in texts(found, 'problem')

    def test_every_device_is_checked(self, monkeypatch):
        devices, archs = ((9, 0), (7, 0)), ('sm_80', 'sm_90')
        found = self.check(
            monkeypatch, driver='570', cuda='12.8', devices=devices, archs=archs
        )
        assert 'GPU 0: card 0' in texts(found, 'ok')
        assert 'GPU 1: card 1' in texts(found, 'problem')
        assert 'sm_70' in texts(found, 'problem')
        assert 'Triton 3.7.1' in texts(found, 'ok')

    @pytest.mark.parametrize(
        ('capability', 'archs', 'expected'),
        [
            ((8, 6), ['sm_80'], True),
            ((8, 0), ['sm_86'], False),
            ((9, 0), ['sm_80'], False),
            ((9, 0), ['sm_90a'], True),
            ((12, 0), ['sm_90', 'compute_90'], True),
            ((7, 5), ['compute_80'], False),
            ((12, 0), ['sm_120'], True),
            ((9, 0), [], False),
        ],
    )
    def test_machine_code_and_ptx(self, capability, archs, expected):
        assert machine.runs_on(capability, archs) is expected


@pytest.mark.parametrize(
    ('cuda', 'status'), [('12.6', 'ok'), ('13.0', 'problem'), (None, 'ok')]
)
def test_operators_of_another_cuda(monkeypatch, cuda, status):
    fake_torch(monkeypatch, cuda=cuda, devices=((9, 0),) if cuda else ())
    (finding,) = packages.check_ops()
    assert finding.status == status
    assert 'CUDA 12.8' in finding.text


@pytest.mark.parametrize(
    ('torchvision', 'module', 'status'),
    [
        ('0.28.0+cpu', ModuleType('torchvision'), 'ok'),
        ('0.27.1', ModuleType('torchvision'), 'problem'),
        ('0.28.0', 'RuntimeError: operator torchvision::nms does not exist', 'problem'),
    ],
)
def test_torchvision_of_another_torch(monkeypatch, torchvision, module, status):
    versions = {'torch': '2.13.0+cpu', 'torchvision': torchvision}
    monkeypatch.setattr(packages, 'version', versions.get)
    monkeypatch.setattr(packages, 'distributions', lambda name: [name])
    monkeypatch.setattr(packages, 'try_import', lambda name: module)
    (finding,) = packages.check_torchvision()
    assert finding.status == status
    if status == 'problem':
        assert "'torchvision==0.28.*'" in finding.remedy
        assert finding.remedy.endswith('/whl/cpu')


@pytest.mark.parametrize(
    ('threads', 'status'),
    [
        (None, 'ok'),
        ('1', 'ok'),
        ('9999', 'problem'),
        ('0', 'problem'),
        ('two', 'problem'),
    ],
)
def test_threads(monkeypatch, threads, status):
    if threads is None:
        monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    else:
        monkeypatch.setenv('OMP_NUM_THREADS', threads)
    (finding,) = machine.check_threads()
    assert finding.status == status


def test_a_full_disk_and_small_shared_memory(monkeypatch, tmp_path):
    usage = SimpleNamespace(total=64 << 20, free=1 << 30)
    monkeypatch.setattr(machine.shutil, 'disk_usage', lambda path: usage)
    found = list(machine.check_disk(tmp_path / 'not' / 'yet'))
    assert '1.0 GB free' in texts(found, 'problem')
    if Path('/dev/shm').is_dir():
        assert '--shm-size' in texts(found, 'problem')


def test_no_compiler(monkeypatch):
    monkeypatch.setattr(machine.shutil, 'which', lambda name: None)
    (finding,) = machine.check_compiler()
    assert finding.status == 'note'
    assert 'CXX' in finding.text


def test_a_crf_that_cannot_be_imported(monkeypatch):
    monkeypatch.setattr(packages, 'origin', lambda name: Path('/somewhere'))
    monkeypatch.setattr(packages, 'try_import', lambda name: 'ValueError: numpy.dtype')
    monkeypatch.setattr(packages, 'distributions', lambda name: ['pydensecrf2'])
    (finding,) = packages.check_crf()
    assert finding.status == 'problem'
    assert 'pip uninstall pydensecrf2' in finding.remedy


@pytest.mark.parametrize(('status', 'code'), [('ok', 0), ('note', 0), ('problem', 1)])
def test_exit_status(monkeypatch, capsys, status, code):
    finding = findings.Finding(status, 'a text', 'a remedy')
    monkeypatch.setattr(report, 'examine', lambda work_dir: iter([finding]))
    assert report.main([]) == code
    out = capsys.readouterr().out
    assert 'a text' in out
    assert ('-> a remedy' in out) == (code == 1)
    assert out.endswith('\n1 problem\n' if code else '\nno problems\n')


def test_a_check_that_fails_does_not_end_the_others(monkeypatch, tmp_path):
    def broken():
        yield findings.Finding('ok', 'first')
        raise KeyError('surprise')

    monkeypatch.setattr(machine, 'check_torch', broken)
    monkeypatch.setattr(packages, 'check_package', lambda: iter(()))
    found = list(report.examine(tmp_path))
    assert "KeyError: 'surprise'" in texts(found, 'problem')
    assert len(found) > 10


def test_this_environment_is_sound(capsys):
    """Nothing that the tests run in is reported as a problem of packages."""
    checks = (packages.check_family, packages.check_modules, packages.check_package)
    found = [finding for check in checks for finding in check()]
    assert not texts(found, 'problem')

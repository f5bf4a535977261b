"""Check the installed packages: versions, families, optional packages."""

import importlib
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from ..compat import LOWER, TESTED, check_versions, compare_versions
from .findings import (
    MM_MODULES,
    NOTE,
    OK,
    PROBLEM,
    Finding,
    distributions,
    family,
    is_hidden,
    origin,
    try_import,
)

ONE_FAMILY = (
    "pip install 'mmseg_wsss[onedl]' or pip install 'mmseg_wsss[openmmlab]', never both"
)
BUILD_OPS = {
    'onedl': '`make env-ops` in a clone, or `mim install onedl-mmcv`',
    'openmmlab': "`make env-openmmlab` in a clone, or `mim install 'mmcv>=2.1,<2.2'`",
}


def check_family() -> Iterator[Finding]:
    """Check that one family of OpenMMLab packages and one OpenCV are installed."""
    by_module = {module: distributions(module) for module in MM_MODULES}
    found = sorted({name for names in by_module.values() for name in names})
    twice = {module: names for module, names in by_module.items() if len(names) > 1}
    if not found:
        yield Finding(PROBLEM, 'no OpenMMLab package is installed', ONE_FAMILY)
    elif twice or family() is None:
        shared = f'; both provide {", ".join(twice)}' if twice else ''
        yield Finding(
            PROBLEM,
            f'distributions that exclude each other: {", ".join(found)}{shared}',
            f'pip uninstall {" ".join(found)}; then {ONE_FAMILY}',
        )
    else:
        title = {'onedl': 'the OneDL forks', 'openmmlab': 'the original packages'}
        yield Finding(OK, f'one family of OpenMMLab packages: {title[str(family())]}')
    names = distributions('cv2')
    if len(names) > 1:
        remedy = f'pip uninstall {" ".join(names)}; then pip install {names[0]}'
        yield Finding(
            PROBLEM, f'several packages provide cv2: {", ".join(names)}', remedy
        )


def check_modules() -> Iterator[Finding]:
    """Compare the installed versions with the supported ones; report locations."""
    for module in (*LOWER, 'mmpretrain'):
        place = origin(module)
        if place is not None:
            yield _check_module(module, place)
        elif module in LOWER:
            remedy = 'pip install torch' if module == 'torch' else ONE_FAMILY
            yield Finding(PROBLEM, f'{module} is not installed', remedy)
        else:
            yield Finding(NOTE, f'no {module}; only its backbones need it')


def _check_module(module: str, place: Path) -> Finding:
    names = distributions(module)
    if names:
        found = version(names[0])
        text = f'{module} {found} (distribution {" and ".join(names)}) at {place}'
        if is_hidden(names[0], place):
            remedy = f'remove {place.parent} from PYTHONPATH, or uninstall {names[0]}'
            text = f'{text}, which hides the installed distribution'
            return Finding(PROBLEM, text, remedy)
    else:
        imported = try_import(module)
        if isinstance(imported, str):
            text = f'{module} at {place} cannot be imported: {imported}'
            return Finding(PROBLEM, text, f'remove it, or mend it; {ONE_FAMILY}')
        found = str(getattr(imported, '__version__', '0'))
        text = f'{module} {found} (no distribution) at {place}'
    lower, tested = LOWER.get(module), TESTED.get(module)
    if lower and compare_versions(found, lower) < 0:
        return Finding(PROBLEM, text, f'install {module} >= {lower}; {ONE_FAMILY}')
    if tested and compare_versions(found, tested) > 0:
        return Finding(NOTE, f'{text}; tested up to {tested}')
    return Finding(OK, text)


def check_ops() -> Iterator[Finding]:
    """Check for which devices mmcv's operators were compiled, if at all."""
    if origin('mmcv') is None or origin('torch') is None:
        return
    build = BUILD_OPS.get(family() or '', ONE_FAMILY)
    if origin('mmcv._ext') is None and family() == 'onedl':
        text = (
            'mmcv without compiled operators: enough but for networks with deformable '
            f'convolutions, CCNet, PSANet, PointRend ({build})'
        )
        yield Finding(NOTE, text)
        return
    if origin('mmcv._ext') is None:
        text = 'mmcv without compiled operators, which the original mmseg imports'
        yield Finding(PROBLEM, text, build)
        return
    ops, torch = try_import('mmcv.ops'), try_import('torch')
    if isinstance(ops, str) or isinstance(torch, str):
        text = f"mmcv's compiled operators do not fit this torch: {ops}"
        yield Finding(PROBLEM, text, build)
        return
    compiled = ops.get_compiling_cuda_version()
    cuda = compiled if re.match(r'\d', compiled) else ''
    text = (
        f"mmcv's compiled operators: for the CPU{f' and CUDA {cuda}' if cuda else ''}"
    )
    present = torch.version.cuda if torch.cuda.is_available() else None
    if present and cuda.split('.')[0] != present.split('.')[0]:
        remedy = f'pip uninstall {" ".join(distributions("mmcv"))}; then {build}'
        text = f'{text}, torch computes on CUDA {present}'
        yield Finding(PROBLEM, text, f'{remedy}, with FORCE_CUDA=1')
    else:
        yield Finding(OK, text)


def check_torchvision() -> Iterator[Finding]:
    """Check that torchvision, which mmpretrain's backbones need, matches torch."""
    if not distributions('mmpretrain') or not distributions('torch'):
        return
    torch = version('torch')
    release = torch.split('+')[0].split('.')
    # torchvision 0.(N + 15) is the release for torch 2.N.
    wanted = f'0.{int(release[1]) + 15}'
    remedy = f"pip install 'torchvision=={wanted}.*'"
    if '+' in torch:  # not the build on PyPI
        remedy += f' --index-url https://download.pytorch.org/whl/{torch.split("+")[1]}'
    if not distributions('torchvision'):
        yield Finding(
            NOTE, f"no torchvision; mmpretrain's backbones need it ({remedy})"
        )
        return
    found = version('torchvision')
    text = f'torchvision {found} beside torch {torch}'
    module = try_import('torchvision')
    if isinstance(module, str):
        yield Finding(PROBLEM, f'{text} cannot be imported: {module}', remedy)
    elif not found.startswith(f'{wanted}.'):
        yield Finding(PROBLEM, f'{text}, which needs {wanted}', remedy)
    else:
        yield Finding(OK, text)


def check_crf() -> Iterator[Finding]:
    """Check the optional backend of ``DenseCRF``."""
    if origin('pydensecrf') is None:
        text = "no pydensecrf2; DenseCRF(backend='pydensecrf') needs it (make env-crf)"
        yield Finding(NOTE, text)
        return
    module = try_import('pydensecrf.densecrf')
    names = ' and '.join(distributions('pydensecrf')) or 'pydensecrf'
    if isinstance(module, str):
        remedy = f'pip uninstall {names}; then pip install --no-cache-dir pydensecrf2'
        yield Finding(PROBLEM, f'{names} cannot be imported: {module}', remedy)
    else:
        yield Finding(OK, f'{names} {version(names.split()[0])}')


def check_package() -> Iterator[Finding]:
    """Import what ``import mmseg_wsss`` imports."""
    package = importlib.import_module('mmseg_wsss')
    text = f'mmseg_wsss {package.__version__} at {Path(str(package.__file__)).parent}'
    try:
        check_versions()
    except ImportError as error:
        yield Finding(PROBLEM, f'{text} cannot be imported', str(error))
        return
    for part in ('datasets', 'engine', 'evaluation', 'models'):
        module = try_import(f'mmseg_wsss.{part}')
        if isinstance(module, str):
            remedy = 'mend what is named above, or install what the error names'
            yield Finding(PROBLEM, f'{text} cannot be imported: {module}', remedy)
            return
    yield Finding(OK, text)

"""Which part of the package may import which: docs, design of the package."""

import ast
from functools import lru_cache
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path

import mmseg_wsss

PACKAGE = Path(mmseg_wsss.__file__).parent
TOP = PACKAGE.name
# Parts that a part may import besides its own modules. `compat` and `version` are the
# beginning of everything, and the package itself (`''`) registers all parts.
BASE = {'registry', 'utils', 'version'}
ALLOWED = {
    '': {'compat', 'version', 'datasets', 'engine', 'evaluation', 'models', 'utils'},
    'compat': set(),
    'doctor': {'compat'},
    'version': set(),
    'registry': set(),
    'utils': set(),
    'datasets': BASE,
    'models': BASE,
    'visualization': BASE | {'datasets', 'models'},
    'evaluation': BASE | {'datasets', 'models'},
    'engine': BASE | {'datasets', 'models', 'evaluation', 'visualization'},
    'pipelines': BASE | {'datasets', 'models', 'evaluation', 'visualization', 'engine'},
}
# Parts of a segmentor; they know no segmentor.
PARTS = ('cam', 'decode_heads', 'backbones', 'pseudo_labels', 'refiners', 'losses')


@lru_cache
def module_paths() -> dict[str, Path]:
    """Find every module of the package by its dotted name."""
    found = {}
    for path in PACKAGE.rglob('*.py'):
        parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
        found['.'.join(parts).removesuffix('.__init__')] = path
    return {name: path for name, path in found.items() if '.mim' not in name}


@lru_cache
def imports_of(module: str) -> frozenset[str]:
    """Find the modules of the package that one imports anywhere, for types too."""
    path = module_paths()[module]
    package = module if path.stem == '__init__' else module.rpartition('.')[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                parents = package.split('.')[: len(package.split('.')) - node.level + 1]
                base = '.'.join([*parents, base]).rstrip('.')
            inner = {f'{base}.{alias.name}' for alias in node.names}
            modules = inner & module_paths().keys()
            # `from package import module` needs the module only
            found |= modules if len(modules) == len(inner) else modules | {base}
    return frozenset(found & module_paths().keys() - {module})


def part_of(module: str) -> str:
    return module.partition('.')[2].partition('.')[0]


def test_every_part_imports_only_parts_below_it():
    wrong = [
        f'{module} imports {other}'
        for module in module_paths()
        for other in imports_of(module)
        if part_of(other) != part_of(module)
        and part_of(other) not in ALLOWED[part_of(module)]
    ]
    assert not wrong, '\n'.join(sorted(wrong))


def test_no_part_of_a_segmentor_imports_a_segmentor():
    wrong = [
        f'{module} imports {other}'
        for module in module_paths()
        for other in imports_of(module)
        if module.startswith(tuple(f'{TOP}.models.{part}' for part in PARTS))
        and other.startswith(f'{TOP}.models.segmentors')
    ]
    assert not wrong, '\n'.join(sorted(wrong))


def test_there_are_no_circles():
    graph = {module: imports_of(module) for module in module_paths()}
    assert sum(map(len, graph.values())) > 200, 'imports are not found'
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_nothing_but_the_package_itself_imports_the_package():
    importers = [m for m in module_paths() if TOP in imports_of(m)]
    assert not importers


def test_every_allowed_part_exists():
    parts = {part_of(module) for module in module_paths()}
    assert parts == ALLOWED.keys()
    assert set(chain.from_iterable(ALLOWED.values())) <= parts

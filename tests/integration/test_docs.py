"""What the documentation names exists, its commands parse, its code is Python."""

import argparse
import ast
import functools
import importlib
import importlib.util
import re
import shlex
import sys
import textwrap
from pathlib import Path
from unittest import mock

import mmengine.registry
import mmseg.registry
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding='utf-8')
    for path in sorted(
        [
            ROOT / 'README.md',
            ROOT / 'CONTRIBUTING.md',
            *ROOT.glob('docs/**/*.md'),
            *ROOT.glob('configs/*/README.md'),
        ]
    )
}
# The method that docs/adding_a_method.md adds, so that its files do not exist.
EXAMPLE = 'bandcam'

FOLDERS = 'configs|tools|docs|tests|mmseg_wsss|projects|benchmarks|requirements'
PATH = re.compile(rf'(?<![\w/.~-])(?:{FOLDERS})/[\w./*+-]*')
FILE = re.compile(r'<!-- file: (\S+) -->')
LINK = re.compile(r'\]\(([^)\s]+)\)')
BLOCK = re.compile(r'^( *)```(\w*)\n(.*?)^\1```$', re.M | re.S)


def blocks(text: str, language: str) -> list[str]:
    """Code blocks of a language, without their indentation."""
    found = [(kind, textwrap.dedent(code)) for _, kind, code in BLOCK.findall(text)]
    return [code for kind, code in found if kind == language]


# Names of the files that pages show, so that they do not exist.
SHOWN = {name for text in PAGES.values() for name in FILE.findall(text)}


def file_block(page: str, name: str) -> str:
    """The code block under ``<!-- file: NAME -->``."""
    _, _, rest = PAGES[page].partition(f'<!-- file: {name} -->\n')
    match = BLOCK.match(rest)
    assert match, f'{page}: no code block of {name}'
    return match[3]


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as on GitHub."""
    titles = re.findall(r'^#+ (.*)$', re.sub(BLOCK, '', text), re.M)
    return {re.sub(r'[^\w\- ]', '', t.lower()).replace(' ', '-') for t in titles}


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    for link in LINK.findall(PAGES[page]):
        if link.startswith(('http://', 'https://')):
            continue
        target, _, anchor = link.partition('#')
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f'{page}: {link} does not exist'
        if anchor:
            assert anchor in anchors(path.read_text()), f'{page}: no heading {link}'


@pytest.mark.parametrize('page', PAGES)
def test_named_paths_exist(page):
    for match in PATH.finditer(PAGES[page]):
        name = match[0].rstrip('.')
        shown = EXAMPLE in name or '_build' in name or Path(name).name in SHOWN
        if shown or re.search(r'/[A-Z]+\b', name):
            continue
        # A page may be named without its suffix.
        found = list(ROOT.glob(name.rstrip('/'))) or list(ROOT.glob(f'{name}.md'))
        assert found, f'{page}: {name} does not exist'


def commands() -> list[tuple[str, str]]:
    """Every command of every bash block, on one line, with its page."""
    return [
        (page, line.strip())
        for page, text in PAGES.items()
        for block in blocks(text, 'bash')
        for line in block.replace('\\\n', ' ').splitlines()
        if line.strip()
    ]


class SeenError(Exception):
    """Carries the parser of a tool out of its ``main``."""


@functools.cache
def parser_of(name: str) -> argparse.ArgumentParser:
    """Parser of a tool (path below the repository) or of a module."""
    if name.endswith('.py'):
        spec = importlib.util.spec_from_file_location(Path(name).stem, ROOT / name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # A script finds its neighbors, as when Python starts it.
        with mock.patch.object(sys, 'path', [str((ROOT / name).parent), *sys.path]):
            spec.loader.exec_module(module)
    else:
        module = importlib.import_module(name)

    def leave(parser, *_):
        raise SeenError(parser)

    with (
        mock.patch.object(argparse.ArgumentParser, 'parse_args', leave),
        pytest.raises(SeenError) as caught,
    ):
        module.main()
    return caught.value.args[0]


def split_of_script(script: str, words: list[str]) -> tuple[str, list[str]] | None:
    """What a launching script starts: the tool, and the tool's arguments."""
    if script == 'tools/misc/gpu_env.sh':
        assert words[0] in ('fetch', 'install')
        return None
    if script == 'tools/dist_train.sh':
        assert words[1].isdigit()
        return 'tools/train.py', [words[0], *words[2:]]
    if script == 'tools/dist_test.sh':
        assert words[2].isdigit()
        return 'tools/test.py', [*words[:2], *words[3:]]
    assert script == 'tools/slurm_train.sh', f'unknown script {script}'
    rest = words[3:]
    if rest and not rest[0].startswith('-'):
        rest = ['--work-dir', *rest]
    return 'tools/train.py', [words[2], *rest]


def split_of_command(words: list[str]) -> tuple[str, list[str]] | None:
    """Tool and arguments of a command; None where nothing of ours parses them."""
    while re.match(r'\w+=', words[0]):
        words = words[1:]
    head, *rest = words
    if head == 'python' and rest[0] == '-m':
        return None if rest[1] == 'pytest' else (rest[1], rest[2:])
    if head == 'python':
        return rest[0], rest[1:]
    if head == 'torchrun':
        at = next(i for i, word in enumerate(rest) if word.endswith('.py'))
        assert rest[at + 1 :][-2:] == ['--launcher', 'pytorch']
        return rest[at], rest[at + 1 :]
    if head.endswith('.sh'):
        return split_of_script(head, rest)
    if head == 'make':
        targets = re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.M)
        assert [w for w in rest if '=' not in w and w not in targets] == []
        return None
    if head == 'pip':
        extra = re.fullmatch(r'\.\[(\w+)\]', rest[1])
        assert extra, rest
        assert (ROOT / f'requirements/{extra[1]}.txt').is_file()
        return None
    assert head == 'export', f'unknown command {words}'
    return None


@pytest.mark.parametrize(('page', 'line'), commands())
def test_commands_parse(page, line, capsys):
    words = shlex.split(line, comments=True)
    call = split_of_command(words) if words else None
    if call is None:
        return
    tool, arguments = call
    try:
        parser_of(tool).parse_args(arguments)
    except SystemExit:
        pytest.fail(f'{page}: {line}: {capsys.readouterr().err}')


def registered(name: str) -> bool:
    """Whether a name is in one of the registries of mmseg or MMEngine."""
    registries = [
        registry
        for module in (mmseg.registry, mmengine.registry)
        for registry in vars(module).values()
        if isinstance(registry, mmengine.registry.Registry)
    ]
    return any(registry.get(name) is not None for registry in registries)


@pytest.mark.parametrize('page', PAGES)
def test_python_blocks_are_python_and_name_registered_types(page):
    for code in blocks(PAGES[page], 'python'):
        if not code.startswith("'"):  # an entry of a dictionary
            ast.parse(code)
        names = set(re.findall(r"type='(\w+)'", code)) - {'BandCAM', 'Thresholded'}
        assert [name for name in names if not registered(name)] == []

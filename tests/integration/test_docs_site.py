"""The site: every registered class is in the reference, drawings are up to date."""

import ast
import importlib
import inspect
import re
import runpy
from pathlib import Path

import mmseg.registry
import pytest
from mmengine.registry import Registry
from test_docs import PAGES, ROOT
from test_docs_tables import PAGE_OF

MODULE = re.compile(r'\.\. automodule:: (\S+)')


def registered() -> dict[str, type]:
    """Classes and functions of this package in mmseg's registries, by name."""
    nodes = [v for v in vars(mmseg.registry).values() if isinstance(v, Registry)]
    return {
        name: item
        for node in nodes
        for name, item in node.module_dict.items()
        if item.__module__.startswith('mmseg_wsss.')
    }


def test_reference_holds_everything_registered():
    documented = set()
    for page, text in PAGES.items():
        if page.startswith('docs/api/'):
            for name in MODULE.findall(text):
                module = importlib.import_module(name)
                names = getattr(module, '__all__', vars(module))
                documented |= {id(getattr(module, name)) for name in names}
    items = registered()
    assert [name for name, item in items.items() if id(item) not in documented] == []
    assert [name for name, item in items.items() if not inspect.getdoc(item)] == []


def test_drawings_are_what_the_script_draws():
    script = ROOT / 'docs/drawings'
    drawn = runpy.run_path(str(script), run_name='drawings')
    for name, text in drawn['FLOWS'].items():
        written = (ROOT / 'docs/images' / name).read_text(encoding='utf-8')
        assert written == text, f'run python {script}'
    assert len(drawn['WEAK']) + len(drawn['SEMI']) == len(drawn['FLOWS']) > 15


@pytest.mark.parametrize('page', sorted(set(PAGE_OF.values())))
def test_page_of_a_method_is_complete(page):
    text = PAGES[page]
    assert f'](../images/flow_{Path(page).stem}.svg)' in text
    for heading in ('Equations', 'Options', 'Measured here'):
        assert f'\n## {heading}\n' in text, heading
    assert text.count('$$') % 2 == 0


def test_readme_is_short():
    assert len(PAGES['README.md'].splitlines()) <= 200


def messages() -> str:
    """All strings of the package, one a line, with an ellipsis for every value."""
    found = []
    for path in (ROOT / 'mmseg_wsss').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(value, 'value', None) for value in node.values]
                found.append(''.join(p if isinstance(p, str) else '…' for p in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return '\n'.join(text.replace('\n', ' ') for text in found)


def test_messages_of_the_troubleshooting_page_exist():
    text = messages()
    tables = PAGES['docs/troubleshooting.md'].split('| message |')[1:]
    shown = [
        cell
        for table in tables
        for cell in re.findall(r'^\| `(.*?)` \|', table.split('\n\n')[0], re.M)
    ]
    assert len(shown) >= 40
    for message in shown:
        parts = [re.escape(part.strip()) for part in message.split('…') if part.strip()]
        assert re.search('.*?'.join(parts), text), message

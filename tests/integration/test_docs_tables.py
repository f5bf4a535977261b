"""The tables of the method pages hold the names and defaults of the code."""

import ast
import dataclasses
import inspect
import re

import pytest
import torch
from helpers.methods import METHODS
from helpers.tiny import tiny_batch, tiny_model
from mmengine.config import ConfigDict
from test_docs import PAGES

import mmseg_wsss.models.segmentors as segmentors
from mmseg_wsss.models.utils import phases_of
from mmseg_wsss.registry import MODELS

INDEX = 'docs/methods/index.md'


def rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the first table under a heading, without its first two lines."""
    _, _, rest = PAGES[page].partition(f'# {heading}\n')
    lines = re.search(r'(?:^\|.*\n)+', rest, re.M)
    assert lines, f'{page}: no table under {heading}'
    table = [line.strip('| ').split(' | ') for line in lines[0].splitlines()]
    return [[cell.strip() for cell in row] for row in table[2:]]


def listed(heading: str) -> dict[str, str]:
    """Pages of the methods of a table of the index, by class."""
    found = {}
    for cells in rows(INDEX, heading):
        (page,) = re.findall(r'\((\w+\.md)\)', cells[0])
        found[cells[1].strip('`')] = f'docs/methods/{page}'
    return found


WEAK = listed('From image tags')
SEMI = listed('From a few masks and unlabeled images')
PAGE_OF = WEAK | SEMI


def build(name: str, **settings: object):
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(tiny_model(name, drop=False, **settings)))
    model.init_weights()
    for phase in phases_of(model):
        setattr(model, phase, False)
    return model.train()


def literal(cell: str) -> object:
    """Value of a cell, None for words."""
    try:
        return ast.literal_eval(cell.strip('`'))
    except (SyntaxError, ValueError):
        return None


def test_every_method_has_a_page():
    classes = {
        name
        for name in segmentors.__all__
        if name in MODELS.module_dict and MODELS.get(name) is getattr(segmentors, name)
    }
    assert classes == set(PAGE_OF)
    for name, page in PAGE_OF.items():
        assert f'| class | `{name}`' in PAGES[page], page


@pytest.mark.parametrize('name', WEAK)
def test_options_are_arguments_with_the_defaults_of_the_code(name):
    page = PAGE_OF[name]
    if '# Options\n' not in PAGES[page]:
        pytest.fail(f'{page} has no options')
    known: dict[str, inspect.Parameter] = {}
    for owner in reversed(getattr(segmentors, name).__mro__):
        known |= inspect.signature(owner.__init__).parameters
    if name == 'IRNet':  # refers to those of AffinityNet
        return
    for option, default, *_ in rows(page, 'Options'):
        option = option.strip('`')
        assert option.split('.')[0] in known, option
        value = literal(default)
        if '.' not in option and value is not None:
            found = known[option].default
            assert (found or value) == value, option


@pytest.mark.parametrize('name', SEMI)
def test_settings_are_those_of_the_code(name):
    settings = dataclasses.fields(getattr(segmentors, name).train_settings)
    defaults = {item.name: item.default for item in settings}
    table = {cells[0].strip('`'): cells[1] for cells in rows(PAGE_OF[name], 'Options')}
    others = {'teacher_mode', 'concat_forward'}
    if name == 'SupervisedSegmentor':  # it has no pseudo-labels
        others.add('cam_fusion')
    missing = set(defaults) - set(table) - others
    assert missing == set()
    for option, cell in table.items():
        assert option in defaults, option
        value = literal(cell)
        if value is not None:
            assert value == defaults[option], option


def test_the_table_of_sources_has_those_of_the_methods():
    page, heading = 'docs/methods/parts.md', 'Pseudo-labels that a method provides'
    table = {cells[0].strip('`'): cells[1] for cells in rows(page, heading)}
    for name in WEAK:
        found = {
            source
            for source, who in table.items()
            if who == 'all' or name in who.split(', ')
        }
        assert found == set(build(name).pseudo_sources()), name


def test_page_of_asdt_has_the_keys_of_the_log():
    text = PAGES[PAGE_OF['ASDT']]
    model = build('ASDT')
    for phase, value in METHODS['ASDT'].phases[-1].items():
        setattr(model, phase, value)
    for key in model.loss(*tiny_batch(2)):
        assert f'`{key}`' in text, key

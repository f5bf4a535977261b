"""What the documentation names is there, its commands parse, its code runs."""

import argparse
import ast
import functools
import importlib
import importlib.util
import inspect
import re
import shlex
import shutil
import textwrap
from pathlib import Path
from unittest import mock

import cv2
import mmengine.registry
import mmseg.registry
import numpy as np
import pytest
import torch
from helpers.tiny import tiny_batch, tiny_model
from mmengine.config import Config, ConfigDict

from mmseg_wsss.datasets import ImageTags
from mmseg_wsss.models.segmentors import ASDT, RRM, WSSSBase
from mmseg_wsss.registry import DATASETS, MODELS

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding='utf-8')
    for path in sorted(
        [
            ROOT / 'README.md',
            ROOT / 'CONTRIBUTING.md',
            *ROOT.glob('docs/*.md'),
            *ROOT.glob('configs/*/README.md'),
        ]
    )
}
# The method that docs/adding_a_method.md adds, so that its files do not exist.
EXAMPLE = 'bandcam'

FOLDERS = 'configs|tools|docs|tests|mmseg_wsss|projects|benchmarks|requirements'
PATH = re.compile(rf'(?<![\w/.~-])(?:{FOLDERS})/[\w./*+-]*')
LINK = re.compile(r'\]\(([^)\s]+)\)')
BLOCK = re.compile(r'^( *)```(\w*)\n(.*?)^\1```$', re.M | re.S)


def blocks(text: str, language: str) -> list[str]:
    """Code blocks of a language, without their indentation."""
    found = [(kind, textwrap.dedent(code)) for _, kind, code in BLOCK.findall(text)]
    return [code for kind, code in found if kind == language]


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
        if EXAMPLE in name or re.search(r'/[A-Z]+\b', name):
            continue
        assert list(ROOT.glob(name.rstrip('/'))), f'{page}: {name} does not exist'


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


def split_of_script(script: str, words: list[str]) -> tuple[str, list[str]]:
    """What a launching script starts: the tool, and the tool's arguments."""
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
        names = set(re.findall(r"type='(\w+)'", code)) - {'BandCAM'}
        assert [name for name in names if not registered(name)] == []


def test_tag_files_of_the_data_page_say_the_same(tmp_path):
    classes = ('aeroplane', 'dog', 'person', 'tvmonitor')
    expected = {
        '2007_000032': ['aeroplane', 'person'],
        '2007_000039': ['tvmonitor'],
        'holiday/beach_01': ['dog'],
    }
    for name in ('tags.json', 'tags.csv', 'tags.txt'):
        path = tmp_path / name
        path.write_text(file_block('docs/data.md', name))
        tags = ImageTags.load(path, classes)
        assert {image: tags.labels(image) for image in tags.names} == expected


def write_images(folder: Path, names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (50, 60, 3), dtype=np.uint8))


def test_ones_own_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / 'data/images', ('holiday/beach_01.jpg', 'garden.png'))
    (tmp_path / 'data/images/tags.csv').write_text(file_block('README.md', 'tags.csv'))
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    path = tmp_path / 'configs/_base_/datasets/image_folder_weak.py'
    text = path.read_text()
    for line in file_block('README.md', 'three_lines.py').splitlines():
        name = line.split(' = ')[0]
        text, count = re.subn(rf'^{name} = .*', line, text, flags=re.M)
        assert count == 1, name
    path.write_text(text)

    (path,) = tmp_path.glob('configs/asdt/*_wsss-folder-*.py')
    assert path.name in PAGES['README.md']
    cfg = Config.fromfile(path)
    train = DATASETS.build(cfg.train_dataloader.dataset)
    tags = [train[i]['data_samples'].gt_tags.label.tolist() for i in range(2)]
    assert tags == [[1, 0, 0], [0, 1, 1]]
    assert len(train.metainfo['classes']) == cfg.model.decode_head.num_classes == 4


BASE_OF_A_PROJECT = """
default_scope = 'mmseg'
head = dict(type='PSPHead', in_channels=32, in_index=3, channels=8, num_classes=7,
            pool_scales=(1, 2), norm_cfg=dict(type='BN'), align_corners=False)
model = dict(
    type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor'),
    backbone=dict(type='ResNetV1c', depth=18, base_channels=4, stem_channels=4),
    decode_head=head,
    auxiliary_head=dict(type='FCNHead', in_channels=16, in_index=2, channels=4,
                        num_convs=1, num_classes=7, align_corners=False),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
train_dataloader = dict(batch_size=2, dataset=dict(
    type='PascalVOCDataset', ann_file='train.txt',
    pipeline=[dict(type='LoadAnnotations')]))
"""


def test_config_for_a_project_trains_the_projects_network(tmp_path):
    (tmp_path / 'your_pspnet.py').write_text(BASE_OF_A_PROJECT)
    path = tmp_path / 'project_config.py'
    path.write_text(file_block('README.md', 'project_config.py'))
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.dataset.dataset.type == 'PascalVOCDataset'
    assert cfg.train_dataloader.batch_size == 2
    # The tiny network has other sizes than the page's.
    cfg.merge_from_dict(
        {'model.cam_head.in_channels': 32, 'model.cam_head.num_classes': 6}
    )
    model = MODELS.build(cfg.model).train()
    assert isinstance(model, ASDT)
    assert type(model.teacher_head) is type(model.decode_head)
    losses = model.loss(*tiny_batch(2))
    assert losses['loss_teacher_dense'] < 0
    assert {'loss_teacher_ce', 'loss_student_ce', 'aux.loss_ce'} <= set(losses)


def build(name: str, **settings: object) -> WSSSBase:
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(tiny_model(name, drop=False, **settings)))
    model.init_weights()
    return model.train()


def rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the first table under a heading, without its first two lines."""
    _, _, rest = PAGES[page].partition(f' {heading}\n')
    lines = re.search(r'(?:^\|.*\n)+', rest, re.M)
    assert lines, f'{page}: no table under {heading}'
    table = [line.strip('| ').split(' | ') for line in lines[0].splitlines()]
    return [[cell.strip() for cell in row] for row in table[2:]]


def test_the_table_of_options_has_names_and_defaults_of_the_code():
    known: dict[str, inspect.Parameter] = {}
    for owner in (WSSSBase, RRM, ASDT):
        known |= inspect.signature(owner.__init__).parameters
    checked = 0
    for cells in rows('docs/methods.md', 'Options'):
        name = cells[0].strip('`')
        if name == 'PWMDistillationHook':
            continue
        assert name.split('.')[0] in known, name
        try:
            default = ast.literal_eval(cells[1].strip('`'))
        except (SyntaxError, ValueError):
            continue  # words
        if '.' not in name:
            assert (known[name].default or default) == default, name
            checked += 1
    assert checked >= 7


def test_the_table_of_sources_has_those_of_the_methods():
    table = {
        cells[0].strip('`'): cells[1]
        for cells in rows('docs/methods.md', 'Pseudo-labels that a method delivers')
    }
    for name, title in (
        ('WSSSBase', 'all'),
        *((name, name) for name in ('RRM', 'ASDT', 'CAMSeg', 'AFA', 'TSCD')),
        *((name, name) for name in ('RCMMAM', 'AffinityNet', 'IRNet')),
    ):
        listed = {
            source for source, who in table.items() if who == 'all' or title in who
        }
        assert listed == set(build(name).pseudo_sources()), name


def test_the_table_of_losses_has_the_keys_of_the_log():
    table = {cells[1].strip('`') for cells in rows('docs/methods.md', 'Losses')}
    keys = set(build('ASDT').loss(*tiny_batch(2)))
    assert table == {key for key in keys if 'loss' in key}
    for key in keys - table:
        assert f'`{key}`' in PAGES['docs/methods.md']

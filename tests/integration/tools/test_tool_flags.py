"""Flags of tools on the command line: the result differs from that without them."""

import json

import numpy as np
import pytest
from mmengine.config import Config
from tool_files import save_png, status, words

CLASSES = ('--classes', 'cat,dog')
ZEROS = np.zeros((4, 6))
CORNER = ZEROS.copy()
CORNER[:2, :2] = 1  # 4 pixels of class 1


@pytest.mark.filterwarnings('ignore:.*have no tag')
@pytest.mark.parametrize(
    ('mask', 'tags', 'flags', 'without', 'expected'),
    [
        (CORNER, 'cat', '--min-pixels 5', ['cat'], []),
        (ZEROS, 'cat', '--no-background', [], ['cat']),
        (CORNER, '1', '--index-base 1', None, ['cat']),
        (CORNER, '1', '--index-base 0', None, []),
        (CORNER, '0', '--index-base 0', None, ['cat']),
    ],
)
def test_classes_that_imported_masks_show(
    tool, tmp_path, mask, tags, flags, without, expected
):
    save_png(tmp_path / 'images/a.png', ZEROS)
    save_png(tmp_path / 'masks/a.png', mask)
    (tmp_path / 'tags.csv').write_text(f'a,{tags}\n')
    main = tool('import_masks').main
    command = words(
        *(tmp_path / 'masks', '--images', tmp_path / 'images', *CLASSES),
        *('--tags', tmp_path / 'tags.csv', '--min-coverage', 0, '--workers', 0),
    )
    for options, shown in (([], without), (flags.split(), expected)):
        out = tmp_path / f'out{len(options)}'
        code = status(main, [*command, '--out', str(out), *options])
        assert code == (2 if shown is None else 0)
        if shown is not None:
            (record,) = json.loads((out / 'report.json').read_text())['records']
            assert record['shown'] == shown


def test_region_zero_of_imported_masks(tool, tmp_path):
    save_png(tmp_path / 'images/a.png', ZEROS)
    save_png(tmp_path / 'masks/a.png', CORNER)  # numbers of regions
    save_png(tmp_path / 'pseudo/a.png', ZEROS + 1)
    (tmp_path / 'tags.csv').write_text('a,cat\n')
    command = words(
        *(tmp_path / 'masks', '--images', tmp_path / 'images', *CLASSES),
        *('--tags', tmp_path / 'tags.csv', '--workers', 0),
        *('--class-free', '--pseudo', tmp_path / 'pseudo', '--out', tmp_path / 'out'),
    )
    counts = []
    for flags in ([], ['--zero-is-mask', '--overwrite']):
        assert tool('import_masks').main([*command, *flags]) == 0
        report = json.loads((tmp_path / 'out/report.json').read_text())
        counts.append(report['records'][0]['masks'])
    assert counts == [1, 2]


@pytest.mark.filterwarnings('ignore:.*have no tag')
@pytest.mark.parametrize(
    ('label', 'tags', 'flag', 'codes'),
    [
        (2, 'cat', '--no-background', (0, 1)),  # 0 and 1 are the classes
        (3, 'cat', '--reduce-zero-label', (1, 0)),  # 0 is nothing, 1 the background
        (1, '', '--allow-empty', (1, 0)),
    ],
)
def test_flags_of_the_data_check(tool, tmp_path, label, tags, flag, codes):
    save_png(tmp_path / 'images/a.png', CORNER)
    save_png(tmp_path / 'masks/a.png', ZEROS + label)
    (tmp_path / 'tags.csv').write_text(f'a,{tags}\n')
    command = words(
        *('--images', tmp_path / 'images', '--masks', tmp_path / 'masks', *CLASSES),
        *('--tags', tmp_path / 'tags.csv', '--workers', 0),
    )
    main = tool('misc/check_dataset').main
    assert (main(command), main([*command, flag])) == codes


def test_rows_of_the_data_check(tool, tmp_path, capsys):
    for name in 'abc':
        save_png(tmp_path / f'images/{name}.png', ZEROS)
        (tmp_path / f'images/{name}.png').write_bytes(name.encode())
    command = words('--images', tmp_path / 'images', '--workers', 0)
    for flags, count in (([], 3), (['--max-rows', '1'], 1), (['--max-rows', '0'], 3)):
        assert tool('misc/check_dataset').main([*command, *flags]) == 1
        shown = capsys.readouterr().out
        assert sum('unreadable image ' in s for s in shown.splitlines()) >= count
        assert ('... and 2 more' in shown) == (count == 1)


@pytest.mark.parametrize(('flags', 'iou'), [((), 0), (('--reduce-zero-label',), 100)])
def test_ground_truth_from_1_on(tool, tmp_path, monkeypatch, flags, iou):
    save_png(tmp_path / 'pred/a.png', CORNER)
    save_png(tmp_path / 'gt/a.png', CORNER + 1)
    scores = tmp_path / 'scores.json'
    argv = words('x', tmp_path / 'pred', tmp_path / 'gt', '--classes', 'cat,dog,cow')
    argv += words('--workers', 0, '--json', scores, *flags)
    monkeypatch.setattr('sys.argv', argv)
    tool('misc/eval_pseudo_labels').main()
    assert json.loads(scores.read_text())['classes']['IoU'][0] == iou


@pytest.mark.parametrize(
    ('flags', 'expected'),
    [
        ('', ['cat', 'dog']),
        ('--min-pixels 5', ['dog']),
        ('--mask-suffix _x.png', ['cat']),
    ],
)
def test_flags_of_tags_from_masks(tool, tmp_path, flags, expected):
    save_png(tmp_path / 'masks/a.png', np.where(CORNER == 1, 1, 2))
    save_png(tmp_path / 'other/a_x.png', CORNER)
    folder = tmp_path / ('other' if 'suffix' in flags else 'masks')
    command = words(tmp_path / 'tags.json', '--masks', folder, *CLASSES)
    main = tool('dataset_converters/image_tags').main
    assert main([*command, '--workers', '0', *flags.split()]) == 0
    assert json.loads((tmp_path / 'tags.json').read_text()) == {'a': expected}


def test_unknown_classes_of_annotations(tool, tmp_path):
    names = ('cat', 'unicorn')
    objects = ''.join(f'<object><name>{name}</name></object>' for name in names)
    (tmp_path / 'a.xml').write_text(f'<annotation>{objects}</annotation>')
    command = words(tmp_path / 'tags.json', '--voc-xml', tmp_path, *CLASSES)
    main = tool('dataset_converters/image_tags').main
    assert status(main, command) == 2
    assert status(main, [*command, '--skip-unknown']) == 0
    assert json.loads((tmp_path / 'tags.json').read_text()) == {'a': ['cat']}


def test_seed_of_wrong_tags(tool, tmp_path, monkeypatch):
    lines = ''.join(f'{i},{"cat" if i % 2 else "dog"}\n' for i in range(40))
    (tmp_path / 'tags.csv').write_text(lines)
    found = []
    for flags in ((), ('--seed', 0), ('--seed', 1)):
        out = tmp_path / 'wrong.csv'
        argv = words('x', tmp_path / 'tags.csv', out, *CLASSES, '--ratio', 0.5, *flags)
        monkeypatch.setattr('sys.argv', argv)
        tool('misc/wrong_tags').main()
        found.append(out.read_text())
    assert found[0] == found[1] != found[2]


def test_predictions_of_a_config_without_tests(tool):
    cfg = Config({'test_evaluator': None})
    tool('test').write_predictions_to(cfg, 'out')
    writer = {'format_only': True, 'output_dir': 'out', 'keep_results': True}
    assert cfg.test_evaluator == [{'type': 'IoUMetric', **writer}]

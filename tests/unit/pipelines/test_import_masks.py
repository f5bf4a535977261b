"""Imports of hand-checkable masks: what is written, reported and refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_wsss.datasets import ImageTags
from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.pipelines import import_inputs
from mmseg_wsss.pipelines import import_masks as module
from mmseg_wsss.pipelines.import_inputs import ImportSettings
from mmseg_wsss.pipelines.import_masks import import_masks
from mmseg_wsss.pipelines.import_report import report_lines, report_table

CLASSES = ('cat', 'dog', 'person')
TAGS = {'a': [0, 1], 'b': [1], 'sub/c': [2], 'empty': []}
# Class 3 (person) has no tag in `a`; `b` shows nothing of its tag.
LABELS = {
    'a': [[0, 1, 1, 2], [3, 3, 0, 255]],
    'b': [[0, 0, 0, 0], [0, 0, 0, 0]],
    'sub/c': [[3, 3, 0, 0], [3, 3, 0, 0]],
    'empty': [[0, 0, 0, 0], [0, 0, 0, 1]],
}
PSEUDO = {
    'a': [[0, 1, 1, 1], [0, 2, 2, 3]],
    'b': [[0, 2, 2, 0], [0, 2, 2, 0]],
    'sub/c': [[3, 3, 0, 0], [3, 3, 0, 0]],
    'empty': [[0, 0, 0, 0], [0, 0, 0, 0]],
}


def save_png(path: Path, labels: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(labels, np.uint8)).save(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in LABELS:
        save_png(tmp_path / f'images/{name}.png', np.zeros((2, 4, 3)))
        save_png(tmp_path / f'labels/{name}.png', LABELS[name])
        save_png(tmp_path / f'pseudo/{name}.png', PSEUDO[name])
    return tmp_path


def run(data: Path, masks: str = 'labels', settings: dict | None = None, **options):
    tags = ImageTags(options.pop('tags', TAGS), CLASSES)
    settings = ImportSettings(CLASSES, **(settings or {}))
    if options.pop('pseudo', False):
        options['pseudo'] = data / 'pseudo'
    return import_masks(
        data / masks, data / 'images', tags, data / 'out', settings, **options
    )


def written(data: Path) -> dict[str, list]:
    folder = data / 'out/masks'
    paths = sorted(folder.rglob('*.png'))
    return {
        path.relative_to(folder).with_suffix('').as_posix(): read_label_map(
            path
        ).tolist()
        for path in paths
    }


@pytest.mark.parametrize('workers', [0, 2])
def test_label_maps_keep_what_the_tags_allow(data, workers):
    report = run(data, workers=workers)
    assert written(data) == {
        'a': [[0, 1, 1, 2], [255, 255, 0, 255]],
        'empty': [[0, 0, 0, 0], [0, 0, 0, 255]],
        'sub/c': LABELS['sub/c'],
    }
    assert (data / 'out/accepted.txt').read_text() == 'a\nempty\nsub/c\n'
    assert (data / 'out/others.txt').read_text() == 'b\n'
    counts = {'accepted': 3, 'rejected': 1, 'without masks': 0, 'without tags': 0}
    assert report['images'] == counts
    assert report['classes']['dog'] == {
        'tagged': 2,
        'shown': 1,
        'coverage': 0.5,
        'untagged_images': 0,
        'untagged_pixels': 0,
    }
    assert report['classes']['person']['untagged_pixels'] == 2
    assert report['classes']['cat']['untagged_images'] == 1
    records = {record['image']: record for record in report['records']}
    assert records['b']['missing'] == ['dog']
    assert records['b']['coverage'] == 0
    assert records['a']['untagged'] == {'person': 2}
    assert records['a']['labeled_pixels'] == 5 / 8
    assert records['empty']['coverage'] == 1
    assert json.loads((data / 'out/report.json').read_text()) == report
    assert not (data / 'out/disagreement.csv').exists()
    image = Image.open(data / 'out/masks/a.png')
    assert image.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]
    (dog,) = [x for x in report_table(report).splitlines() if ' dog ' in x]
    assert dog.replace(' ', '') == '|dog|2|1|50.0|0|'
    assert report_lines(report)[0].startswith('4 images: 3 accepted, 1 rejected')


def test_uncovered_pixels_keep_the_pseudo_mask_as_far_as_tags_allow(data):
    report = run(data, settings=dict(keep_uncovered=True), pseudo=True)
    assert written(data)['a'] == [[0, 1, 1, 2], [0, 2, 0, 255]]
    assert written(data)['empty'] == PSEUDO['empty']
    # Differing pixels of `a`: 4 of the 7 with two labels, untagged ones included.
    records = {record['image']: record for record in report['records']}
    assert records['a']['differing_pixels'] == pytest.approx(4 / 7)


def test_images_are_sorted_by_their_disagreement(data):
    report = run(data, pseudo=True)
    with open(data / 'out/disagreement.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['image'] for row in rows] == ['a', 'b', 'empty', 'sub/c']
    found = {row['image']: float(row['disagreement']) for row in rows}
    # IoUs by hand. a: 0: 1/3, 1: 2/3, 2: 0/3, 3: 0/2; b: 0: 4/8, 2: 0/4.
    assert found['a'] == pytest.approx(0.75, abs=1e-4)
    assert found['b'] == 0.75
    assert found['empty'] == pytest.approx(1 - (7 / 8 + 0) / 2, abs=1e-4)
    assert found['sub/c'] == 0
    assert rows[1] == {
        'image': 'b',
        'disagreement': '0.7500',
        'differing_pixels': '0.5000',
        'coverage': '0.0000',
        'missing': 'dog',
        'untagged': '',
        'status': 'rejected',
    }
    assert report['disagreement'] == pytest.approx((0.75 + 0.75 + 0.5625) / 4)


def test_class_free_masks_vote(data):
    regions = {  # numbers of regions, 0 for none
        'a': [[1, 1, 1, 2], [3, 3, 3, 3]],  # 1: cat; 2: cat; 3: dog
        'b': [[5, 5, 5, 5], [0, 0, 0, 0]],  # a tie of background and dog
        'sub/c': [[9, 9, 9, 9], [9, 9, 9, 9]],
        'empty': [[1, 1, 0, 0], [0, 0, 0, 0]],
    }
    for name, numbers in regions.items():
        save_png(data / f'regions/{name}.png', numbers)
    for keep, fill in ((True, PSEUDO['b'][1]), (False, [255] * 4)):
        settings = dict(class_free=True, min_coverage=0.0, keep_uncovered=keep)
        report = run(data, 'regions', settings, pseudo=True, overwrite=True)
        found = written(data)
        assert found['a'] == [[1, 1, 1, 1], [2, 2, 2, 2]]
        assert found['b'] == [[0, 0, 0, 0], fill]
        assert found['sub/c'] == [[0, 0, 0, 0], [0, 0, 0, 0]]
        covered = (1 + 1 / 2 + 1 + 1 / 4) / 4
        assert report['covered_pixels'] == covered
        assert report['labeled_pixels'] == (1 if keep else covered)
        ratio = '100.0' if keep else '68.8'
        lines = [line for line in report_lines(report) if line.startswith('pixels')]
        assert lines == [
            'pixels covered by the masks: 68.8 %',
            f'pixels with a label in the written masks: {ratio} %',
        ]
        assert report['records'][0]['masks'] == 3


def test_a_class_is_shown_from_min_pixels_on(data):
    report = run(data, settings=dict(min_pixels=2))
    records = {record['image']: record for record in report['records']}
    assert records['a']['missing'] == ['dog']  # one pixel
    assert records['a']['coverage'] == 0.5


def test_region_of_number_zero_is_a_mask_if_told(data):
    for name in PSEUDO:
        save_png(data / f'regions/{name}.png', [[0, 0, 0, 1], [0, 0, 0, 1]])
    settings = dict(class_free=True, min_coverage=0.0)
    found = []
    for zero in (False, True):
        settings['zero_is_region'] = zero
        run(data, 'regions', settings, pseudo=True, overwrite=True)
        found.append(written(data)['sub/c'])
    assert found == [
        [[255, 255, 255, 0], [255, 255, 255, 0]],
        [[3, 3, 3, 0], [3, 3, 3, 0]],
    ]


def test_source_masks_are_never_replaced(data):
    save_png(data / 'out/masks/a.png', LABELS['a'])
    for options in ({}, {'overwrite': True}):
        with pytest.raises(ValueError, match='would be read and written'):
            run(data, 'out/masks', **options)
        with pytest.raises(FileExistsError, match='that no export has written'):
            run(data, **options)
    assert read_label_map(data / 'out/masks/a.png').tolist() == LABELS['a']


def test_files_with_a_suffix_of_their_own(data):
    for name, labels in LABELS.items():
        save_png(data / f'own/{name}_final.png', labels)
    run(data, 'own', mask_suffix='_final.png')
    assert written(data)['a'] == [[0, 1, 1, 2], [255, 255, 0, 255]]


def test_class_free_masks_of_every_layout_in_one_folder(data):
    save_png(data / 'sam/a/0.png', [[255] * 4, [0] * 4])
    save_png(data / 'sam/a/1.png', [[0] * 4, [0, 255, 255, 0]])
    (data / 'sam/a/metadata.csv').write_text('id,area\n')
    (data / 'sam/b').mkdir()
    (data / 'sam/b/metadata.csv').write_text('id,area\n')  # nothing was found
    masks = [{'segmentation': {'size': [2, 4], 'counts': [0, 4, 4]}}]
    (data / 'sam/sub').mkdir()
    (data / 'sam/sub/c.jpg.json').write_text(json.dumps({'annotations': masks}))
    settings = dict(class_free=True, min_coverage=0.0)
    report = run(data, 'sam', settings, pseudo=True)
    assert report['images']['without masks'] == 1  # `empty`
    assert written(data) == {
        'a': [[1, 1, 1, 1], [255, 2, 2, 255]],
        'b': [[255] * 4, [255] * 4],
        'sub/c': [[3, 3, 255, 255], [3, 3, 255, 255]],
    }
    records = {record['image']: record for record in report['records']}
    assert (records['b']['masks'], records['b']['disagreement']) == (0, 1)


def test_images_without_tags_or_masks_are_rejected(data):
    (data / 'labels/b.png').unlink()
    report = run(data, tags={'a': [0], 'b': [1]})
    status = {record['image']: record['status'] for record in report['records']}
    assert status == {
        'a': 'accepted',
        'b': 'without masks',
        'empty': 'without tags',
        'sub/c': 'without tags',
    }
    assert list(written(data)) == ['a']
    assert report['classes']['person']['coverage'] is None


def test_true_masks_have_the_tags_of_images_without_an_entry(data):
    """True masks need no tags; the entries of the tag file still hold."""
    (data / 'labels/b.png').unlink()
    save_png(data / 'images/d.png', np.zeros((2, 4, 3)))
    report = run(
        data, settings=dict(tags_from_masks=True, min_pixels=3), tags={'a': [0]}
    )
    counts = {'accepted': 2, 'rejected': 1, 'without masks': 0, 'without tags': 2}
    assert report['images'] == counts
    assert written(data) == {'empty': LABELS['empty'], 'sub/c': LABELS['sub/c']}
    assert (data / 'out/tagged.txt').read_text() == 'a\n'
    line = '2 images without an entry: tags from their masks'
    assert report_lines(report)[1] == line
    save_png(data / 'labels/sub/c.png', [[2] * 4] * 2)
    run(data, settings=dict(tags_from_masks=True, min_pixels=3), tags={'a': [0]})
    assert written(data)['sub/c'] == [[2] * 4] * 2
    assert 'tags_from_masks' not in ImportSettings(CLASSES).plain()  # of manifests


def test_only_listed_images_are_imported(data):
    report = run(data, names=['sub/c', 'a'])
    assert [record['image'] for record in report['records']] == ['sub/c', 'a']
    with pytest.raises(ValueError, match=r"an image 'gone', .* \(1 of 2 are missing\)"):
        run(data, names=['a', 'gone'])


def test_an_import_resumes_and_follows_changed_files(data, monkeypatch):
    first = run(data)
    done: list[str] = []
    write = module.write_label_map
    monkeypatch.setattr(
        module,
        'write_label_map',
        lambda path, *rest: (done.append(path.stem), write(path, *rest)),
    )
    assert run(data) == first
    assert done == []
    (data / 'out/masks/a.png').write_bytes(b'broken')
    (data / 'out/records/empty.json').write_text('{')
    assert run(data) == first
    assert done == ['a', 'empty']
    save_png(data / 'labels/sub/c.png', np.zeros((2, 4)))  # now it is rejected
    save_png(data / 'labels/b.png', [[2] * 4] * 2)  # and this one is accepted
    run(data)
    assert list(written(data)) == ['a', 'b', 'empty']
    assert run(data, tags=TAGS | {'a': [0]})['records'][0]['untagged'] == {
        'dog': 1,
        'person': 2,
    }


def test_masks_of_other_settings_are_kept_unless_overwritten(data):
    run(data)
    with pytest.raises(FileExistsError, match=r'min_coverage: expected 0, found 0\.5'):
        run(data, settings=dict(min_coverage=0))
    run(data, settings=dict(min_coverage=0), overwrite=True)
    assert list(written(data)) == ['a', 'b', 'empty', 'sub/c']


def test_lists_of_the_images_without_an_accepted_mask(data):
    (data / 'labels/a.png').unlink()
    tags = {name: row for name, row in TAGS.items() if name != 'sub/c'}
    report = run(data, tags=tags)
    counts = {'accepted': 1, 'rejected': 1, 'without masks': 1, 'without tags': 1}
    assert report['images'] == counts
    lists = [
        (data / f'out/{name}.txt').read_text().split()
        for name in ('accepted', 'others', 'tagged')
    ]
    assert lists == [['empty'], ['a', 'b', 'sub/c'], ['a', 'b']]


def test_a_report_is_written_even_if_no_image_is_accepted(data):
    with pytest.raises(ValueError, match=r'none .* accepted \(0 accepted, 1 rejected'):
        run(data, names=['b'])
    assert json.loads((data / 'out/report.json').read_text())['images']['rejected'] == 1
    assert (data / 'out/accepted.txt').read_text() == ''


def test_class_free_masks_need_pseudo_masks(data):
    for settings in (dict(class_free=True), dict(keep_uncovered=True)):
        with pytest.raises(ValueError, match='name their folder'):
            run(data, settings=settings)
    (data / 'pseudo/b.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'b\.png: expected the pseudo-mask'):
        run(data, pseudo=True)


@pytest.mark.parametrize(
    ('file', 'content', 'message'),
    [
        ('labels/b.png', [[0, 2, 0]], r'labels/b\.png: expected .* 4x2 .* found 3x1'),
        ('pseudo/b.png', [[0, 2], [0, 2]], r'pseudo/b\.png: expected .* found 2x2'),
        (
            'labels/b.png',
            [[0, 4, 2, 2]] * 2,
            r'labels/b\.png: labels \[4\] .* 3 classes: correct the mask or --classes',
        ),
        ('pseudo/b.png', [[0, 9, 2, 2]] * 2, r'pseudo/b\.png: labels \[9\]'),
        ('labels/b.png', np.zeros((2, 4, 3)), r'labels/b\.png: expected a palette'),
    ],
)
def test_bad_files_are_named(data, file, content, message):
    save_png(data / file, content)
    with pytest.raises(ValueError, match=message):
        run(data, pseudo=True)


def test_an_unreadable_image_is_named(data):
    (data / 'images/b.png').write_bytes(b'none')
    with pytest.raises(ValueError, match=r'images/b\.png: unreadable image'):
        run(data)


def test_binary_label_maps_are_refused(data):
    for name in LABELS:
        save_png(data / f'labels/{name}.png', [[0, 0, 255, 255]] * 2)
    with pytest.raises(ValueError, match=r'labels/a\.png and the other .* class-free'):
        run(data)
    assert not (data / 'out').exists()


def test_label_maps_of_a_rare_class(data, monkeypatch):
    monkeypatch.setattr(import_inputs, 'NUM_CHECKED', 1)
    save_png(data / 'labels/a.png', [[0, 0, 255, 255]] * 2)
    run(data)
    assert written(data)['sub/c'] == LABELS['sub/c']


def test_without_background_label_0_is_the_first_class(data):
    tags = {'a': [0, 2], 'b': [0], 'sub/c': [0], 'empty': [0]}
    tags = ImageTags(tags, ('zero', *CLASSES))
    settings = ImportSettings(('zero', *CLASSES), background=False)
    import_masks(data / 'labels', data / 'images', tags, data / 'out', settings)
    assert written(data)['a'] == [[0, 255, 255, 2], [255, 255, 0, 255]]
    assert written(data)['sub/c'] == [[255, 255, 0, 0]] * 2


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(min_coverage=1.5), r'min_coverage must be in \[0, 1\], got 1.5'),
        (dict(min_pixels=0), 'min_pixels must be at least 1, got 0'),
        (dict(zero_is_region=True), 'is an option of class-free masks'),
        (dict(tags_from_masks=True, class_free=True), 'class-free masks show no tags'),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ImportSettings(CLASSES, **settings)

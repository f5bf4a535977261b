"""SemiDataset with image tags: for some images, from masks, in a part of their own."""

from pathlib import Path

import pytest
from PIL import Image
from tagged_parts import (
    CLASSES,
    LOAD,
    MASK,
    PACK,
    PIPELINES,
    check,
    config,
    part,
    tags_of,
    write_parts,
)

from mmseg_wsss.datasets import SemiDataset, semi_dataset, tagged_dataset
from mmseg_wsss.datasets.samplers import MultiSourceSampler


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_parts(tmp_path)


@pytest.mark.parametrize('name', ['labeled', 'tagged'])
def test_a_pipeline_that_loses_the_tags_is_named(folder, name):
    pack = [{'type': 'PackSegInputs'}]
    pipelines = {
        'labeled': [*LOAD, *MASK, {'type': 'SemiMultiBranch', 'sup': pack}],
        'tagged': [
            *LOAD,
            {'type': 'SemiMultiBranch', 'unsup_weak': PACK, 'unsup_strong': pack},
        ],
    }
    dataset = SemiDataset(
        **config(folder, **{name: {**part(folder, name), 'pipeline': pipelines[name]}})
    )
    index, other = {'labeled': (0, 2), 'tagged': (2, 0)}[name]
    with pytest.raises(
        RuntimeError, match=rf'{index}\.png: the pipeline loses the tag'
    ):
        dataset[index]
    dataset[other]
    dataset[5]  # has none


def test_an_image_that_stands_for_a_rejected_one_may_have_no_tags(folder):
    class RejectTwo:
        def __call__(self, results):
            return None if results['img_path'].endswith('2.png') else results

    unlabeled = part(folder, 'unlabeled', 'rest')
    unlabeled['pipeline'] = [RejectTwo(), *PIPELINES['unlabeled']]
    (folder / 'tags.csv').write_text('2,dog\n4,cat\n')
    dataset = SemiDataset(**config(folder, tagged=None, unlabeled=unlabeled))
    views = dataset[2]['data_samples']
    assert views['unsup_weak'].img_path.endswith('3.png')
    assert 'gt_tags' not in views['unsup_weak']


def test_bg_is_no_class_of_objects(folder):
    settings = config(folder)
    for name in PIPELINES:
        settings[name]['metainfo'] = {'classes': ('bg', *CLASSES[1:])}
    with pytest.raises(ValueError, match="class 'bg' would count as a foreground"):
        SemiDataset(**settings)


# Images 0 and 1 have masks of cat and dog; the tags of 2 to 4 are in the file.
EXPECTED = [[0], [1], [1], [0, 2], [0], None, None]


def test_three_parts(folder):
    dataset = SemiDataset(**config(folder))
    assert dataset.cumulative_sizes == [2, 5, 7]
    assert tags_of(dataset) == EXPECTED
    assert dataset.has_tags
    sampler = MultiSourceSampler(dataset, 4, (1, 2, 1), shuffle=False, seed=0)
    stream = iter(sampler)
    assert [int(next(stream)) for _ in range(8)] == [0, 2, 3, 5, 1, 4, 2, 6]


def test_a_file_that_names_some_images(folder):
    settings = {'tagged': None, 'unlabeled': part(folder, 'unlabeled', 'rest')}
    dataset = SemiDataset(**config(folder, **settings))
    assert dataset.cumulative_sizes == [2, 7]
    assert tags_of(dataset) == EXPECTED


def test_a_plain_folder_has_the_classes_of_the_labeled_part(folder):
    for name in '01':
        (folder / 'img' / f'{name}.png').unlink()
    images = {'type': 'ImageFolder', 'data_root': str(folder / 'img')}
    images['pipeline'] = PIPELINES['unlabeled']
    labeled = part(folder, 'labeled')
    labeled['ann_file'] = ''
    labeled['data_prefix'] = {'img_path': 'a', 'seg_map_path': 'b'}
    for name in ('a', 'b'):
        (folder / name).mkdir()
        Image.new('L', (6, 4), 2).save(folder / name / 'x.png')
    settings = config(folder, labeled=labeled, tagged=None, unlabeled=images)
    assert tags_of(SemiDataset(**settings)) == [[1], *EXPECTED[2:]]
    assert check(folder, **{k: v for k, v in settings.items() if k != 'tags'}) == []


def test_labeled_and_tagged_alone(folder):
    dataset = SemiDataset(**config(folder, unlabeled=None))
    assert tags_of(dataset) == EXPECTED[:5]


def test_without_tags_nothing_changes(folder):
    dataset = SemiDataset(**config(folder, tagged=None, tags=None))
    assert tags_of(dataset) == [None] * 4
    assert not dataset.has_tags


def test_tags_of_labeled_images_from_a_file(folder):
    (folder / 'labeled.csv').write_text('0,cow\n1,cow;dog\n')
    given = {'path': str(folder / 'labeled.csv')}
    dataset = SemiDataset(**config(folder, labeled_tags=given))
    assert tags_of(dataset)[:2] == [[2], [1, 2]]


@pytest.mark.parametrize('copied', [False, True])
@pytest.mark.parametrize('separate', [False, True])
def test_one_entry_of_two_images(folder, copied, separate):
    (folder / 'own').mkdir()
    source = folder / 'img' / ('2.png' if copied else '0.png')
    (folder / 'own/2.png').write_bytes(source.read_bytes())
    (folder / 'mask/2.png').write_bytes((folder / 'mask/0.png').read_bytes())
    (folder / 'labeled.txt').write_text('2\n')
    labeled = part(folder, 'labeled')
    labeled['data_prefix'] = {'img_path': 'own', 'seg_map_path': 'mask'}
    path = folder / 'tags.csv'
    if separate:
        path = folder / 'labeled.csv'
        path.write_text('2,cat\n')
    settings = config(folder, labeled=labeled, labeled_tags={'path': str(path)})
    if copied or separate:
        assert len(SemiDataset(**settings)) == 6
        return
    message = r"tags\.csv:1: .*own/2\.png and .*img/2\.png are .* one entry, '2'; give"
    with pytest.raises(ValueError, match=message):
        SemiDataset(**settings)


@pytest.mark.parametrize(('ann_file', 'count'), [('unlabeled', 2), ('rest', 5)])
@pytest.mark.parametrize('entry', ['', '5,cow\n'])
def test_entries_of_unlabeled_images_beside_tagged_ones(
    folder, entry, ann_file, count, monkeypatch
):
    """Images in both parts have their tags in one of them."""
    with (folder / 'tags.csv').open('a') as file:
        file.write(entry)
    lines: list[str] = []
    monkeypatch.setattr(semi_dataset, 'print_log', lambda text, *_: lines.append(text))
    settings = config(folder, unlabeled=part(folder, 'unlabeled', ann_file))
    assert tags_of(SemiDataset(**settings))[5:] == [None] * count
    assert len(lines) == bool(entry)
    assert not lines or f'tags.csv: 1 of {count} images of unlabeled have' in lines[0]


def test_masks_of_tagged_images_are_not_opened(folder):
    expected = tags_of(SemiDataset(**config(folder)))
    for name in range(2, 7):
        (folder / 'mask' / f'{name}.png').write_bytes(b'not an image')
    dataset = SemiDataset(**config(folder))
    assert tags_of(dataset) == expected
    for i in range(2, 7):
        assert 'seg_map_path' not in dataset.get_data_info(i)
        for view in dataset[i]['data_samples'].values():
            assert view is None or 'gt_sem_seg' not in view


def test_lists_of_a_split(folder):
    (folder / 'splits').mkdir()
    for name in PIPELINES:
        (folder / f'{name}.txt').rename(folder / 'splits' / f'{name}.txt')
    settings = config(folder)
    for name in PIPELINES:
        del settings[name]['ann_file']
    assert tags_of(SemiDataset(**settings, split='splits')) == EXPECTED
    (folder / 'splits' / 'tagged.txt').unlink()
    with pytest.raises(FileNotFoundError, match=r'tagged\.txt does not exist'):
        SemiDataset(**settings, split='splits')


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'tagged': None, 'unlabeled': None}, 'needs unlabeled or tagged images'),
        ({'tags': None}, 'tagged images need tags'),
        ({'tags': {'source': 'masks'}}, 'would open masks of images without labels'),
    ],
)
def test_parts_that_cannot_be(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        SemiDataset(**config(folder, **settings))


def test_tags_given_as_a_path(folder):
    with pytest.raises(TypeError, match=r"expected dict\(path='tags\.json'\)"):
        SemiDataset(**config(folder, tags='tags.csv'))


def test_every_tagged_image_needs_an_entry(folder):
    (folder / 'tags.csv').write_text('2,dog\n4,cat\n')
    with pytest.raises(ValueError, match="no entry for image '3'"):
        SemiDataset(**config(folder))


def test_a_file_of_other_images_is_an_error(folder):
    (folder / 'tags.csv').write_text('img_2,dog\n')
    settings = {'tagged': None, 'unlabeled': part(folder, 'unlabeled', 'rest')}
    with pytest.raises(ValueError, match=r"such as '2'.*such as 'img_2'"):
        SemiDataset(**config(folder, **settings))


@pytest.mark.parametrize('own', [False, True])
def test_entries_without_the_folder_of_their_image(folder, own, monkeypatch):
    """The image ``2`` of the entry may be there too, in another part."""
    (folder / 'img/x').mkdir()
    (folder / 'img/2.png').rename(folder / 'img/x/2.png')
    if own:
        Image.new('RGB', (6, 4)).save(folder / 'img/2.JPG')
    (folder / 'rest.txt').write_text('x/2\n3\n5\n')
    settings = {'tagged': None, 'unlabeled': part(folder, 'unlabeled', 'rest')}
    if own:
        lines: list[str] = []
        monkeypatch.setattr(
            tagged_dataset, 'print_log', lambda text, *_: lines.append(text)
        )
        SemiDataset(**config(folder, **settings))
        (line,) = lines
        assert ': 1 of 3 images without masks have tags; 2 entries match none' in line
        return
    with pytest.raises(ValueError, match=r"csv:1: .* no image '2' .* image 'x/2' has"):
        SemiDataset(**config(folder, **settings))


def test_wrong_tags_are_named(folder):
    (folder / 'tags.csv').write_text('2,dgo\n3,cow\n4,cat\n')
    with pytest.raises(ValueError, match=r"tags\.csv:1.*did you mean 'dog'"):
        SemiDataset(**config(folder))

from pathlib import Path

import pytest

from mmseg_wsss.datasets.mask_files import find_masks


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def images(*names: str) -> dict[str, str]:
    return {name: f'images/{name}.jpg' for name in names}


@pytest.mark.parametrize(
    'file',
    [
        'a.png',
        'a.PNG',
        'a.jpg.png',
        'a_mask.png',
        'a.jpg_mask.png',
        'a_masks.png',
        'a_seg.png',
        'a_label.png',
        'a_labels.png',
        'a_labelIds.png',
        'a_labelTrainIds.png',
        'a.json',
        'a.jpg.json',
        'a.npz',
    ],
)
def test_names_of_files(tmp_path, file):
    touch(tmp_path, f'sub/{file}', 'sub/a.txt', 'ab.png', '.hidden/a.png')
    found = find_masks(tmp_path, images('sub/a', 'b'), ('.png', '.json', '.npz'))
    assert found == {'sub/a': tmp_path / 'sub' / file}


def test_folders_of_masks(tmp_path):
    touch(tmp_path, 'a/0.png', 'a/1.png', 'a/metadata.csv', 'sub/b.jpg/0.png')
    touch(tmp_path, 'nothing/metadata.csv', 'other/0.png', 'c.png')
    names = images('a', 'sub/b', 'nothing', 'c', 'd')
    found = find_masks(tmp_path, names, ('.png',), class_free=True)
    folders = {'a': 'a', 'sub/b': 'sub/b.jpg', 'nothing': 'nothing', 'c': 'c.png'}
    assert found == {name: tmp_path / path for name, path in folders.items()}
    assert find_masks(tmp_path, names, ('.png',)) == {'c': tmp_path / 'c.png'}


def test_an_exact_name_comes_before_an_ending(tmp_path):
    touch(tmp_path, 'a_mask.png', 'a.png')
    found = find_masks(tmp_path, images('a', 'a_mask'), ('.png',))
    assert found == {'a': tmp_path / 'a.png', 'a_mask': tmp_path / 'a_mask.png'}


def test_images_beside_their_masks_are_no_masks(tmp_path):
    touch(tmp_path, 'a.png', 'a_mask.png')
    found = find_masks(tmp_path, {'a': tmp_path / 'a.png'}, ('.png',))
    assert found == {'a': tmp_path / 'a_mask.png'}


def test_own_ending(tmp_path):
    touch(tmp_path, 'a_manual.png', 'a.png')
    found = find_masks(tmp_path, images('a'), ('.png', '.json'), '_manual.png')
    assert found == {'a': tmp_path / 'a_manual.png'}
    found = find_masks(tmp_path, images('a'), ('.png',), '.PNG')
    assert found == {'a': tmp_path / 'a.png'}
    with pytest.raises(ValueError, match=r"must end with \.png, got '_manual'"):
        find_masks(tmp_path, images('a'), ('.png',), '_manual')


def test_two_masks_of_an_image_are_refused(tmp_path):
    touch(tmp_path, 'a.png', 'a_mask.png')
    with pytest.raises(ValueError, match=r"a\.png and .*a_mask\.png .* image 'a'"):
        find_masks(tmp_path, images('a'), ('.png',))


def test_a_folder_without_masks_of_the_images_is_refused(tmp_path):
    touch(tmp_path, 'b.png')
    with pytest.raises(ValueError, match=r'\(a\.png\), found others, .*b\.png'):
        find_masks(tmp_path, images('a'), ('.png',))
    (tmp_path / 'b.png').unlink()
    with pytest.raises(ValueError, match='found no file'):
        find_masks(tmp_path, images('a'), ('.png',))
    with pytest.raises(FileNotFoundError, match='gone does not exist'):
        find_masks(tmp_path / 'gone', images('a'), ('.png',))


def test_numbers_of_objects_are_no_classes(tmp_path):
    touch(tmp_path, 'a_labelIds.png', 'b_instanceIds.png')
    found = find_masks(tmp_path, images('a', 'b'), ('.png',))
    assert found == {'a': tmp_path / 'a_labelIds.png'}
    found = find_masks(tmp_path, images('b'), ('.png',), class_free=True)
    assert found == {'b': tmp_path / 'b_instanceIds.png'}


def test_end_of_the_names_of_images(tmp_path):
    touch(tmp_path, 'city/a_gtFine_labelIds.png', 'b_gtFine_labelIds.png')
    names = images('city/a_leftImg8bit', 'b')
    options = dict(suffixes=('.png',), mask_suffix='_gtFine_labelIds.png')
    for end in ('_leftImg8bit', '_leftImg8bit.png'):
        found = find_masks(tmp_path, names, image_suffix=end, **options)
        path = tmp_path / 'city/a_gtFine_labelIds.png'
        assert found == {'city/a_leftImg8bit': path}
    with pytest.raises(
        ValueError, match=r"end with '_x' \(--image-suffix\), found 'ci"
    ):
        find_masks(tmp_path, names, image_suffix='_x', **options)
    with pytest.raises(ValueError, match=r"'a_x' and 'a_x\.jpg' are one name without"):
        find_masks(tmp_path, images('a_x', 'a_x.jpg'), image_suffix='_x', **options)

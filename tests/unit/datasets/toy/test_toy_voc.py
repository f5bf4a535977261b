"""The generated dataset: reproducible bytes, correct masks, heads and bodies."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_wsss.datasets import ImageTags, ToyVOCDataset
from mmseg_wsss.datasets.tags import tags_from_masks
from mmseg_wsss.datasets.toy.toy_scene import OBJECT_CLASSES, draw_scene
from mmseg_wsss.datasets.toy.toy_voc import generate, main

CLASSES = ToyVOCDataset.METAINFO['classes']


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope='module')
def toy(tmp_path_factory) -> Path:
    return generate(tmp_path_factory.mktemp('toy'), 10, 4, size=64)


def test_the_same_arguments_give_the_same_bytes(toy, tmp_path):
    assert content(generate(tmp_path, 10, 4, size=64)) == content(toy)


def test_image_depends_only_on_seed_and_number(toy, tmp_path):
    fewer = content(generate(tmp_path / 'fewer', 3, 1, size=64))
    name = 'JPEGImages/toy_000002.png'
    assert fewer[name] == content(toy)[name]
    other = content(generate(tmp_path / 'seed', 3, 1, size=64, seed=1))
    assert other[name] != fewer[name]


def test_layout_of_voc_is_read_by_mmseg(toy):
    for split, count in (('train', 10), ('val', 4)):
        dataset = ToyVOCDataset(
            data_root=str(toy), ann_file=f'ImageSets/Segmentation/{split}.txt'
        )
        assert len(dataset) == count
        for i in range(count):
            info = dataset.get_data_info(i)
            assert Image.open(info['img_path']).size == (64, 64)
            assert Image.open(info['seg_map_path']).mode == 'P'


def test_tags_are_the_classes_of_the_masks(toy):
    for split in ('train', 'val'):
        tags = ImageTags.load(toy / f'tags_{split}.json', CLASSES[1:])
        masks = {n: toy / 'SegmentationClass' / f'{n}.png' for n in tags.names}
        derived = tags_from_masks(masks, CLASSES[1:])
        assert all((tags.vector(n) == derived.vector(n)).all() for n in masks)


def test_objects_have_small_heads_on_large_plain_bodies():
    ratios, labels = [], set()
    for index in range(48):
        scene = draw_scene(
            np.random.default_rng((0, index)), 128, index % len(OBJECT_CLASSES) + 1
        )
        assert 1 <= len(scene.labels) <= 3
        assert set(scene.labels) == set(np.unique(scene.seg)) - {0}
        labels |= set(scene.labels)
        assert ((scene.instances > 0) == (scene.seg > 0)).all()
        assert not (scene.part & (scene.seg == 0)).any()
        ratios.append(scene.part.sum() / (scene.seg > 0).sum())
        for instance in range(1, len(scene.labels) + 1):
            body = scene.img[(scene.instances == instance) & ~scene.part]
            head = scene.img[(scene.instances == instance) & scene.part]
            assert body.std(0).mean() < head.std(0).mean()
    assert labels == set(range(1, len(OBJECT_CLASSES) + 1))
    assert len(labels) >= 5
    assert np.mean(ratios) < 0.35


def test_mean_color_does_not_determine_the_class():
    """Classification by the nearest mean color is hardly better than chance."""
    colors, labels = [], []
    for index in range(180):
        label = index % len(OBJECT_CLASSES) + 1
        scene = draw_scene(np.random.default_rng((1, index)), 64, label)
        for instance, kind in enumerate(scene.labels, 1):
            where = (scene.instances == instance) & ~scene.part
            colors.append(scene.img[where].mean(0))
            labels.append(kind)
    colors, labels = np.array(colors), np.array(labels)
    half = len(labels) // 2
    means = np.stack(
        [colors[:half][labels[:half] == k].mean(0) for k in np.unique(labels)]
    )
    guess = ((colors[half:, None] - means) ** 2).sum(2).argmin(1) + 1
    assert (guess == labels[half:]).mean() < 0.35


def test_an_interrupted_run_is_completed(toy, tmp_path, monkeypatch):
    from mmseg_wsss.datasets.toy import toy_voc

    draw = toy_voc.draw_scene
    calls = []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return draw(*args)

    monkeypatch.setattr(toy_voc, 'draw_scene', interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, 10, 4, size=64)
    assert not (tmp_path / 'tags_train.json').exists()
    monkeypatch.setattr(toy_voc, 'draw_scene', draw)
    assert content(generate(tmp_path, 10, 4, size=64)) == content(toy)


def test_complete_folder_is_kept_and_other_arguments_are_refused(toy):
    before = {path: path.stat().st_mtime_ns for path in toy.rglob('*.png')}
    generate(toy, 10, 4, size=64)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    with pytest.raises(ValueError, match=r"'seed': 0.*'seed': 1"):
        generate(toy, 10, 4, size=64, seed=1)
    assert json.loads((toy / 'toy_voc.json').read_text())['complete']


@pytest.mark.parametrize(
    ('argument', 'value'), [('num_train', 0), ('num_val', 0), ('size', 8), ('seed', -1)]
)
def test_bad_arguments_are_named(tmp_path, argument, value):
    with pytest.raises(ValueError, match=f'{argument}.*{value}'):
        generate(tmp_path, **{argument: value})


@pytest.mark.parametrize(
    'lost', ['JPEGImages/toy_000001.png', 'ImageSets/Segmentation/val.txt']
)
def test_missing_files_are_restored(tmp_path, lost):
    before = content(generate(tmp_path, 2, 1, size=64))
    (tmp_path / lost).unlink()
    assert content(generate(tmp_path, 2, 1, size=64)) == before


def test_other_files_are_not_overwritten(tmp_path):
    train = tmp_path / 'ImageSets' / 'Segmentation' / 'train.txt'
    train.parent.mkdir(parents=True)
    train.write_text('2007_000032\n')
    with pytest.raises(ValueError, match=r'contains other files and no toy_voc\.json'):
        generate(tmp_path, 2, 1, size=64)
    with pytest.raises(ValueError, match='is a file, expected a folder'):
        generate(train, 2, 1, size=64)
    assert list(content(tmp_path).values()) == [b'2007_000032\n']


def test_leftover_of_an_interrupted_first_write_is_ignored(tmp_path):
    (tmp_path / '.toy_voc.json.0123abcd.tmp').write_text('{"ver')
    generate(tmp_path, 2, 1, size=64)
    assert json.loads((tmp_path / 'toy_voc.json').read_text())['complete']


@pytest.mark.parametrize('text', ['', '{"version"', '[]', '{"version": 1}'])
def test_broken_manifest_is_named(tmp_path, text):
    (tmp_path / 'toy_voc.json').write_text(text)
    with pytest.raises(ValueError, match=r'toy_voc\.json does not contain the arg'):
        generate(tmp_path, 2, 1, size=64)


def test_command_line_reports_errors(tmp_path, monkeypatch, capsys):
    call = ['toy_voc', str(tmp_path), '--num-train', '2', '--num-val', '1']
    monkeypatch.setattr('sys.argv', [*call, '--size', '33', '--seed', '5'])
    main()
    assert '2 + 1 images' in capsys.readouterr().out
    monkeypatch.setattr('sys.argv', call)
    with pytest.raises(SystemExit):
        main()
    assert "images of the arguments {'version'" in capsys.readouterr().err

"""Exporting from datasets of which some images have masks."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from export_job import (
    NAMES,
    PALETTE,
    check_labels,
    export,
    export_by_two_processes,
)
from mmengine.config import Config
from PIL import Image

from mmseg_wsss.datasets.soft_maps import read_soft_map
from mmseg_wsss.pipelines.export_files import given_names

TOOLS = Path(__file__).resolve().parents[3] / 'tools'


@pytest.fixture
def mixed(job: tuple, tmp_path: Path) -> tuple[Config, Path, Path]:
    """The job with masks of the images 2007_1 and sub/2007_0; tags of the others."""
    labeled = ['2007_1', 'sub/2007_0']
    for name in labeled:
        with Image.open(tmp_path / f'img/{name}.png') as image:
            mask = np.full(image.size[::-1], 2, np.uint8)
        mask[0], mask[1] = 255, 0
        path = tmp_path / f'mask/{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    tagged = [name for name in NAMES if name not in labeled]
    (tmp_path / 'tags.csv').write_text(''.join(f'{name},cat\n' for name in tagged))
    part = job[0].export_dataloader.dataset.to_dict()
    load, _ = part['pipeline']
    pack = {'type': 'PackWeakInputs'}  # keeps the tags
    parts = {}
    for kind, names in (('labeled', labeled), ('tagged', tagged)):
        (tmp_path / f'{kind}.txt').write_text('\n'.join(names))
        masks = [{'type': 'LoadAnnotations'}] if kind == 'labeled' else []
        pipeline = [load, *masks, pack]
        parts[kind] = part | {'ann_file': f'{kind}.txt', 'pipeline': pipeline}
    tags = {'path': str(tmp_path / 'tags.csv')}
    data = {'type': 'SemiDataset', **parts, 'tags': tags}
    job[0].export_dataloader.dataset = data
    return job


def test_masks_of_labeled_images_are_written(mixed: tuple, tmp_path: Path) -> None:
    assert export(mixed, soft=True, bg_thr=0.3) == [
        '2007_0',
        '2007_2',
        '2007_3',
        '2007_4',
    ]
    out = mixed[2]
    for name in ('2007_1', 'sub/2007_0'):
        with (
            Image.open(out / f'{name}.png') as written,
            Image.open(tmp_path / f'mask/{name}.png') as mask,
        ):
            assert np.array_equal(written, mask)
            assert np.array(written.getpalette()).reshape(-1, 3)[:3].tolist() == PALETTE
            prob = read_soft_map(out / f'{name}.npz', 3)
            assert np.array_equal(prob, np.arange(3)[:, None, None] == np.array(mask))
    assert given_names(out) == {'2007_1', 'sub/2007_0'}
    assert json.loads((out / 'manifest.json').read_text())['given'] == [
        '2007_1',
        'sub/2007_0',
    ]
    (out / 'sub/2007_0.png').unlink()
    assert export(mixed, soft=True, bg_thr=0.3) == []
    assert (out / 'sub/2007_0.png').exists()


def test_masks_of_labeled_images_can_be_ignored(mixed: tuple, tmp_path: Path) -> None:
    assert len(export(mixed, given_masks=False)) == 6
    check_labels(mixed, tmp_path / 'img')
    assert given_names(mixed[2]) == set()
    with pytest.raises(FileExistsError, match=r"given: expected \['2007_1'"):
        export(mixed)


def test_corrected_masks_are_noticed(mixed: tuple, tmp_path: Path) -> None:
    export(mixed)
    path = tmp_path / 'mask/2007_1.png'
    mask = np.array(Image.open(path))
    Image.fromarray(np.where(mask == 2, 1, mask).astype(np.uint8)).save(path)
    with pytest.raises(FileExistsError, match='given_sha256: expected'):
        export(mixed)
    export(mixed, overwrite=True)
    with Image.open(mixed[2] / '2007_1.png') as written:
        assert np.unique(written).tolist() == [0, 1, 255]


@pytest.mark.parametrize('change', ['image', 'tag', 'no tag'])
def test_other_images_and_tags_are_noticed(
    mixed: tuple, tmp_path: Path, change: str
) -> None:
    """An image of equal size, another tag, or none in a partly tagged part."""
    dataset = mixed[0].export_dataloader.dataset
    dataset.unlabeled = dataset.pop('tagged')
    export(mixed)
    if change == 'image':
        path = tmp_path / 'img/2007_3.png'
        with Image.open(path) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    else:
        path = tmp_path / 'tags.csv'
        line = '2007_3,dog\n' if change == 'tag' else ''
        path.write_text(path.read_text().replace('2007_3,cat\n', line))
    message = 'other images or tags of 1 names, the first is 2007_3'
    with pytest.raises(FileExistsError, match=message):
        export(mixed)
    assert export(mixed, overwrite=True) == ['2007_3']
    assert export(mixed) == []


def test_a_mask_that_was_resized_is_named(mixed: tuple) -> None:
    steps = mixed[0].export_dataloader.dataset.labeled.pipeline
    steps.insert(2, {'type': 'Resize', 'scale': (14, 12)})
    with pytest.raises(ValueError, match=r'2007_1\.png: expected a mask of \(6, 7\)'):
        export(mixed)


def test_given_masks_do_not_count_in_the_evaluation(
    mixed: tuple, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(mixed)
    truth = tmp_path / 'truth'
    for name in NAMES:
        (truth / name).parent.mkdir(parents=True, exist_ok=True)
        (truth / f'{name}.png').write_bytes((mixed[2] / f'{name}.png').read_bytes())
    classes = ['--classes', 'background', 'cat', 'dog']
    argv = ['eval', str(mixed[2]), str(truth), '--workers', '0', *classes]
    (tmp_path / 'all.txt').write_text('\n'.join(NAMES))
    for words in (argv, [*argv, '--list', str(tmp_path / 'all.txt')]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, 'argv', words)
            tool = TOOLS / 'misc/eval_pseudo_labels.py'
            runpy.run_path(str(tool), run_name='__main__')
        shown = capsys.readouterr().out
        assert '4 images' in shown
        assert 'left out: 2 given masks' in shown


def test_two_processes_share_given_masks(mixed: tuple, tmp_path: Path) -> None:
    seen = export_by_two_processes(mixed, tmp_path)
    assert seen == [['2007_0', '2007_3'], ['2007_2', '2007_4']]
    for name in ('2007_1', 'sub/2007_0'):
        with (
            Image.open(mixed[2] / f'{name}.png') as written,
            Image.open(tmp_path / f'mask/{name}.png') as mask,
        ):
            assert np.array_equal(written, mask)

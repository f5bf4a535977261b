"""tools/predict.py: a folder of new images without tags."""

import json
import re
import sys
from unittest import mock

import numpy as np
import pytest
import torch
from helpers.methods import NUM_TAGS, TAG_NAMES
from helpers.processes import run_processes
from helpers.tiny import COLORS, SIZE, tiny_config, write_tiny_voc
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from mmseg_wsss.pipelines.predict import predict_folder, write_overlay, write_sheet
from mmseg_wsss.visualization.panels import panel

PALETTE = [[0, 0, 0], *COLORS[1:].tolist()]
META = {'classes': ('background', *TAG_NAMES), 'palette': PALETTE}
KINDS = ('CAM', 'ASDT', 'MKD', 'EncoderDecoder')


def write_run(name, folder):
    """Write the config and checkpoint of a method, or of plain mmseg."""
    cfg = tiny_config('CPS' if name == 'EncoderDecoder' else name, folder, folder)
    if name == 'EncoderDecoder':
        cfg.model = cfg.model.segmentor
        cfg.pop('test_dataloader')
        cfg.pop('val_dataloader')
        cfg.test_pipeline = [
            {'type': 'LoadImageFromFile'},
            {'type': 'LoadAnnotations'},
            {'type': 'PackSegInputs'},
        ]
    model = MODELS.build(cfg.model)  # init_weights would log at length
    cfg.dump(folder / 'config.py')
    checkpoint = folder / 'weights.pth'
    meta = {'dataset_meta': META}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, checkpoint)
    return folder / 'config.py', checkpoint


@pytest.fixture
def images(tmp_path):
    source = write_tiny_voc(tmp_path / 'voc') / 'JPEGImages'
    folder = tmp_path / 'images'
    (folder / 'sub').mkdir(parents=True)
    (folder / '.hidden').mkdir()
    for path, name in zip(sorted(source.iterdir()), ('a.png', 'sub/b.JPG', 'c.png')):
        Image.open(path).convert('RGB').save(folder / name)
        Image.open(path).save(folder / '.hidden' / path.name)
    return folder


@pytest.fixture
def predict(tool, monkeypatch):
    main = tool('predict').main

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['predict.py', *map(str, args)])
        main()

    return run


@pytest.mark.parametrize('name', KINDS)
def test_folder_of_every_kind_of_model(name, predict, images, tmp_path, capsys):
    run, out = write_run(name, tmp_path), tmp_path / 'out'
    predict(*run, images, '--out', out)
    assert '3 images' in capsys.readouterr().out
    masks = sorted(out.glob('masks/**/*.png'))
    assert [path.stem for path in masks] == ['a', 'c', 'b']
    mask = Image.open(masks[0])
    labels = np.asarray(mask)
    assert mask.mode == 'P'
    assert mask.getpalette()[3:6] == PALETTE[1]
    assert labels.shape == SIZE
    assert labels.max() <= NUM_TAGS
    overlay = np.asarray(Image.open(out / 'overlays/a.jpg'))
    assert overlay.shape == (*SIZE, 3)
    if (labels == 0).mean() > 0.9:
        assert np.median(overlay) < 10
    assert Image.open(out / 'contact_sheet.jpg').width > 200


def test_resumes(predict, images, tmp_path):
    run, out = write_run('CAM', tmp_path), tmp_path / 'out'
    predict(*run, images, '--out', out)
    files = {path: path.stat().st_mtime_ns for path in out.rglob('*.*')}
    (out / 'masks/a.png').write_bytes(b'half')
    (out / 'overlays/c.jpg').unlink()
    predict(*run, images, '--out', out)
    later = {path: path.stat().st_mtime_ns for path in out.rglob('*.*')}
    assert later.keys() == files.keys()
    changed = {p.name for p in files if later[p] != files[p] and 'sheet' not in p.name}
    assert changed == {'a.png', 'a.jpg', 'c.png', 'c.jpg'}
    assert json.loads((out / 'masks/manifest.json').read_text())


def test_size_of_the_sheet(predict, images, tmp_path):
    run, heights = write_run('CAM', tmp_path), []
    for size in (0, 1, 3):
        predict(*run, images, '--out', tmp_path / 'out', '--sheet', size)
        path = tmp_path / 'out/contact_sheet.jpg'
        heights.append(Image.open(path).height if path.exists() else 0)
    assert heights[0] == 0
    assert heights[1] + 200 < heights[2]


def test_other_images_of_the_same_names(predict, images, tmp_path, capsys):
    run, out = write_run('CAM', tmp_path), tmp_path / 'out'
    predict(*run, images, '--out', out)
    masks = [out / 'masks/a.png', out / 'masks/c.png']
    before = [path.stat().st_mtime_ns for path in masks]
    Image.new('RGB', (30, 20), (200, 10, 10)).save(images / 'a.png')
    with pytest.raises(SystemExit):
        predict(*run, images, '--out', out)
    assert (
        'made from other images of 1 names, the first is a' in capsys.readouterr().err
    )
    assert [path.stat().st_mtime_ns for path in masks] == before
    predict(*run, images, '--out', out, '--overwrite')
    assert Image.open(masks[0]).size == (30, 20)
    assert masks[1].stat().st_mtime_ns == before[1]


def test_overlays_are_upright_as_the_masks(predict, images, tmp_path):
    """The left half is red; turned by 90 degrees to the right it is the upper one."""
    run, out = write_run('CAM', tmp_path), tmp_path / 'out'
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20, 0] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(images / 'a.jpg', quality=95, exif=exif)
    (images / 'a.png').unlink()
    label = torch.ones(40, 20, dtype=torch.long)
    write_overlay(out, 'a', images / 'a.jpg', label, PALETTE)
    overlay = np.asarray(Image.open(out / 'overlays/a.jpg')).astype(int)
    upper, lower = overlay[2:18].mean((0, 1)), overlay[22:38].mean((0, 1))
    assert upper[0] > lower[0] + 50
    predict(*run, images, '--out', out)
    assert Image.open(out / 'masks/a.png').size == (20, 40)


def test_overlays_and_sheets_of_deep_images(tmp_path):
    """12 of 16 bits; no class, so that the overlay shows the image alone."""
    pixels = np.full((300, 500), 4000, np.uint16)
    pixels[:, :250] = 1000
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    label, paths = torch.zeros(300, 500, dtype=torch.long), {'a': tmp_path / 'a.png'}
    palette = [[1, 1, 1], *PALETTE[1:]]
    write_overlay(tmp_path, 'a', paths['a'], label, palette)
    Image.fromarray(label.byte().numpy()).save(tmp_path / 'a.png')
    (tmp_path / 'masks').mkdir()
    (tmp_path / 'a.png').rename(tmp_path / 'masks/a.png')
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    with mock.patch('mmseg_wsss.pipelines.predict.panel', wraps=panel) as drawn:
        write_sheet(tmp_path, ['a'], paths, {**META, 'palette': palette})
    (row,) = drawn.call_args.args[0]
    for image in (np.asarray(Image.open(tmp_path / 'overlays/a.jpg')), *row.values()):
        left, right = (half.mean() for half in np.split(image[..., 0], 2, axis=1))
        assert 3 < right / left < 5
    assert row['image'].shape == row['prediction'].shape == (120, 200, 3)
    assert row['image'].max() == 255


def other_weights(run, images):
    torch.save({'state_dict': {'other': torch.zeros(1)}}, run[1])


FAULTS = {
    'no folder': (lambda run, images: images.rename(images / '../x'), 'no folder'),
    'no image': (
        lambda run, images: [p.unlink() for p in images.rglob('*.*') if p.is_file()],
        'expected images',
    ),
    'other weights': (other_weights, 'does not fit the config: it lacks'),
    'no weights': (lambda run, images: run[1].unlink(), 'found no file'),
    'broken image': (
        lambda run, images: (images / 'a.png').write_bytes(b'x'),
        r'a\.png is no readable image',
    ),
    'truncated image': (
        lambda run, images: (images / 'sub/b.JPG').write_bytes(
            (images / 'sub/b.JPG').read_bytes()[:400]
        ),
        r'b\.JPG is no readable image',
    ),
    'one name': (
        lambda run, images: (images / 'a.png').with_suffix('.jpg').write_bytes(b'x'),
        'the same results',
    ),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_one_line_for_bad_input(fault, predict, images, tmp_path, capsys):
    edit, message = FAULTS[fault]
    run = write_run('CAM', tmp_path)
    edit(run, images)
    with pytest.raises(SystemExit):
        predict(*run, images, '--out', tmp_path / 'out')
    errors = capsys.readouterr().err.strip().splitlines()
    lines = [line for line in errors if 'error: ' in line]
    assert len(lines) == 1
    assert re.search(message, lines[0])


def test_another_model_needs_overwrite(predict, images, tmp_path, capsys):
    run, out = write_run('CAM', tmp_path), tmp_path / 'out'
    predict(*run, images, '--out', out)
    config = Config.fromfile(run[0])
    config.model.test_cfg.bg_thr = 0.1
    config.dump(run[0])
    with pytest.raises(SystemExit):
        predict(*run, images, '--out', out)
    assert 'files of another export' in capsys.readouterr().err
    predict(*run, images, '--out', out, '--overwrite')


def test_results_inside_the_folder_of_images(predict, images, tmp_path):
    run = write_run('CAM', tmp_path)
    for _ in range(2):
        predict(*run, images, '--out', images / 'results')
    assert len([*images.glob('results/masks/**/*.png')]) == 3


def predict_on_rank(rank, config, checkpoint, images, out, overwrite):
    """Predict in one of several processes; return the number of images."""
    cfg, options = Config.fromfile(config), {'progress': False}
    return predict_folder(cfg, checkpoint, images, out, overwrite=overwrite, **options)


def contents(out):
    """Times and bytes of all masks and overlays."""
    files = [*out.glob('masks/**/*.png'), *out.glob('overlays/**/*.jpg')]
    return {
        str(path.relative_to(out)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in files
    }


def test_two_processes_share_resume_and_overwrite(predict, images, tmp_path):
    run, out = write_run('ASDT', tmp_path), tmp_path / 'out'
    predict(*run, images, '--out', tmp_path / 'alone')
    jobs = (*run, images, out)
    assert run_processes(predict_on_rank, 2, (*jobs, False)) == [3, 3]
    first = contents(out)
    alone = contents(tmp_path / 'alone')
    assert {k: v for k, (_, v) in first.items()} == {
        k: v for k, (_, v) in alone.items()
    }
    assert (out / 'contact_sheet.jpg').is_file()

    (out / 'masks/sub/b.png').unlink()
    assert run_processes(predict_on_rank, 2, (*jobs, False)) == [3, 3]
    again = contents(out)
    assert {name for name in first if first[name] != again[name]} == {
        'masks/sub/b.png',
        'overlays/sub/b.jpg',
    }

    config = Config.fromfile(run[0])
    config.model.test_cfg.fuse = 'teacher'
    config.dump(run[0])
    assert run_processes(predict_on_rank, 2, (*jobs, True)) == [3, 3]
    later = contents(out)
    assert all(later[name][0] > again[name][0] for name in again)

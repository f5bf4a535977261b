"""voc-mini and CamVid, made from copies of the public datasets."""

import numpy as np
import pytest
import torch
from mmseg.models.backbones import MobileNetV2
from PIL import Image
from tool_files import save_png, status, words

VOC_MINI = 'data/voc-mini/VOC2012'


@pytest.fixture
def voc_mini(tool):
    return tool('dataset_converters/voc_mini')


def test_voc_mini_is_what_the_figures_were_measured_on(
    voc_mini, shared, tmp_path, capsys
):
    known, out = shared / VOC_MINI, tmp_path / 'VOC2012'
    assert voc_mini.main(words(known, '--out', out)) == 0
    shown = capsys.readouterr().out
    assert shown == f'{out}: 355 images with masks, all readable\n'
    files = {path.relative_to(known): path for path in known.rglob('*.*')}
    assert {path.relative_to(out) for path in out.rglob('*.*')} == set(files)
    for name, path in files.items():
        assert (out / name).read_bytes() == path.read_bytes(), name


def few(module, monkeypatch, tmp_path):
    """Lists of two images, and a copy of VOC with them."""
    lists, voc = tmp_path / 'lists', tmp_path / 'VOCdevkit/VOC2012'
    lists.mkdir()
    (lists / 'train.txt').write_text('a\n')
    (lists / 'val.txt').write_text('b\n')
    (lists / 'masks.txt').write_text('a 4 3 0\nb 4 3 0\n')
    for split in module.SPLITS:
        (lists / f'{split}_labeled.txt').write_text('a\n')
    monkeypatch.setattr(module, 'LISTS', lists)
    for name in 'ab':
        save_png(voc / f'SegmentationClass/{name}.png', np.ones((3, 4)))
        (voc / 'JPEGImages').mkdir(exist_ok=True)
        Image.new('RGB', (4, 3)).save(voc / f'JPEGImages/{name}.jpg')
    return voc


def test_other_masks_are_counted(voc_mini, monkeypatch, tmp_path, capsys):
    voc = few(voc_mini, monkeypatch, tmp_path)
    assert voc_mini.main(words(voc.parents[1], '--out', tmp_path / 'out')) == 0
    assert '2 masks differ from those of docs/results.md' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('fault', 'message'),
    [
        (lambda voc: (voc / 'JPEGImages/b.jpg').unlink(), 'JPEGImages/b.jpg: no such'),
        (
            lambda voc: save_png(voc / 'SegmentationClass/b.png', np.full((3, 4), 99)),
            'SegmentationClass/b.png: labels [99] outside [0, 20]',
        ),
        (
            lambda voc: save_png(voc / 'SegmentationClass/b.png', np.ones((3, 5))),
            'SegmentationClass/b.png: (5, 3) pixels, its image has (4, 3)',
        ),
        (
            lambda voc: (voc / 'JPEGImages/b.jpg').write_bytes(b'no image'),
            'JPEGImages/b.jpg: unreadable image',
        ),
    ],
)
def test_a_damaged_copy_is_refused(
    voc_mini, monkeypatch, tmp_path, capsys, fault, message
):
    voc = few(voc_mini, monkeypatch, tmp_path)
    fault(voc)
    assert status(voc_mini.main, words(voc, '--out', tmp_path / 'out')) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith('error: ')
    assert message in line


def test_another_folder_is_refused(voc_mini, tmp_path, capsys):
    assert status(voc_mini.main, words(tmp_path)) == 2
    assert 'name the folder VOC2012' in capsys.readouterr().err


@pytest.fixture
def camvid(tool, monkeypatch):
    module = tool('dataset_converters/camvid')
    monkeypatch.setattr(module, 'NUMBERS', {'train': 50, 'val': 2})
    return module


def write_camvid(module, folder):
    """Images of 8 x 6 pixels: void on the left, a class on the right."""
    labeled = [
        line.removeprefix('train/')
        for split in ('1_16', '1_8')
        for line in (module.LISTS / f'{split}_labeled.txt').read_text().split()
    ]
    names = sorted(set(labeled))
    names += [f'x{i}' for i in range(50 - len(names))]
    parts = {'train': names, 'val': ['v0', 'v1']}
    for part, files in parts.items():
        for index, name in enumerate(files):
            mask = np.full((6, 8), 11)
            mask[:, 4:] = index % 11
            save_png(folder / f'{part}annot/{name}.png', mask)
            save_png(folder / f'{part}/{name}.png', np.full((6, 8), 100))
    return parts


def test_camvid_is_resized(camvid, tmp_path):
    folder, out = tmp_path / 'CamVid', tmp_path / 'out'
    parts = write_camvid(camvid, folder)
    options = ('--out', out, '--size', 4, 3, '--workers', 0)
    assert camvid.main(words(folder, *options)) == 0
    for part, names in parts.items():
        for index, name in enumerate(names):
            mask = np.array(Image.open(out / f'ann/{part}/{name}.png'))
            assert mask.tolist() == [[255, 255, index % 11, index % 11]] * 3
            image = Image.open(out / f'img/{part}/{name}.jpg')
            assert (image.mode, image.size) == ('RGB', (4, 3))
    read = {path.stem: path.read_text().split() for path in out.glob('splits/*.txt')}
    assert len(read) == 6
    assert read['val'] == ['val/v0', 'val/v1']
    for split, number in (('1_16', 23), ('1_8', 46)):
        assert len(read[f'{split}_labeled']) == number
        both = read[f'{split}_labeled'] + read[f'{split}_unlabeled']
        assert sorted(both) == read['train']


def test_other_masks_of_camvid_are_counted(camvid, tmp_path, capsys):
    write_camvid(camvid, tmp_path / 'CamVid')
    options = ('--out', tmp_path / 'out', '--size', 4, 3, '--workers', 0)
    assert camvid.main(words(tmp_path / 'CamVid', *options)) == 0
    assert '52 masks differ from those of docs/results.md' in capsys.readouterr().out


def test_masks_of_camvid_are_those_of_the_figures(camvid, shared):
    root = shared / 'data/camvid-240'
    lists = [(root / f'splits/{part}.txt').read_text() for part in ('train', 'val')]
    assert camvid.count_different(root, ''.join(lists).split()) == 0


def test_camvid_has_the_known_splits(camvid, shared, tmp_path):
    known = shared / 'data/camvid-240/splits'
    train = (known / 'train.txt').read_text().split()
    for split in ('1_16', '1_8'):
        name = f'{split}_labeled.txt'
        listed = (camvid.LISTS / name).read_text()
        assert listed == (known / name).read_text()
        unlabeled = (known / f'{split}_unlabeled.txt').read_text().split()
        assert unlabeled == [n for n in train if n not in listed.split()]


@pytest.mark.parametrize(
    ('fault', 'message'),
    [
        (lambda folder: (folder / 'val/v1.png').unlink(), 'expected 2 PNG images'),
        (
            lambda folder: (folder / 'valannot/v1.png').unlink(),
            'v1.png is in one of them only',
        ),
        (
            lambda folder: save_png(folder / 'valannot/v1.png', np.full((6, 8), 12)),
            'valannot/v1.png: labels [12] outside [0, 11]',
        ),
    ],
)
def test_a_damaged_camvid_is_refused(camvid, tmp_path, capsys, fault, message):
    write_camvid(camvid, tmp_path / 'CamVid')
    fault(tmp_path / 'CamVid')
    options = ('--out', tmp_path / 'out', '--size', 4, 3, '--workers', 0)
    assert status(camvid.main, words(tmp_path / 'CamVid', *options)) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_mobilenet_is_refused(tool, tmp_path, capsys):
    torch.save(MobileNetV2().state_dict(), tmp_path / 'mmseg.pth')
    main = tool('model_converters/mobilenet_v2').main
    assert status(main, words(tmp_path / 'mmseg.pth', tmp_path / 'out.pth')) == 2
    error = capsys.readouterr().err
    assert 'expected the state dict of torchvision.models.mobilenet_v2' in error
    assert not (tmp_path / 'out.pth').exists()

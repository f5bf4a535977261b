"""The check of datasets, run as its users run it."""

import numpy as np
import pytest
from PIL import Image
from tool_files import save_png, words, write_list


def test_check_of_real_images_from_a_config(tool, shared, tmp_path, capsys):
    config = tmp_path / 'config.py'
    voc = (
        "dict(type='PascalVOCDataset', "
        f"data_root='{shared / 'data/voc-mini/VOC2012'}', "
        "data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'), "
        "ann_file='ImageSets/Segmentation/{}.txt', indices=20)"
    )
    weak = f"dict(type='WeakDataset', dataset={voc}, tags=dict(source='masks'))"
    config.write_text(
        f'train_dataloader = dict(dataset={weak.format("train")})\n'
        f'val_dataloader = dict(dataset={voc.format("val")})\n'
    )
    main = tool('misc/check_dataset').main
    assert main(words(config)) == 0
    assert 'No problems found' in capsys.readouterr().out
    key = 'val_dataloader.dataset.ann_file'
    options = words(config, '--cfg-options', f'{key}=ImageSets/Segmentation/train.txt')
    assert main(options) == 1
    shown = capsys.readouterr().out
    assert '20 problem(s): 20 x overlap of splits' in shown
    assert '2007_000032.jpg' in shown


def test_empty_split_is_reported(tool, tmp_path, capsys):
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (8, 8)).save(tmp_path / 'images/a.png')
    main = tool('misc/check_dataset').main
    command = words('--images', tmp_path / 'images')
    assert main(command) == 0
    assert main([*command, '--img-suffix', '.jpg']) == 1
    shown = ' '.join(capsys.readouterr().out.split())
    assert 'no image (*.jpg) in all' in shown
    command = words('--images', tmp_path / 'images', '--img-suffix', '.png')
    assert main(command) == 0


def test_a_split_without_a_name(tool, tmp_path, capsys):
    with pytest.raises(SystemExit):
        options = words('--images', tmp_path, '--split', 'a=a.txt', 'train.txt')
        tool('misc/check_dataset').main(options)
    message = 'error: --split expects NAME=FILE, found a=a.txt train.txt'
    assert message in capsys.readouterr().err


def test_images_of_another_suffix_are_named(tool, tmp_path, capsys):
    (tmp_path / 'images').mkdir()
    for name in ('a.jpg', 'b.JPG', 'c.jpeg'):
        Image.effect_noise((8, 8), 50).save(tmp_path / 'images' / name)
    for name in 'abc':  # masks may lie beside the images
        save_png(tmp_path / f'images/{name}.png', np.zeros((8, 8)))
    config = tmp_path / 'config.py'
    config.write_text(
        "train_dataloader = dict(dataset=dict(type='BaseSegDataset', "
        f"data_root='{tmp_path}', metainfo=dict(classes=('background', 'cat')), "
        "data_prefix=dict(img_path='images', seg_map_path='images')))\n"
    )
    main = tool('misc/check_dataset').main
    assert main(words(config)) == 1
    shown = ''.join(capsys.readouterr().out.split())
    assert "notintrainand1more:itsimg_suffixis'.jpg'" in shown


def test_masks_among_the_unlabeled_images_are_named(tool, tmp_path, capsys):
    (tmp_path / 'images').mkdir()
    for name in 'abc':
        Image.effect_noise((8, 8), 50).save(tmp_path / f'images/{name}.jpg')
        save_png(tmp_path / f'masks/{name}.png', np.eye(8))
    config, part = tmp_path / 'config.py', "dict(type='BaseSegDataset', "
    config.write_text(
        "train_dataloader = dict(dataset=dict(type='SemiDataset', "
        f"labeled={part}data_root='{tmp_path}', "
        "metainfo=dict(classes=('background', 'cat')), "
        "data_prefix=dict(img_path='images', seg_map_path='masks')), "
        "unlabeled=dict(type='ImageFolder', data_root='FOLDER')))\n"
    )
    text, main = config.read_text(), tool('misc/check_dataset').main
    config.write_text(text.replace('FOLDER', str(tmp_path / 'images')))
    assert main(words(config)) == 0
    config.write_text(text.replace('FOLDER', str(tmp_path)))
    assert main(words(config)) == 1
    shown = ' '.join(capsys.readouterr().out.split())
    assert '1 x mask as image' in shown
    assert 'is a mask and an image of train' in shown
    assert 'one of 3' in shown


def test_check_of_folders(tool, tmp_path, capsys):
    (tmp_path / 'images').mkdir()
    for name in 'abc':
        Image.effect_noise((8, 8), 50).save(tmp_path / f'images/{name}.jpg')
        save_png(tmp_path / f'masks/{name}.png', np.ones((8, 8)))
    (tmp_path / 'tags.csv').write_text('a,dog\nb,dog\nc,dog\n')
    write_list(tmp_path / 'train.txt', 'a', 'b')
    write_list(tmp_path / 'val.txt', 'c')
    main = tool('misc/check_dataset').main
    command = words('--images', tmp_path / 'images', '--masks', tmp_path / 'masks')
    command += words('--tags', tmp_path / 'tags.csv', '--classes', 'dog,cat', '--split')
    command += [f'{name}={tmp_path / name}.txt' for name in ('train', 'val')]
    assert main(command) == 0
    capsys.readouterr()
    write_list(tmp_path / 'val.txt', 'c', '../../etc/x')
    (tmp_path / 'images/b.jpg').write_bytes(b'\xff\xd8\xff')
    save_png(tmp_path / 'masks/a.png', np.full((8, 9), 3))
    (tmp_path / 'tags.csv').write_text('a,dog\nb,dog\nz,dog\n')
    assert main(command) == 1
    shown = ' '.join(capsys.readouterr().out.split())
    for text in (
        'unreadable image',
        'mask 9x8, image 8x8',
        'labels [3] outside [0, 2] and not 255 (ignored)',
        'path leaves the data root',
        'image without tags',
        'tags without image',
    ):
        assert text in shown
    (tmp_path / 'tags.csv').write_text('a,unicorn\n')
    assert main(command) == 1
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if 'unicorn' in line)
    assert 'tags.csv:1 ' in line and "image 'a': unknown tag 'unicorn'" in line


def test_check_needs_a_config_or_folders(tool, capsys):
    main = tool('misc/check_dataset').main
    for command in (
        [],
        ['a.py', '--images', 'x'],
        ['--images', 'x', '--tags', 'y'],
    ):
        with pytest.raises(SystemExit):
            main(command)
    assert 'expected either a config or --images' in capsys.readouterr().err

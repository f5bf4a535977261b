"""The archive for VOC's test server."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tool_files import status


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / 'predictions').mkdir()
    for i, name in enumerate(('2008_000001', '2008_000002', 'spare')):
        labels = np.full((5, 4), 10 * i, np.uint8)
        labels[0] = 20
        Image.fromarray(labels).save(tmp_path / f'predictions/{name}.png')
    (tmp_path / 'test.txt').write_text('2008_000001\n2008_000002\n')
    return tmp_path


def run(tool, folder: Path, *options: str) -> int:
    return tool('misc/voc_archive').main(
        [
            str(folder / 'predictions'),
            str(folder / 'out.tar.gz'),
            '--list',
            str(folder / 'test.txt'),
            *options,
        ]
    )


def test_contents(tool, folder):
    assert run(tool, folder, '--competition', 'comp5') == 0
    with tarfile.open(folder / 'out.tar.gz') as tar:
        names = tar.getnames()
        data = tar.extractfile(names[1]).read()
    root = 'results/VOC2012/Segmentation/comp5_test_cls/'
    assert names == [f'{root}2008_000001.png', f'{root}2008_000002.png']
    image = Image.open(io.BytesIO(data))
    assert image.mode == 'P'
    assert np.array(image).tolist() == [[20] * 4] + [[10] * 4] * 4
    assert image.convert('RGB').getpixel((0, 0)) == (0, 64, 128)  # tv/monitor


def test_nothing_is_written_if_predictions_are_invalid(tool, folder, capsys):
    labels = np.full((5, 4), 21, np.uint8)
    Image.fromarray(labels).save(folder / 'predictions/2008_000002.png')
    assert status(run, tool, folder) == 2
    assert '2008_000002.png: labels [21], expected 0 to 20' in capsys.readouterr().err
    (folder / 'predictions/2008_000001.png').unlink()
    assert status(run, tool, folder) == 2
    assert '1 of 2 predictions are missing, 2008_000001' in capsys.readouterr().err
    assert not (folder / 'out.tar.gz').exists()

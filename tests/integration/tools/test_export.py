"""Exporting pseudo-labels: file contents, stopping, going on, several processes."""

import json
import multiprocessing
import os
import runpy
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from export_job import (
    NAMES,
    PALETTE,
    ExportDummy,
    check_labels,
    export,
    export_by_two_processes,
)
from mmengine.config import Config
from PIL import Image

from mmseg_wsss.datasets.soft_maps import read_soft_map
from mmseg_wsss.pipelines.export import choose_dataloader
from mmseg_wsss.pipelines.export_files import ExportFormat
from mmseg_wsss.pipelines.stages import only_one

TOOLS = Path(__file__).resolve().parents[3] / 'tools'


def test_files_hold_the_labels_and_the_palette(job: tuple, tmp_path: Path) -> None:
    assert len(export(job)) == 6
    check_labels(job, tmp_path / 'img')
    with Image.open(job[2] / 'sub/2007_0.png') as image:
        palette = np.array(image.getpalette()).reshape(-1, 3)
    assert palette[:3].tolist() == PALETTE
    assert palette[255].tolist() == [224, 224, 192]
    assert not list(job[2].rglob('*.npz'))


def test_soft_maps(job: tuple, tmp_path: Path) -> None:
    export(job, soft=True)
    img = np.array(Image.open(tmp_path / 'img/2007_3.png'))[..., 2]
    prob = read_soft_map(job[2] / '2007_3.npz', 3)
    assert prob.shape == (3, 8, 7)
    assert prob[1] == pytest.approx(img / 255, abs=1e-3)
    assert not prob[2].any()
    with np.load(job[2] / '2007_3.npz', allow_pickle=False) as file:
        assert file['prob'].dtype == np.float16
        assert file['channels'].tolist() == [0, 1]


def test_a_killed_run_goes_on_where_it_stopped(job: tuple, tmp_path: Path) -> None:
    def killed() -> None:
        ExportDummy.stop_after = 4
        ExportDummy.stop = staticmethod(lambda: os.kill(os.getpid(), signal.SIGKILL))
        export(job)

    process = multiprocessing.get_context('fork').Process(target=killed)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(list(job[2].rglob('*.png'))) == 4

    left = job[2] / '.2007_4.png.12345678.tmp'
    left.write_bytes(b'half')
    assert export(job) == ['2007_0', '2007_4']
    check_labels(job, tmp_path / 'img')
    assert not left.exists()
    other = job[2] / '.notes.txt.12345678.tmp'
    other.write_bytes(b'of another program')
    assert export(job) == []
    assert other.exists()


def test_a_second_export_into_the_folder_is_refused(job: tuple) -> None:
    """It would remove the temporary files of the first, or mix with them."""
    left = job[2] / '.2007_4.png.12345678.tmp'
    with only_one(job[2]):
        (job[2] / 'manifest.json').write_text('{"source": "cam"}')
        left.write_bytes(b'half')
        with pytest.raises(BlockingIOError, match=r'out is in use by another'):
            export(job, overwrite=True)
        assert left.exists()
    assert len(export(job, overwrite=True)) == 6
    assert not left.exists()


def test_damaged_files_are_made_again(job: tuple, tmp_path: Path) -> None:
    export(job, soft=True)
    png, npz = job[2] / '2007_1.png', job[2] / '2007_3.npz'
    png.write_bytes(png.read_bytes()[:-20])
    npz.write_bytes(npz.read_bytes()[:-20])
    flipped = bytearray((job[2] / '2007_2.png').read_bytes())
    flipped[-18] ^= 255  # within the compressed pixels
    (job[2] / '2007_2.png').write_bytes(flipped)
    assert export(job, soft=True) == ['2007_1', '2007_2', '2007_3']
    check_labels(job, tmp_path / 'img')


def test_soft_maps_can_be_added_later(job: tuple) -> None:
    export(job)
    assert len(export(job, soft=True)) == 6
    assert export(job) == []


def test_another_export_is_not_mixed_in(job: tuple) -> None:
    export(job)
    with pytest.raises(FileExistsError, match=r"source: expected 'cam', found 'fused'"):
        export(job, source='cam')
    with pytest.raises(FileExistsError, match=r'bg_thr: expected 0.4, found None'):
        export(job, bg_thr=0.4)
    torch.save({'state_dict': {'weight': torch.ones(1)}}, job[1])
    with pytest.raises(FileExistsError, match=r'checkpoint_sha256: expected'):
        export(job)
    assert len(export(job, overwrite=True)) == 6
    assert export(job) == []


def test_another_config_is_not_mixed_in(job: tuple) -> None:
    export(job)
    job[0].export_dataloader.num_workers = 1
    assert export(job) == []
    job[0].model.init_cfg = None
    with pytest.raises(FileExistsError, match=r'config_sha256: expected'):
        export(job)


def test_files_without_manifest_are_kept(job: tuple) -> None:
    job[2].mkdir()
    mask = job[2] / 'hand_made.png'
    mask.write_bytes(b'precious')
    with pytest.raises(FileExistsError, match=r'it has no manifest.json'):
        export(job)
    export(job, overwrite=True)
    assert mask.read_bytes() == b'precious'


def test_masks_of_the_images_are_never_replaced(job: tuple) -> None:
    job[2].mkdir()
    mask = job[2] / '2007_0.png'
    mask.write_bytes(b'precious')
    message = r'1 files of these images that no export has written .* 2007_0\.png'
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match=message):
            export(job, overwrite=overwrite)
    assert [path for path in job[2].iterdir() if path.name != '.lock'] == [mask]
    assert mask.read_bytes() == b'precious'


def test_two_processes_share_the_images(job: tuple, tmp_path: Path) -> None:
    seen = export_by_two_processes(job, tmp_path)
    assert seen == [['2007_0', '2007_2', '2007_4'], ['2007_0', '2007_1', '2007_3']]
    check_labels(job, tmp_path / 'img')


def test_label_outside_the_range_is_named(job: tuple) -> None:
    job[0].model.wrong_label = True
    with pytest.raises(ValueError, match=r'2007_0: expected fused labels .* \[7\]'):
        export(job)
    assert not list(job[2].rglob('*.png'))


def test_checkpoint_of_another_model_is_refused(job: tuple) -> None:
    torch.save({'state_dict': {'other': torch.ones(1)}}, job[1])
    with pytest.raises(RuntimeError, match='other'):
        export(job)


def test_model_without_pseudo_labels_is_named(job: tuple) -> None:
    job[0].model = {'type': 'BaseDataPreprocessor'}
    with pytest.raises(TypeError, match='BaseDataPreprocessor exports no'):
        export(job)


def test_images_of_the_same_name_are_refused(job: tuple, tmp_path: Path) -> None:
    (tmp_path / 'all.txt').write_text('2007_0\n2007_1\n2007_0')
    with pytest.raises(ValueError, match='2007_0 occurs more than once'):
        export(job)


def test_background_threshold_relabels() -> None:
    label = torch.full((1, 4), 255)
    prob = torch.tensor(
        [[0.9, 0.0, 0.0, 0.0], [0.1, 0.5, 0.6, 0.2], [0.2, 0, 0.1, 0.9]]
    )
    prob = prob[:, None]
    cut = ExportFormat('cam', PALETTE, bg_thr=0.5).label(label, prob)
    assert cut.tolist() == [[0, 0, 1, 2]]
    bare = ExportFormat('cam', PALETTE, bg_thr=0.5, background=False)
    assert bare.label(label, prob).tolist() == [[0, 255, 1, 2]]
    assert ExportFormat('cam', PALETTE).label(label, prob) is label


def test_choice_of_the_dataloader() -> None:
    cfg = Config({'test_dataloader': {'a': 1}, 'val_dataloader': None})
    assert choose_dataloader(cfg, None) == {'a': 1}
    with pytest.raises(KeyError, match='export_dataloader in the config'):
        choose_dataloader(cfg, 'train')
    with pytest.raises(KeyError, match='val_dataloader'):
        choose_dataloader(cfg, 'val')
    cfg.export_dataloader = {'a': 2}
    assert choose_dataloader(cfg, None) == choose_dataloader(cfg, 'train') == {'a': 2}
    assert choose_dataloader(cfg, 'test') == {'a': 1}


def run_tool(monkeypatch: pytest.MonkeyPatch, name: str, *args: object) -> None:
    monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
    runpy.run_path(str(TOOLS / name), run_name='__main__')


def test_tools_export_and_score(
    job: tuple,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    cfg, checkpoint, out_dir = job
    cfg.dump(tmp_path / 'config.py')
    options = ['--out', out_dir, '--source', 'cam', '--bg-thr', 0.5]
    tool = 'export_pseudo_labels.py'
    run_tool(monkeypatch, tool, tmp_path / 'config.py', checkpoint, *options)
    assert '6 images: pseudo-labels (cam)' in capsys.readouterr().out

    # every pixel is background in truth: IoU is 1 - share of foreground labels
    for name in NAMES:
        path = tmp_path / f'mask/{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        size = Image.open(out_dir / f'{name}.png').size
        Image.new('L', size).save(path)
    scores = tmp_path / 'scores.json'
    args = [out_dir, tmp_path / 'mask', '--classes', 'background', 'cat', 'dog']
    run_tool(monkeypatch, 'misc/eval_pseudo_labels.py', *args, '--json', scores)
    result = json.loads(scores.read_text())
    labels = [np.array(Image.open(out_dir / f'{name}.png')).flatten() for name in NAMES]
    share = 100 * float((np.concatenate(labels) == 0).mean())
    assert result['images'] == 6
    assert result['summary']['over_activation'] == 100
    assert result['classes']['IoU'] == [pytest.approx(share, abs=0.01), 0, None]
    assert 'over_activation' in capsys.readouterr().out

    names = tmp_path / 'names.txt'  # with a byte-order mark, and a name twice
    names.write_text('\ufeff2007_0\n2007_1\r\n2007_0\n', encoding='utf-8')
    (out_dir / '._2007_0.png').write_bytes(b'of a file manager')
    run_tool(monkeypatch, 'misc/eval_pseudo_labels.py', *args, '--list', names)
    assert '2 images' in capsys.readouterr().out
    run_tool(monkeypatch, 'misc/eval_pseudo_labels.py', *args)
    assert '6 images' in capsys.readouterr().out
    for name in ('voc', 'NoSuchDataset'):
        with pytest.raises(SystemExit):
            words = [*args[:2], '--dataset', name]
            run_tool(monkeypatch, 'misc/eval_pseudo_labels.py', *words)
        assert 'expected a registered dataset' in capsys.readouterr().err

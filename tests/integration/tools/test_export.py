"""Exporting pseudo-labels: file contents, stopping, going on, several processes."""

import json
import multiprocessing
import os
import runpy
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from PIL import Image

from mmseg_wsss.datasets.soft_maps import read_soft_map
from mmseg_wsss.pipelines.export import choose_dataloader, export_from_config
from mmseg_wsss.pipelines.export_files import ExportFormat, given_names
from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.launch import init_processes

TOOLS = Path(__file__).resolve().parents[3] / 'tools'
PALETTE = [[0, 0, 0], [200, 10, 10], [10, 200, 10]]
NAMES = ['2007_0', '2007_1', '2007_2', '2007_3', '2007_4', 'sub/2007_0']


@MODELS.register_module()
class ExportDummy(BaseModel):
    """Labels an image by its first color; counts images, and stops on demand."""

    calls: list[str] = []
    stop_after = 99
    stop: Callable[[], None]

    def __init__(self, wrong_label: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.wrong_label = wrong_label

    def forward(self, *args: object) -> None:
        raise AssertionError('exporting calls pseudo_labels only')

    def pseudo_labels(self, inputs: list, data_samples: list, sources: list) -> list:
        assert not torch.is_grad_enabled()
        assert not self.training
        results = []
        for img, sample in zip(inputs, data_samples):
            if len(self.calls) == type(self).stop_after:
                type(self).stop()
            self.calls.append(sample.img_path)
            prob = torch.zeros(3, *img.shape[1:])
            prob[1] = img[0].float() / 255
            prob[0] = 1 - prob[1]
            label = (img[0] > 127).long()
            label[0] = 7 if self.wrong_label else 255
            results.append(dict.fromkeys(sources, (label, prob)))
        return results


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Config, Path, Path]:
    """Config, checkpoint and output folder for six small images."""
    rng = np.random.default_rng(0)
    for index, name in enumerate(NAMES):
        path = tmp_path / f'img/{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (5 + index, 7, 3), np.uint8)).save(path)
    (tmp_path / 'all.txt').write_text('\n'.join(NAMES))
    dataset = {
        'type': 'BaseSegDataset',
        'metainfo': {'classes': ('background', 'cat', 'dog'), 'palette': PALETTE},
        'data_root': str(tmp_path),
        'ann_file': 'all.txt',
        'data_prefix': {'img_path': 'img', 'seg_map_path': 'mask'},
        'img_suffix': '.png',
        'pipeline': [{'type': 'LoadImageFromFile'}, {'type': 'PackSegInputs'}],
        'test_mode': True,
        'serialize_data': False,
    }
    loader = {
        'batch_size': 1,
        'num_workers': 0,
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'dataset': dataset,
    }
    cfg = Config({'model': {'type': 'ExportDummy'}, 'export_dataloader': loader})
    checkpoint = tmp_path / 'last.pth'
    torch.save({'state_dict': ExportDummy().state_dict()}, checkpoint)
    monkeypatch.setattr(ExportDummy, 'calls', [])
    return cfg, checkpoint, tmp_path / 'out'


def export(job: tuple, source: str = 'fused', **options: object) -> list[str]:
    """Export and return the names of the images that the model has seen."""
    ExportDummy.calls.clear()
    assert export_from_config(*job, source, progress=False, **options) == len(NAMES)
    return sorted(Path(path).stem for path in ExportDummy.calls)


def check_labels(job: tuple, img_dir: Path) -> None:
    for name in NAMES:
        img = np.array(Image.open(img_dir / f'{name}.png'))[..., 2]  # read as BGR
        with Image.open(job[2] / f'{name}.png') as image:
            assert image.mode == 'P'
            labels = np.array(image)
        assert labels[1:].tolist() == (img[1:] > 127).astype(int).tolist()
        assert (labels[0] == 255).all()


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
    load, pack = part['pipeline']
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', argv)
        runpy.run_path(str(TOOLS / 'misc/eval_pseudo_labels.py'), run_name='__main__')
    assert '4 images' in capsys.readouterr().out


def test_files_without_manifest_are_kept(job: tuple) -> None:
    job[2].mkdir()
    mask = job[2] / 'hand_made.png'
    mask.write_bytes(b'precious')
    with pytest.raises(FileExistsError, match=r'it has no manifest.json'):
        export(job)
    export(job, overwrite=True)
    assert mask.read_bytes() == b'precious'


def export_by_two_processes(job: tuple, tmp_path: Path) -> list[list[str]]:
    """Export, and return the names of the images that the model of a rank has seen."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]

    def work(rank: int) -> None:
        os.environ |= {
            'RANK': str(rank),
            'LOCAL_RANK': str(rank),
            'WORLD_SIZE': '2',
            'MASTER_ADDR': '127.0.0.1',
            'MASTER_PORT': str(port),
        }
        init_processes('pytorch')
        seen = export(job)
        (tmp_path / f'rank{rank}.json').write_text(json.dumps(seen))

    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=work, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    return [json.loads((tmp_path / f'rank{rank}.json').read_text()) for rank in (0, 1)]


def test_two_processes_share_the_images(job: tuple, tmp_path: Path) -> None:
    seen = export_by_two_processes(job, tmp_path)
    assert seen == [['2007_0', '2007_2', '2007_4'], ['2007_0', '2007_1', '2007_3']]
    check_labels(job, tmp_path / 'img')


def test_two_processes_share_given_masks(mixed: tuple, tmp_path: Path) -> None:
    seen = export_by_two_processes(mixed, tmp_path)
    assert seen == [['2007_0', '2007_3'], ['2007_2', '2007_4']]
    for name in ('2007_1', 'sub/2007_0'):
        with (
            Image.open(mixed[2] / f'{name}.png') as written,
            Image.open(tmp_path / f'mask/{name}.png') as mask,
        ):
            assert np.array_equal(written, mask)


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
    with pytest.raises(TypeError, match='BaseDataPreprocessor has no method'):
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

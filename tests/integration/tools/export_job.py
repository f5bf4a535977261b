"""A dummy model and six small images to export."""

import json
import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from PIL import Image

from mmseg_wsss.pipelines.export import export_from_config
from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.launch import init_processes

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

    def pseudo_sources(self) -> dict:
        return {}

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


def write_job(tmp_path: Path) -> tuple[Config, Path, Path]:
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

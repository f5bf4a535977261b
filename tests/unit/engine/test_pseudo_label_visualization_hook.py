from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import PixelData
from PIL import Image

from mmseg_wsss.engine.hooks import PseudoLabelVisualizationHook
from mmseg_wsss.evaluation import PseudoLabelMetric
from mmseg_wsss.registry import MODELS
from mmseg_wsss.visualization.panels import panel

PALETTE = [[0, 0, 0], [200, 10, 10]]


@MODELS.register_module()
class ImageDummy(BaseModel):
    """Predicts fixed labels, with the fields that a segmentor attaches."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs: list, data_samples: list, mode: str) -> object:
        if mode == 'loss':
            return {'loss': self.weight.sum()}
        for sample in data_samples:
            size = sample.ori_shape
            label = PixelData(data=torch.ones(1, *size, dtype=torch.long))
            sample.set_data({'pseudo_teacher_a': label, 'pseudo_teacher_b': label})
            sample.set_data({'cam': PixelData(data=torch.rand(1, *size))})
            sample.pred_sem_seg = label
        return data_samples


@pytest.fixture
def loader(tmp_path: Path) -> dict:
    for index in range(5):
        for folder, mode in (('img', 'RGB'), ('mask', 'L')):
            (tmp_path / folder).mkdir(exist_ok=True)
            size = (6 + index, 4)
            Image.new(mode, size).save(tmp_path / folder / f'{index}.png')
    return {
        'batch_size': 2,
        'num_workers': 0,
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'dataset': {
            'type': 'BaseSegDataset',
            'metainfo': {'classes': ('background', 'cat'), 'palette': PALETTE},
            'data_root': str(tmp_path),
            'data_prefix': {'img_path': 'img', 'seg_map_path': 'mask'},
            'img_suffix': '.png',
            'pipeline': [
                {'type': 'LoadImageFromFile'},
                {'type': 'LoadAnnotations'},
                {'type': 'PackSegInputs'},
            ],
            'serialize_data': False,
        },
    }


def make_runner(tmp_path: Path, loader: dict, **options: object) -> Runner:
    hook = {'type': 'PseudoLabelVisualizationHook', **options}
    return Runner(
        model={'type': 'ImageDummy'},
        work_dir=str(tmp_path / 'work'),
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg={'type': 'IterBasedTrainLoop', 'max_iters': 3, 'val_interval': 1},
        val_cfg={'type': 'ValLoop'},
        val_evaluator={'type': 'PseudoLabelMetric', 'sources': ['teacher_a']},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
        default_hooks={'checkpoint': None},
        custom_hooks=[hook],
        visualizer={
            'type': 'Visualizer',
            'vis_backends': [{'type': 'LocalVisBackend'}],
        },
        default_scope='mmseg',
        experiment_name=tmp_path.name,
    )


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """Rows and legend of every panel that the hook draws."""
    panels: list[dict] = []

    def keep(rows: list, legend: dict) -> np.ndarray:
        panels.append({'rows': rows, 'legend': legend})
        return panel(rows, legend)

    monkeypatch.setattr(f'{PseudoLabelVisualizationHook.__module__}.panel', keep)
    return panels


def test_panels_of_a_training_reach_the_local_files(
    tmp_path: Path, loader: dict, shown: list[dict]
) -> None:
    make_runner(tmp_path, loader, interval=2, num_images=2).train()
    files = sorted((tmp_path / 'work').rglob('vis_image/*.png'))
    # the first and the third of three validations
    assert [file.name for file in files] == [
        'pseudo_labels_1.png',
        'pseudo_labels_3.png',
    ]
    titles = ['image', 'CAM', 'teacher a', 'teacher b', 'prediction', 'ground truth']
    for panel_shown in shown:
        assert [list(row) for row in panel_shown['rows']] == [titles, titles]
        # the first images of the first and the last of three batches
        widths = [row['ground truth'].shape[1] for row in panel_shown['rows']]
        assert widths == [6, 10]
    assert list(shown[0]['legend']) == ['background', 'cat']
    drawn = np.array(Image.open(files[0]))
    assert drawn.shape[1] == 6 * (200 + 6) + 6


def test_a_resumed_training_draws_the_panels_of_an_uninterrupted_one(
    tmp_path: Path, loader: dict, shown: list[dict]
) -> None:
    runner = make_runner(tmp_path, loader, interval=2, num_images=2)
    runner.train_loop._iter = 1
    runner.train()
    files = [file.name for file in (tmp_path / 'work').rglob('vis_image/*.png')]
    assert files == ['pseudo_labels_3.png']


@pytest.mark.parametrize('moment', ['before_train', 'before_val'])
def test_a_misspelled_source_is_refused(moment: str) -> None:
    model = torch.nn.Identity()
    model.pseudo_sources = lambda: {'cam': None, 'teacher_a': None}
    model.test_settings = SimpleNamespace(pseudo_sources=('teacher_a',))
    runner = SimpleNamespace(model=model)
    getattr(PseudoLabelVisualizationHook(sources=['teacher_a']), moment)(runner)
    hook = PseudoLabelVisualizationHook(sources=['techer_a', 'teacher_a'])
    with pytest.raises(ValueError, match=r"\['techer_a'\] not in .*has \['cam', 'tea"):
        getattr(hook, moment)(runner)


def test_validation_alone_without_gt_and_with_chosen_sources(
    tmp_path: Path, loader: dict, shown: list[dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    loader['dataset']['pipeline'].pop(1)
    monkeypatch.setattr(PseudoLabelMetric, 'process', lambda *args: None)
    make_runner(tmp_path, loader, num_images=9, sources=['teacher_b', 'none']).val()
    assert [file.name for file in (tmp_path / 'work').rglob('vis_image/*.png')] == [
        'pseudo_labels_0.png'
    ]
    titles = ['image', 'CAM', 'teacher b', 'prediction']
    # one image of each of the three batches
    assert [list(row) for row in shown[0]['rows']] == [titles] * 3
    assert list(shown[0]['legend']) == ['cat']


@pytest.mark.parametrize('option', ['interval', 'num_images'])
def test_bad_options_are_named(option: str) -> None:
    with pytest.raises(ValueError, match=f'{option} must be at least 1, got 0'):
        PseudoLabelVisualizationHook(**{option: 0})

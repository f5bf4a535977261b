"""Weakly supervised methods trained on tags, and on masks of some images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.methods import METHODS, WEAK
from helpers.tiny import TAGS, tiny_config, with_masks
from helpers.training import train
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.models.utils import unwrap


class Watch(Hook):
    """Notes the data samples and the labels of the segmentation, by iteration."""

    def __init__(self) -> None:
        self.samples: list[list[Any]] = []
        self.labels: list[list[torch.Tensor]] = []

    def before_train(self, runner: Runner) -> None:
        loss = getattr(unwrap(runner.model), 'loss_seg', None)
        if loss is not None:
            loss.register_forward_pre_hook(
                lambda _, args: self.labels[-1].append(args[1])
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        self.samples.append(data_batch['data_samples'])
        self.labels.append([])


@pytest.mark.parametrize('name', WEAK)
def test_masks_of_the_labeled_part_reach_the_losses(name, tiny_voc, tmp_path):
    watch = Watch()
    run = train(with_masks(tiny_config(name, tiny_voc, tmp_path)), watch)
    assert len(run.losses) == 4
    assert all(np.isfinite(list(row.values())).all() for row in run.losses.values())
    for (labeled, tagged), labels in zip(watch.samples, watch.labels):
        assert 'gt_sem_seg' in labeled
        assert 'gt_sem_seg' not in tagged
        for sample, numbers in ((labeled, range(4)), (tagged, range(4, 8))):
            number = int(Path(sample.img_path).stem)
            assert number in numbers
            tags = sample.gt_tags.label.nonzero()[:, 0].tolist()
            assert tags == sorted(TAGS[number])
        for label in labels:
            assert label[0].equal(labeled.gt_sem_seg.data[0])
    # The classifier is alone in the first iteration.
    counts = [bool(labels) for labels in watch.labels]
    assert counts == [False, *[not METHODS[name].classifier] * 3]


def test_masks_only(tiny_voc, tmp_path):
    """The first stage of a pipeline with some masks."""

    def config(part: str, **settings: Any):
        cfg = with_masks(tiny_config('CAMSeg', tiny_voc, tmp_path / part, **settings))
        cfg.model.masks_only = True
        return cfg

    watch = Watch()
    whole = train(config('whole'), watch)
    assert [len(labels) for labels in watch.labels] == [0, 1, 1, 1]
    for (labeled, _), (label,) in zip(watch.samples[1:], watch.labels[1:]):
        assert label[0].equal(labeled.gt_sem_seg.data[0])
        assert label[1].eq(255).all()
    train(config('part'), until=2)
    resumed = train(config('part', resume=True))
    assert list(resumed.losses) == [2, 3]
    assert not resumed.difference(whole)


@pytest.mark.parametrize('name', WEAK)
def test_a_resumed_training_equals_an_uninterrupted_one(name, tiny_voc, tmp_path):
    def config(part: str, num_workers: int = 0, **settings: Any):
        folder = tmp_path / part
        return with_masks(
            tiny_config(name, tiny_voc, folder, num_workers=num_workers, **settings)
        )

    whole = train(config('whole'))
    train(config('part'), until=2)
    workers = 2 if name == 'ASDT' else 0
    resumed = train(config('part', num_workers=workers, resume=True))
    assert list(resumed.losses) == [2, 3]
    assert not resumed.difference(whole)
    plain = train(tiny_config(name, tiny_voc, tmp_path / 'plain'))
    assert plain.difference(whole)

"""A training that is resumed on another number of processes skips no image."""

from pathlib import Path
from typing import Any

import pytest
from helpers import run_processes
from helpers.tiny import tiny_config
from helpers.training import train
from mmengine.hooks import Hook
from mmengine.registry import LOOPS, init_default_scope
from mmengine.runner import IterBasedTrainLoop

from mmseg_wsss.engine.launch import prepare

# Processes and iterations of each part of a training; a checkpoint is saved after each.
PARTS = ((1, 2), (2, 2), (1, 2))
ITERATIONS = sum(count for _, count in PARTS)


class Images(Hook):
    """Notes the file and the sum of the pixels of every image, by iteration."""

    def __init__(self) -> None:
        self.seen: list[list[tuple[str, float]]] = []

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any) -> None:
        inputs, samples = data_batch['inputs'], data_batch['data_samples']
        if isinstance(inputs, dict):
            names = ('sup', 'unsup_weak')
            inputs = [img for name in names for img in inputs[name]]
            samples = [sample for name in names for sample in samples[name]]
        images = zip(samples, inputs)
        self.seen.append([(s.img_path, float(i.sum())) for s, i in images if s])


def part(
    rank: int, method: str, root: str, work_dir: str, end: int, strategy: dict | None
) -> list[list[tuple[str, float]]]:
    """Train until an iteration, from the last checkpoint on if there is one."""
    init_default_scope('mmseg')
    cfg = tiny_config(method, Path(root), Path(work_dir), ITERATIONS, resume=True)
    cfg.launcher = 'pytorch'
    if strategy is not None:
        cfg.strategy = strategy
    prepare(cfg)
    images = Images()
    train(cfg, images, until=end)
    return images.seen


@pytest.mark.parametrize(
    ('method', 'strategy'),
    [('CAM', {'type': 'DDPStrategy'}), ('MeanTeacherSegmentor', None)],
)
def test_one_process_then_two_then_one(method, strategy, tiny_voc, tmp_path):
    found, end = [], 0
    for world_size, count in PARTS:
        end += count
        args = method, str(tiny_voc), str(tmp_path / 'parts'), end, strategy
        ranks = run_processes(part, world_size, args, timeout=300)
        assert [len(iterations) for iterations in ranks] == [count] * world_size
        found.append([image for batches in zip(*ranks) for b in batches for image in b])
    total = sum(world_size * count for world_size, count in PARTS)
    whole = Images()
    train(tiny_config(method, tiny_voc, tmp_path / 'whole', total), whole)
    begin = 0
    for (world_size, count), images in zip(PARTS, found):
        end = begin + world_size * count
        expected = [image for batch in whole.seen[begin:end] for image in batch]
        if method != 'CAM':  # the parts of a batch have numbers of their own
            images, expected = ([name for name, _ in x] for x in (images, expected))
        assert sorted(images) == sorted(expected)
        begin = end


class EagerBatches:
    """The batches of MMEngine 0.10.7: its workers load them when the loop is built."""

    def __init__(self, loader: Any) -> None:
        self._iterator = iter(loader)

    def __next__(self) -> Any:
        return next(self._iterator)

    def skip_iter(self, count: int) -> None:
        for _ in range(count):
            next(self)


@LOOPS.register_module()
class EagerLoop(IterBasedTrainLoop):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dataloader_iterator = EagerBatches(self.dataloader)


@pytest.mark.parametrize(
    ('loop', 'workers'), [('IterBasedTrainLoop', 0), ('EagerLoop', 0), ('EagerLoop', 2)]
)
def test_another_seed_skips_and_repeats_no_image(tiny_voc, tmp_path, loop, workers):
    def images(folder: str, end: int, seed: int | None, **settings: Any) -> list:
        args = tiny_voc, tmp_path / folder, ITERATIONS, workers
        cfg = tiny_config('CAM', *args, **settings)
        cfg.train_cfg.type = loop
        cfg.randomness = {'seed': seed}
        seen = Images()
        train(cfg, seen, until=end)
        return seen.seen

    whole = images('whole', ITERATIONS, 3)
    parts = images('parts', 2, 3)
    parts += images('parts', 4, 5, resume=True)
    parts += images('parts', ITERATIONS, None, resume=True)
    assert parts == whole


def resume_apart(rank: int, root: str, work_dir: str) -> str:
    """Train with a work folder for each rank; return the error."""
    init_default_scope('mmseg')
    folder = Path(work_dir, str(rank))
    cfg = tiny_config('CAM', Path(root), folder, ITERATIONS, resume=True)
    cfg.launcher = 'pytorch'
    prepare(cfg)
    try:
        train(cfg)
    except RuntimeError as error:
        return str(error)
    return ''


def test_processes_that_begin_apart_are_refused(tiny_voc, tmp_path):
    train(tiny_config('CAM', tiny_voc, tmp_path / '0', ITERATIONS), until=2)
    args = str(tiny_voc), str(tmp_path)
    for error in run_processes(resume_apart, 2, args, timeout=300):
        assert 'the processes begin with iterations [2, 0]' in error

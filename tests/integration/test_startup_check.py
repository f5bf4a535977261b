"""What a run would do wrongly is said before its first step, all at once."""

import copy
import json
from pathlib import Path

import pytest
import torch
from helpers import run_processes
from helpers.tiny import CROP, tiny_config, with_masks
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.engine.startup_check import StartupError, check_checkpoint
from mmseg_wsss.pipelines.setting import apply_setting

CHECK = {'type': 'StartupCheckHook'}


@pytest.fixture
def config(tiny_voc, tmp_path):
    """Config of a short training of a method that has the check among its hooks."""

    def make(method='MKD', **settings):
        cfg = tiny_config(method, tiny_voc, tmp_path, 3, **settings)
        cfg.custom_hooks.append(CHECK)
        return cfg

    return make


def messages(cfg) -> list[str]:
    """Problems of a run."""
    with pytest.raises(StartupError) as error:
        Runner.from_cfg(cfg).train()
    return [str(problem) for problem in error.value.problems]


def message(cfg) -> str:
    """The only problem of a run."""
    (found,) = messages(cfg)
    return found


def heads(cfg) -> list[dict]:
    """Decode heads of a config."""
    model = cfg.model.get('segmentor', cfg.model)
    found = [model[key] for key in ('decode_head', 'auxiliary_head') if key in model]
    return found + [cfg.model[key] for key in ('teacher_head',) if key in cfg.model]


@pytest.mark.parametrize('method', ['MKD', 'CPS', 'ASDT', 'AFA'])
def test_heads_with_other_classes_than_the_data(config, method):
    cfg = config(method)
    for head in heads(cfg):
        head.num_classes = 21
    found = message(cfg)
    assert 'num_classes=21' in found
    assert '7 classes (background, ' in found
    assert 'decode_head' in found
    assert found.endswith('set num_classes=7')


def test_a_single_wrong_head_among_right_ones(config):
    cfg = config('ASDT')
    cfg.model.teacher_head.num_classes = 9
    assert message(cfg).startswith('teacher_head has num_classes=9')


def test_a_classifier_with_the_background(config):
    cfg = config('CAMSeg')
    cfg.model.cam_head.num_classes = 5
    assert 'cam_head has num_classes=5' in message(cfg)


@pytest.mark.parametrize('method', ['MKD', 'CPS', 'RRM'])
def test_another_ignored_label(config, method):
    cfg = config(method)
    for head in heads(cfg):
        head.ignore_index = 254
    found = message(cfg)
    assert 'decode_head has ignore_index=254' in found
    assert 'set ignore_index=255' in found


def test_another_ignored_label_of_a_transform(config):
    cfg = config('MKD')
    step = {'type': 'RandomRotate', 'prob': 0.5, 'degree': 5, 'seg_pad_val': 0}
    cfg.train_dataloader.dataset.labeled.pipeline.insert(2, step)
    assert message(cfg).startswith('RandomRotate has seg_pad_val=0')


@pytest.mark.parametrize('method', ['MKD', 'RRM'])
def test_an_epoch_loop_with_an_endless_sampler(config, method):
    cfg = config(method)
    cfg.train_cfg = {'type': 'EpochBasedTrainLoop', 'max_epochs': 1}
    assert any('never ends an epoch' in found for found in messages(cfg))


def test_checkpoints_of_epochs_in_an_iteration_loop(config):
    cfg = config('CPS')
    cfg.default_hooks.checkpoint.by_epoch = True
    assert 'by_epoch=True' in message(cfg)


def test_a_schedule_of_epochs_in_an_iteration_loop(config):
    cfg = config('CPS')
    cfg.param_scheduler = [{'type': 'PolyLR', 'by_epoch': True}]
    assert 'it never steps before the end' in message(cfg)


def test_checkpoints_between_the_parts_of_a_step(config):
    cfg = config('CPS')  # which saves one every 2 iterations
    cfg.optim_wrapper.accumulative_counts = 3
    assert 'every 2 iterations, a step of the optimizer takes 3' in message(cfg)


def test_the_best_checkpoint_between_the_parts_of_a_step(config):
    cfg = config('CPS', train_cfg=dict(by_epoch=False, max_iters=4, val_interval=3))
    cfg.default_hooks.checkpoint.save_best = 'mIoU'
    cfg.optim_wrapper.accumulative_counts = 2
    assert message(cfg).endswith('set train_cfg.val_interval to a multiple of 2')


def test_a_loader_and_a_sampler_of_different_batch_sizes(config):
    cfg = config('MKD')
    cfg.train_dataloader.batch_size = 3
    sampler = cfg.train_dataloader.sampler.batch_size
    found = message(cfg)
    assert f'batch_size=3, its MultiSourceSampler batch_size={sampler}' in found


@pytest.mark.parametrize('method', ['MKD', 'ASDT', 'AFA'])
def test_every_missing_hook_is_named(config, method):
    cfg = config(method)
    removed = [hook for hook in cfg.custom_hooks if hook['type'] not in KEPT]
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook['type'] in KEPT]
    found = '\n'.join(messages(cfg))
    assert removed
    for hook in removed:
        assert f"add dict(type='{hook['type']}'" in found


KEPT = ('IterationSeedHook', 'NonFiniteLossHook', 'StartupCheckHook')


def test_a_warmup_as_long_as_the_training(config):
    cfg = config('RRM')
    for hook in cfg.custom_hooks:
        if hook['type'] == 'WeakWarmupHook':
            hook['iters'] = 3
    assert 'WeakWarmupHook has iters=3, the training ends at max_iters=3' in message(
        cfg
    )


def test_a_schedule_that_ends_before_the_training(config):
    cfg = config('CPS')
    cfg.param_scheduler = [{'type': 'PolyLR', 'end': 2, 'by_epoch': False}]
    assert 'the schedule of lr ends at iteration 2' in message(cfg)


def test_a_schedule_that_ends_after_the_training_is_a_remark(config, tmp_path):
    cfg = config('CAM')
    cfg.param_scheduler = [{'type': 'PolyLR', 'end': 50, 'by_epoch': False}]
    cfg.log_level = 'WARNING'
    Runner.from_cfg(cfg).train()
    (log,) = tmp_path.glob('*/*.log')
    lines = [x for x in log.read_text().splitlines() if 'the schedule' in x]
    assert len(lines) == 1
    assert 'the schedule of lr ends at iteration 50, after the training' in lines[0]
    assert 'end=3 in param_scheduler' in lines[0]


def test_a_warmup_and_a_decay_that_ends_with_the_training(config):
    cfg = config('CPS')
    cfg.param_scheduler = [
        {'type': 'LinearLR', 'end': 1, 'by_epoch': False},
        {'type': 'PolyLR', 'begin': 1, 'end': 3, 'by_epoch': False},
    ]
    Runner.from_cfg(cfg).train()


@safe_checkpoints()
def test_a_resumed_training_with_more_iterations(config):
    cfg = config('CPS')
    cfg.param_scheduler = [{'type': 'PolyLR', 'end': 3, 'by_epoch': False}]
    cfg.default_hooks.checkpoint.interval = 1
    Runner.from_cfg(copy.deepcopy(cfg)).train()
    cfg.resume, cfg.train_cfg.max_iters = True, 6
    cfg.param_scheduler[0].end = 6
    cfg.experiment_name += '_resumed'
    assert 'ends at iteration 3, the training at max_iters=6' in message(cfg)


@pytest.mark.parametrize(
    ('save_best', 'right'),
    [('mIoU', False), ('student1/mIoU', True), ('student1/mDice', False)],
)
def test_keys_of_the_best_checkpoint(config, save_best, right):
    cfg = config('MKD')
    cfg.val_cfg = {'type': 'TeacherStudentValLoop'}
    cfg.default_hooks.checkpoint.save_best = save_best
    if right:
        Runner.from_cfg(cfg).train()
    else:
        found = message(cfg)
        assert f'save_best={save_best!r} is no result' in found
        assert 'student1/mIoU' in found


@pytest.mark.parametrize(('save_best', 'right'), [('own/mIoU', True), ('mIoU', False)])
def test_a_prefix_of_the_evaluator(config, save_best, right):
    cfg = config('CPS')
    cfg.val_evaluator.prefix = 'own'
    cfg.default_hooks.checkpoint.save_best = save_best
    if right:
        Runner.from_cfg(cfg).train()
    else:
        assert 'own/mIoU' in message(cfg)


def test_the_best_checkpoint_without_validation(config):
    cfg = config('CPS', val_dataloader=None, val_cfg=None, val_evaluator=None)
    cfg.default_hooks.checkpoint.save_best = 'mIoU'
    assert 'without validation' in message(cfg)


def test_padding_beyond_the_crop(config):
    cfg = config('RRM')
    cfg.model.data_preprocessor.update(size=(65, 65), size_divisor=None)
    assert message(cfg).startswith(
        f'data_preprocessor.size=(65, 65) pads training crops of {CROP}'
    )


def test_crops_of_different_sizes(config):
    cfg = config('MKD')
    for step in cfg.train_dataloader.dataset.unlabeled.pipeline:
        if step['type'] == 'RandomCropPad':
            step.crop_size = (25, 25)
    assert 'MKD needs crops of one size' in message(cfg)


def test_a_preprocessor_that_is_replaced(config):
    cfg = config('CPS')
    inner = cfg.model.segmentor.data_preprocessor
    cfg.model.data_preprocessor = copy.deepcopy(inner)
    cfg.model.data_preprocessor.mean = [0.0, 0.0, 0.0]
    assert 'is replaced by data_preprocessor, which differs in mean' in message(cfg)


def test_a_weak_method_with_masks_of_some_images(config):
    Runner.from_cfg(with_masks(config('ASDT'))).train()


def test_masks_that_would_become_labels(config):
    cfg = config('CAMSeg')
    cfg.train_dataloader.dataset.test_mode = True
    cfg.train_dataloader.dataset.pipeline.insert(1, {'type': 'LoadAnnotationsStrict'})
    assert 'has a WeakDataset with test_mode=True' in message(cfg)


def test_masks_only_without_a_labeled_part(config):
    cfg = config('CAMSeg')
    cfg.model.masks_only = True
    assert 'masks_only=True, and the dataset WeakDataset has no labeled' in message(cfg)
    Runner.from_cfg(with_masks(cfg)).train()


def test_a_weak_method_with_images_without_tags(config):
    cfg = with_masks(config('CAMSeg'))
    data = cfg.train_dataloader.dataset
    data.unlabeled = data.pop('tagged')
    tags = json.loads(Path(data.tags.path).read_text())
    del tags['5']
    path = Path(cfg.work_dir) / 'some_tags.json'
    path.write_text(json.dumps(tags))
    data.tags.path = str(path)
    expected = 'CAMSeg needs tags of every image, and {} of the {} images has none'
    assert expected.format(5, 'unlabeled') in message(cfg)
    del data.tags
    cfg.experiment_name += '_untagged'
    found = messages(cfg)
    assert expected.format(0, 'labeled') in found[0]
    assert expected.format(4, 'unlabeled') in found[1]


def test_a_weak_method_with_an_image_in_two_parts(config):
    cfg = with_masks(config('CAMSeg'))
    cfg.train_dataloader.dataset.tagged.indices = -5
    assert '3 is the name of an image in several parts' in message(cfg)


def test_a_weak_method_with_branches(config):
    cfg = with_masks(config('CAMSeg'))
    for name in ('labeled', 'tagged'):
        part = cfg.train_dataloader.dataset[name]
        part.pipeline[-1] = {'type': 'SemiMultiBranch', 'sup': [part.pipeline[-1]]}
    assert 'CAMSeg takes images without branches' in message(cfg)


def test_everything_is_said_at_once(config):
    cfg = config('MKD')
    cfg.train_dataloader.batch_size = 3
    cfg.default_hooks.checkpoint.save_best = 'mDice'
    for head in heads(cfg):
        head.num_classes = 21
    assert len(messages(cfg)) == 3


def test_without_the_hook_the_hook_of_a_phase_checks(config):
    cfg = config('MKD')
    cfg.custom_hooks.remove(CHECK)
    cfg.train_dataloader.batch_size = 3
    assert 'batch_size=3' in message(cfg)


class TestCheckpoints:
    def weights(self, config, tmp_path, method, **settings):
        model = Runner.from_cfg(config(method, **settings)).model
        torch.save({'state_dict': model.state_dict()}, tmp_path / 'weights.pth')
        return str(tmp_path / 'weights.pth')

    def test_test_time_augmentation(self, config, tmp_path):
        path = self.weights(config, tmp_path, 'ASDT')
        cfg = config('ASDT', load_from=path)
        apply_setting(cfg, ms_flip=True)
        assert 'mIoU' in ' '.join(Runner.from_cfg(cfg).test())
        cfg = config('AFA', load_from=path)
        apply_setting(cfg, ms_flip=True)
        with pytest.raises(StartupError, match='does not fit AFA'):
            Runner.from_cfg(cfg).test()

    def test_weights_of_another_network_are_refused_for_training(
        self, config, tmp_path
    ):
        path = self.weights(config, tmp_path, 'RRM')
        cfg = config('RRM', load_from=path)
        cfg.model.backbone.base_channels = 16
        cfg.model.backbone.stem_channels = 16
        for key in ('cam_head', 'decode_head'):
            cfg.model[key].in_channels = 32
        assert 'the checkpoint does not fit RRM' in message(cfg)

    def test_weights_of_a_classifier_start_a_segmentor(self, config, tmp_path):
        path = self.weights(config, tmp_path, 'RRM')
        Runner.from_cfg(config('ASDT', load_from=path)).train()

    def test_testing_needs_every_tensor(self, config, tmp_path):
        path = self.weights(config, tmp_path, 'RRM')
        with pytest.raises(StartupError, match=r'tensors missing .*teacher_head'):
            Runner.from_cfg(config('ASDT', load_from=path)).test()

    def test_partial_weights_are_accepted_on_request(self, config, tmp_path):
        path = self.weights(config, tmp_path, 'RRM')
        cfg = config('ASDT', load_from=path)
        cfg.custom_hooks[-1] = {**CHECK, 'partial_weights': True}
        Runner.from_cfg(cfg).test()

    def test_one_network_fills_all_of_a_semi_supervised_method(self, config, tmp_path):
        path = self.weights(config, tmp_path, 'CPS')
        Runner.from_cfg(config('MKD', load_from=path)).train()

    def test_the_message_names_a_few_tensors(self):
        model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
        state = {**model.state_dict(), 'extra': torch.zeros(1)}
        state['1.weight'] = torch.zeros(9, 3)
        del state['0.bias']
        (problem,) = check_checkpoint(model, state, training=False)
        assert '1 tensors missing (0.bias)' in problem.found
        assert '1 tensors of no use (extra)' in problem.found
        assert '1 tensors of another shape (1.weight)' in problem.found


def train_sharded(rank: int, root: str, work_dir: str) -> str:
    """Message of a training of MKD under FSDP."""
    init_default_scope('mmseg')
    cfg = tiny_config('MKD', Path(root), Path(work_dir), 1)
    cfg.launcher = 'pytorch'
    cfg.model_wrapper_cfg = {'type': 'MMFullyShardedDataParallel', 'device_id': 'cpu'}
    with pytest.raises(StartupError) as error:
        Runner.from_cfg(cfg).train()
    return str(error.value)


def test_teachers_under_fsdp(tiny_voc, tmp_path):
    (found,) = run_processes(train_sharded, 1, (str(tiny_voc), str(tmp_path)))
    assert 'FSDP splits the weights of MKD' in found
    assert 'moving average of teacher1, teacher2' in found
    assert "set strategy.type='DDPStrategy'" in found

"""Teachers are updated by their schedules, and only after a step of the student."""

import math
from types import SimpleNamespace

import pytest
import torch
from helpers.tiny import tiny_config
from helpers.training import train
from mmengine._strategy.deepspeed import (
    DeepSpeedOptimWrapper,
    MMDeepSpeedEngineWrapper,
)
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from torch import nn

from mmseg_wsss.engine.hooks import MeanTeacherHook
from mmseg_wsss.engine.startup_check import StartupError
from mmseg_wsss.models.utils import Phase


class Pair(nn.Module):
    """Two students of one number each, and their teachers."""

    progress = Phase("dict(type='MeanTeacherHook')")

    def __init__(self, average_buffers: bool = True) -> None:
        super().__init__()
        self.pairs = {'teacher1': 'student1', 'teacher2': 'student2'}
        self.average_buffers = average_buffers
        self.networks = nn.ModuleDict()
        for name in (*self.pairs, *self.pairs.values()):
            net = nn.Module()
            net.register_parameter('x', nn.Parameter(torch.zeros(1)))
            net.register_buffer('mean', torch.zeros(1))
            net.register_buffer('count', torch.zeros(1, dtype=torch.int64))
            self.networks[name] = net

    def set_students(self, value: float) -> None:
        for name in self.pairs.values():
            net = self.networks[name]
            with torch.no_grad():
                net.x.fill_(value)
                net.mean.fill_(value)
                net.count.fill_(int(value))

    def values(self, key: str = 'x') -> list[float]:
        return [float(getattr(self.networks[name], key)) for name in self.pairs]


class Wrapper:
    """Optimizer wrapper that steps every ``counts`` iterations."""

    def __init__(self, counts: int = 1) -> None:
        self._accumulative_counts = counts
        self.done = 0

    def should_update(self) -> bool:
        return self.done % self._accumulative_counts == 0


def runner(model: nn.Module, max_iters: int = 10, counts: int = 1) -> SimpleNamespace:
    return SimpleNamespace(
        model=model,
        iter=0,
        max_iters=max_iters,
        optim_wrapper=Wrapper(counts),
        message_hub=MessageHub.get_instance('mean_teacher'),
    )


def run(hook: MeanTeacherHook, run: SimpleNamespace, losses: list[float]) -> list:
    """Iterate with students at 1, 2, ... afterwards; return the teachers' values."""
    values = []
    hook.before_train(run)
    for loss in losses:
        hook.before_train_iter(run, run.iter)
        run.optim_wrapper.done += 1
        run.model.set_students(run.iter + 1.0)
        outputs = {'loss': torch.tensor(loss), 'acc': torch.tensor(math.nan)}
        hook.after_train_iter(run, run.iter, outputs=outputs)
        values.append(run.model.values())
        run.iter += 1
    return values


@pytest.mark.parametrize(
    ('schedule', 'expected'),
    [
        ('warmup', [0.5, 0.6, 0.6, 0.6]),
        ('linear', [0.3, 0.4, 0.45, 0.48]),
        ('constant', [0.6] * 4),
        ('cosine', [0.6586, 0.8, 0.9414, 1.0]),
    ],
)
def test_decays(schedule, expected):
    hook = MeanTeacherHook(0.6, schedule)
    decays = [hook.decay_at(update, 4) for update in range(1, 5)]
    assert decays == pytest.approx(expected, abs=1e-4)


def test_warm_up_lasts_until_the_decay_is_reached():
    hook = MeanTeacherHook(0.99)
    assert hook.decay_at(98, 1000) == pytest.approx(1 - 1 / 99)
    assert hook.decay_at(99, 1000) == hook.decay_at(500, 1000) == 0.99


def test_updates_computed_by_hand():
    model = Pair()
    values = run(MeanTeacherHook(0.6), runner(model), [1.0] * 3)
    # 0.5 * 0 + 0.5 * 1; 0.6 * 0.5 + 0.4 * 2; 0.6 * 1.1 + 0.4 * 3
    for found, expected in zip(values, (0.5, 1.1, 1.86)):
        assert found == pytest.approx([expected] * 2)
    assert model.values('mean') == pytest.approx([1.86] * 2)
    assert model.values('count') == [3, 3]


def test_buffers_of_a_teacher_in_train_mode_are_its_own():
    model = Pair(average_buffers=False)
    run(MeanTeacherHook(0.6), runner(model), [1.0])
    assert model.values() == [0.5, 0.5]
    assert model.values('mean') == model.values('count') == [0, 0]


def test_each_pair_may_have_its_own_decay_and_schedule():
    hook = MeanTeacherHook(
        {'teacher1': 0.0, 'teacher2': 0.9},
        {'teacher1': 'warmup', 'teacher2': 'constant'},
    )
    values = run(hook, runner(Pair()), [1.0] * 2)
    assert values[0] == pytest.approx([1.0, 0.1])
    assert values[1] == pytest.approx([2.0, 0.29])


@pytest.mark.parametrize('loss', [math.nan, math.inf])
def test_no_update_after_a_loss_that_is_not_finite(loss):
    values = run(MeanTeacherHook(0.6), runner(Pair()), [1.0, loss])
    assert values[1] == values[0]


def test_no_update_where_mixed_precision_skipped_the_step():
    state = runner(Pair())
    scales = iter([512.0, 512.0, 512.0, 256.0])
    state.optim_wrapper.loss_scaler = SimpleNamespace(get_scale=lambda: next(scales))
    first, second = run(MeanTeacherHook(0.6), state, [1.0] * 2)
    assert first == [0.5, 0.5]
    assert second == first


@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('gradient', [1.0, math.inf])
def test_no_update_where_a_static_loss_scale_skipped_the_step(gradient, fused):
    state, hook = runner(Pair()), MeanTeacherHook(0.5, 'constant')
    student = state.model.networks['student1'].x
    scaler = torch.amp.GradScaler('cpu', init_scale=512.0)
    state.optim_wrapper.optimizer = torch.optim.SGD([student], 1.0, fused=fused)
    state.optim_wrapper.loss_scaler = scaler
    hook.before_train(state)
    hook.before_train_iter(state, 0)
    student.grad = 512 * torch.tensor([gradient])
    scaler.scale(torch.ones(1))  # begins to scale
    scaler.step(state.optim_wrapper.optimizer)
    scaler.update(512.0)
    hook.after_train_iter(state, 0, outputs={'loss': torch.ones(1)})
    assert state.model.values() == ([-0.5, 0.0] if gradient == 1 else [0.0, 0.0])


def test_updates_are_those_of_the_optimizer():
    """Two iterations an update: the decay of the first one is a half."""
    values = run(MeanTeacherHook(0.6), runner(Pair(), counts=2), [1.0] * 4)
    assert values == [
        [0, 0],
        pytest.approx([1.0] * 2),
        pytest.approx([1.0] * 2),
        pytest.approx([0.6 + 0.4 * 4] * 2),
    ]


class DeepSpeedEngine:
    """The part of DeepSpeed's engine that the hook uses; it steps by itself."""

    def __init__(self, module: nn.Module, stage: int, steps: int = 1) -> None:
        self.module = module
        self.stage = stage
        self.steps = steps
        self.done = 0

    def zero_optimization_partition_weights(self) -> bool:
        return self.stage == 3

    def gradient_accumulation_steps(self) -> int:
        return self.steps

    def was_step_applied(self) -> bool:
        self.done += 1
        return self.done % self.steps == 0


def deepspeed(stage: int, steps: int = 1, half: bool = False) -> SimpleNamespace:
    """A runner of DeepSpeedStrategy; its optimizer wrapper counts nothing."""
    state = runner(Pair())
    engine = DeepSpeedEngine(state.model.half() if half else state.model, stage, steps)
    state.model = MMDeepSpeedEngineWrapper(model=engine)
    state.optim_wrapper = DeepSpeedOptimWrapper(torch.optim.SGD([torch.zeros(1)], 1.0))
    # It is no torch optimizer with stages 1 and 2.
    state.optim_wrapper.optimizer = SimpleNamespace()
    return state


@pytest.mark.parametrize('stage', [0, 1, 2])
def test_updates_are_those_of_deepspeed(stage):
    hook, state = MeanTeacherHook(0.6), deepspeed(stage, steps=2)
    hook.before_run(state)
    hook.before_train(state)
    for iteration, expected in enumerate([0, 1.0, 1.0, 0.6 + 0.4 * 4]):
        state.iter = iteration
        hook.before_train_iter(state, iteration)
        state.model.module.set_students(iteration + 1.0)
        hook.after_train_iter(state, iteration, outputs={'loss': torch.ones(1)})
        assert state.model.module.values() == pytest.approx([expected] * 2)


@pytest.mark.parametrize(
    ('state', 'message'),
    [
        (deepspeed(3), 'DeepSpeed .*stage=3. splits the weights of Pair .*DDPStrategy'),
        (deepspeed(2, half=True), r'Pair.teacher1 are in torch.float16.*remove fp16'),
    ],
)
def test_strategies_that_teachers_cannot_bear_are_refused(state, message):
    with pytest.raises(StartupError, match=message):
        MeanTeacherHook().before_run(state)


def test_the_progress_is_set():
    state = runner(Pair(), max_iters=4)
    run(MeanTeacherHook(), state, [1.0] * 3)
    assert state.model.progress == 0.75


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'decay': 1.1}, 'decay must be at most 1, got 1.1'),
        ({'decay': math.nan}, 'decay must be at least 0, got nan'),
        ({'decay': {'teacher': -1}}, 'decay.teacher must be at least 0, got -1'),
        ({'schedule': 'odd'}, "schedule must be one of 'warmup', .* got 'odd'"),
        ({'schedule': {'t': 'odd'}}, "schedule.t must be one of .* got 'odd'"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MeanTeacherHook(**arguments)


def test_settings_must_name_the_teachers():
    with pytest.raises(ValueError, match=r"must name the teachers .*got \['teacher'\]"):
        run(MeanTeacherHook({'teacher': 0.5}), runner(Pair()), [])


class NoTeachers(nn.Module):
    """A segmentor with the phase, but without teachers, such as FixMatch."""

    progress = Phase("dict(type='MeanTeacherHook')")
    pairs: dict[str, str] = {}


@pytest.mark.parametrize('model', [nn.Linear(1, 1), NoTeachers()])
def test_a_segmentor_without_teachers_is_refused(model):
    name = type(model).__name__
    with pytest.raises(TypeError, match=f'with teachers, such as MKD, got {name}; rem'):
        run(MeanTeacherHook(), runner(model), [])


def test_a_segmentor_without_the_phase_is_refused():
    model = nn.Linear(1, 1)
    model.pairs = {'teacher': 'student'}
    with pytest.raises(TypeError, match='sets progress, which Linear does not have'):
        run(MeanTeacherHook(), runner(model), [])


class Copies(Hook):
    """Notes students and teachers after each iteration, and before the first."""

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.states: list[dict] = []

    def before_train(self, runner) -> None:
        self.after_train_iter(runner, 0)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        state = runner.model.state_dict()
        self.states.append({k: v.double().clone() for k, v in state.items()})


def test_teachers_of_a_training_follow_parameters_and_statistics(tiny_voc, tmp_path):
    copies = Copies()
    train(tiny_config('MKD', tiny_voc, tmp_path, 3), copies)
    for step, decay in ((1, 0.5), (2, 0.6), (3, 0.6)):
        before, after = copies.states[step - 1 : step + 1]
        for name, value in after.items():
            if not name.startswith('teacher'):
                continue
            student = after[name.replace('teacher', 'student')]
            expected = decay * before[name] + (1 - decay) * student
            if name.endswith('num_batches_tracked'):
                expected = student
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
    moved = copies.states[-1]['teacher1.backbone.stem.1.running_mean']
    assert not torch.equal(moved, torch.zeros_like(moved))


def test_a_loaded_teacher_is_not_overwritten(tiny_voc, tmp_path):
    cfg = tiny_config('MeanTeacherSegmentor', tiny_voc, tmp_path / 'first', 2)
    train(cfg)
    path = tmp_path / 'first/iter_2.pth'
    saved = torch.load(path, weights_only=False)['state_dict']
    copies = Copies()
    cfg = tiny_config('MeanTeacherSegmentor', tiny_voc, tmp_path / 'second', 1)
    cfg.load_from = str(path)
    train(cfg, copies)
    for name, value in saved.items():
        assert torch.equal(copies.states[0][name], value.double()), name

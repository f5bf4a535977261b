import copy

import pytest
import torch
from torch import nn

from mmseg_wsss.models.utils import update_ema


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    net.train()
    for _ in range(seed + 1):
        net(torch.rand(2, 3, 8, 8))
    net.register_buffer('flags', torch.arange(3) > seed)
    net.register_buffer('passing', torch.rand(2), persistent=False)
    return net


def tensors(net: nn.Module) -> dict[str, torch.Tensor]:
    both = [*net.named_parameters(), *net.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in both}


@pytest.mark.parametrize('decay', [0.0, 0.6, 0.996, 1.0])
def test_one_step_by_the_formula(decay):
    teacher, student = network(0), network(1)
    old, new = tensors(teacher), tensors(student)
    update_ema(teacher, student, decay)
    assert all(new[name].equal(tensor) for name, tensor in tensors(student).items())
    for name, tensor in tensors(teacher).items():
        if tensor.is_floating_point():
            expected = decay * old[name].double() + (1 - decay) * new[name].double()
            torch.testing.assert_close(tensor, expected.float())
        else:
            assert tensor.equal(new[name]), name
    if decay == 0:
        assert all(new[name].equal(tensor) for name, tensor in tensors(teacher).items())
    if decay == 1:
        kept = [name for name, tensor in old.items() if tensor.is_floating_point()]
        assert all(tensors(teacher)[name].equal(old[name]) for name in kept)


def test_averages_of_batch_norm_follow_and_its_counter_is_copied():
    teacher, student = network(0), network(4)
    update_ema(teacher, student, 0.5)
    assert teacher[1].num_batches_tracked == 5
    fresh = network(0)
    expected = (fresh[1].running_mean + student[1].running_mean) / 2
    torch.testing.assert_close(teacher[1].running_mean, expected)


def test_in_place_and_without_gradient():
    teacher, student = network(0), network(1)
    teacher.requires_grad_(False)
    storage = teacher[0].weight.data_ptr()
    update_ema(teacher, student, 0.9)
    assert teacher[0].weight.data_ptr() == storage
    assert student[0].weight.requires_grad and student[0].weight.grad is None
    assert not teacher[0].weight.requires_grad and teacher[0].weight.is_leaf


def test_float32_teacher_of_a_bfloat16_student_keeps_small_steps():
    teacher = nn.Linear(4, 4)
    student = copy.deepcopy(teacher).bfloat16()
    nn.init.ones_(teacher.weight)
    nn.init.constant_(student.weight, 2.0)
    for _ in range(10):
        update_ema(teacher, student, 0.999)
    assert teacher.weight.dtype == torch.float32
    assert student.weight.dtype == torch.bfloat16
    expected = torch.full((4, 4), 2 - 0.999**10)
    torch.testing.assert_close(teacher.weight.detach(), expected)


def test_teacher_of_mixed_types():
    teacher = nn.Sequential(nn.Linear(2, 2).bfloat16(), nn.Linear(2, 2))
    student = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).half())
    pairs = zip(weights(teacher), weights(student))
    expected = [(old.double() + new.double()) / 2 for old, new in pairs]
    update_ema(teacher, student, 0.5)
    assert [w.dtype for w in weights(teacher)] == [torch.bfloat16, torch.float32]
    for weight, value in zip(weights(teacher), expected):
        torch.testing.assert_close(weight.double(), value, rtol=0, atol=1e-2)


def weights(net: nn.Sequential) -> list[torch.Tensor]:
    return [layer.weight.detach().clone() for layer in net]


def test_wrapped_students_are_looked_through():
    teacher, student = network(0), network(1)
    expected = copy.deepcopy(teacher)
    update_ema(expected, student, 0.7)
    update_ema(teacher, nn.DataParallel(student), 0.7)
    for name, tensor in tensors(expected).items():
        assert tensor.equal(tensors(teacher)[name]), name


def test_tied_weights_move_once():
    teacher, student = (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in 'ts')
    for net in (teacher, student):
        net[1].weight = net[0].weight
    expected = (teacher[0].weight + student[0].weight).detach() / 2
    update_ema(teacher, student, 0.5)
    torch.testing.assert_close(teacher[0].weight.detach(), expected)
    assert teacher[1].weight is teacher[0].weight


def test_different_structures_are_named_and_change_nothing():
    teacher, student = network(0), network(1)
    before = tensors(teacher)
    student[2].bias = None
    with pytest.raises(ValueError, match=r'the student has no 2\.bias'):
        update_ema(teacher, student, 0.5)
    with pytest.raises(ValueError, match=r'the teacher has no 2\.bias'):
        update_ema(student, teacher, 0.5)
    student = network(1)
    student.flags = torch.zeros(4, dtype=torch.bool)
    with pytest.raises(ValueError, match=r'shape of flags: \(3,\) and \(4,\)'):
        update_ema(teacher, student, 0.5)
    assert all(before[name].equal(tensor) for name, tensor in tensors(teacher).items())


@pytest.mark.parametrize('decay', [-0.1, 1.1, float('nan')])
def test_decay_outside_its_range(decay):
    with pytest.raises(ValueError, match='decay'):
        update_ema(network(0), network(1), decay)


def test_buffers_are_left_alone_where_asked():
    teacher, student = network(0), network(1)
    old, new = tensors(teacher), tensors(student)
    update_ema(teacher, student, 0.0, buffers=False)
    parameters = dict(teacher.named_parameters())
    for name, tensor in tensors(teacher).items():
        assert tensor.equal((new if name in parameters else old)[name]), name

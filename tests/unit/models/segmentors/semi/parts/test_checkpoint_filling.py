"""Weights of students and teachers: at the start, and from checkpoints."""

import pytest
import torch
from helpers.tiny import tiny_model, tiny_network
from mmengine.config import ConfigDict
from mmengine.runner import load_checkpoint

from mmseg_wsss.registry import MODELS


def plain_network(seed: int = 5, **settings) -> torch.nn.Module:
    """Plain network of the methods, with random statistics."""
    cfg = tiny_model('MKD', **settings)['segmentor']
    torch.manual_seed(seed)
    net = MODELS.build(ConfigDict(cfg))
    net.init_weights()
    for name, buffer in net.named_buffers():
        if name.endswith(('running_mean', 'running_var')):
            buffer.uniform_(0.5, 1.5)
    return net


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_students_differ_and_teachers_begin_as_their_students():
    model = tiny_network('MKD')
    assert not same(model.student1, model.student2)
    assert same(model.teacher1, model.student1)
    assert same(model.teacher2, model.student2)


def test_a_plain_checkpoint_fills_every_network(tmp_path):
    net = plain_network()
    torch.save({'state_dict': net.state_dict()}, tmp_path / 'plain.pth')
    model = tiny_network('MKD')
    load_checkpoint(model, str(tmp_path / 'plain.pth'))
    assert all(same(other, net) for other in model.networks.values())


def test_each_student_can_have_its_own_checkpoint(tmp_path):
    nets = [plain_network(seed) for seed in (1, 2)]
    files = [str(tmp_path / f'{i}.pth') for i in range(2)]
    for net, file in zip(nets, files):
        torch.save({'state_dict': net.state_dict()}, file)
    first, second = ({'type': 'Pretrained', 'checkpoint': file} for file in files)
    init_cfg = first | {'override': {'name': 'student2', **second}}
    model = MODELS.build(ConfigDict(tiny_model('MKD') | {'init_cfg': init_cfg}))
    model.init_weights()
    for name, network in model.networks.items():
        assert same(network, nets[name.endswith('2')]), name


def test_a_plain_checkpoint_fits_to_the_last_key():
    model = tiny_network('CPS')
    keys = model.load_state_dict(plain_network().state_dict())
    assert not keys.missing_keys
    assert not keys.unexpected_keys


def test_a_checkpoint_of_students_fills_their_teachers():
    students = tiny_network('CPS', seed=4)
    model = tiny_network('MKD')
    model.load_state_dict(students.state_dict(), strict=False)
    for number in '12':
        student = students.networks[f'student{number}']
        assert same(model.networks[f'student{number}'], student)
        assert same(model.networks[f'teacher{number}'], student)


@pytest.mark.parametrize(
    ('source', 'target'), [('MeanTeacherSegmentor', 'MKD'), ('CPS', 'FixMatch')]
)
def test_a_checkpoint_of_another_method_gives_its_first_student(source, target):
    other = tiny_network(source, seed=4)
    model = tiny_network(target)
    keys = model.load_state_dict(other.state_dict(), strict=False)
    assert not keys.unexpected_keys
    first = other.networks[other.students[0]]
    assert all(same(net, first) for net in model.networks.values())


def test_a_checkpoint_with_teachers_keeps_them():
    other = tiny_network('MKD', seed=4)
    with torch.no_grad():
        next(other.teacher1.parameters()).add_(1)
    model = tiny_network('MKD')
    state = other.state_dict()
    before = list(state)
    model.load_state_dict(state, strict=True)
    assert same(model, other)
    assert list(state) == before

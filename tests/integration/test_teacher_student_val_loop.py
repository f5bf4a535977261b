"""Every network is validated, and the state of the segmentor is restored."""

import pytest
from helpers.tiny import tiny_config
from mmengine.runner import Runner


def build(tiny_voc, work_dir, method='MKD', **settings) -> Runner:
    cfg = tiny_config(method, tiny_voc, work_dir, 2)
    cfg.train_cfg.val_interval = 1
    cfg.val_cfg = {'type': 'TeacherStudentValLoop', **settings}
    return Runner.from_cfg(cfg)


def val_alone(tiny_voc, work_dir, state: dict, name: str) -> dict:
    """Metrics of MMEngine's own loop, of one network."""
    cfg = tiny_config('MKD', tiny_voc, work_dir)
    cfg.model.semi_test_cfg = {'predict_on': name}
    runner = Runner.from_cfg(cfg)
    runner.model.load_state_dict(state)
    return runner.val()


def test_metrics_of_every_network_are_returned(tiny_voc, tmp_path):
    names = ['student1', 'teacher2', 'ensemble']
    runner = build(tiny_voc, tmp_path, predict_on=names)
    runner.train()
    runner.model.predict_on = 'student2'
    metrics = runner.val()
    assert runner.model.predict_on == 'student2'
    assert set(metrics) == {
        f'{name}/{key}' for name in names for key in ('aAcc', 'mIoU', 'mAcc')
    }
    state = runner.model.state_dict()
    for name in names:
        alone = val_alone(tiny_voc, tmp_path, state, name)
        assert {k: metrics[f'{name}/{k}'] for k in alone} == alone


def test_all_networks_by_default(tiny_voc, tmp_path):
    metrics = build(tiny_voc, tmp_path).val()
    assert {key.split('/')[0] for key in metrics} == {
        'student1',
        'student2',
        'teacher1',
        'teacher2',
    }


def test_an_unknown_network_is_refused_before_any_training(tiny_voc, tmp_path):
    runner = build(tiny_voc, tmp_path, 'FixMatch', predict_on=['student', 'teacher'])
    with pytest.raises(KeyError, match=r"predict_on has no \['teacher'\]"):
        runner.train()
    assert runner.iter == 0
    assert runner.model.predict_on == 'student'


def test_best_checkpoint_of_a_network_is_kept(tiny_voc, tmp_path):
    cfg = tiny_config('CPS', tiny_voc, tmp_path, 2)
    cfg.train_cfg.val_interval = 1
    cfg.val_cfg = {'type': 'TeacherStudentValLoop'}
    cfg.default_hooks.checkpoint.save_best = 'student2/mIoU'
    Runner.from_cfg(cfg).train()
    assert len(list(tmp_path.glob('best_student2_mIoU_iter_*.pth'))) == 1


def test_an_interrupted_validation_restores_the_state(tiny_voc, tmp_path, monkeypatch):
    runner = build(tiny_voc, tmp_path)
    expected = runner.val()
    model = runner.model.train()
    predict, calls = model.teacher1.predict, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return predict(*args)

    monkeypatch.setattr(model.teacher1, 'predict', interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.val()
    assert model.predict_on == 'student1'
    assert model.training
    assert not model.teacher1.training
    monkeypatch.undo()
    assert runner.val() == expected


def test_another_segmentor_is_refused(tiny_voc, tmp_path):
    runner = build(tiny_voc, tmp_path, 'CAM')
    with pytest.raises(TypeError, match='got CAM; use ValLoop'):
        runner.val()

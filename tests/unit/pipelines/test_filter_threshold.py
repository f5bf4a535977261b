"""Threshold of prediction filtering: choice by hand-checked scores, and on a run."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from helpers.methods import NUM_TAGS, TAG_NAMES
from helpers.tiny import TAGS, tiny_config, tiny_network, write_tiny_voc

from mmseg_wsss.pipelines.filter_threshold import (
    choose_threshold,
    rounded_down,
    score_threshold,
    tag_scores,
)

TOOL = Path(__file__).parents[3] / 'tools/misc/prediction_filter_threshold.py'
CLASSIFIER = {'type': 'CAMHead', 'in_channels': 16, 'num_classes': NUM_TAGS}


def test_scores_by_hand():
    prob = torch.tensor([[0.9, 0.1, 0.02], [0.2, 0.4, 0.6]])
    tags = torch.tensor([[1, 0, 1], [1, 1, 0]])
    assert score_threshold(prob, tags, 0.3) == (0.3, 0.5, 0.5)
    assert score_threshold(prob, tags, 0.0) == (0.0, 0.0, 0.0)
    assert score_threshold(prob, tags, 1.0) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize('max_missed', [0.0, 0.01, 0.1, 0.5, 0.9])
def test_the_largest_threshold_within_the_limit(max_missed):
    rng = torch.Generator().manual_seed(0)
    prob = torch.rand(40, 5, generator=rng)
    tags = (torch.rand(40, 5, generator=rng) < 0.4).int()
    thr = choose_threshold(prob, tags, max_missed)
    assert score_threshold(prob, tags, thr).missed <= max_missed
    higher = min(p for p in prob[tags > 0].tolist() if p > thr)
    assert score_threshold(prob, tags, (thr + higher) / 2).missed > max_missed


def test_nothing_to_choose_from():
    prob = torch.rand(2, 3)
    with pytest.raises(ValueError, match='no image has a tag'):
        choose_threshold(prob, torch.zeros(2, 3), 0.1)
    with pytest.raises(ValueError, match=r'max_missed must be in \[0, 1\), got 1'):
        choose_threshold(prob, torch.ones(2, 3), 1.0)


def test_rounding_removes_no_further_tag():
    for thr in (0.100065, 0.99999, 1.23456e-5, 0.5, 0.0):
        assert thr * 0.999 <= rounded_down(thr) <= thr


@pytest.fixture
def trained(tmp_path):
    """Config and checkpoint; six training images have tags."""
    root = write_tiny_voc(tmp_path / 'voc')
    cfg = tiny_config('FixMatch', root, tmp_path)
    table = {'5': ['cyan'], '6': [TAG_NAMES[k] for k in TAGS[6]]}
    (root / 'some.json').write_text(json.dumps(table))
    cfg.train_dataloader.dataset.tags = {'path': str(root / 'some.json')}
    cfg.model.cam_head = CLASSIFIER
    model = tiny_network('FixMatch', cam_head=CLASSIFIER)
    path = tmp_path / 'model.pth'
    torch.save({'state_dict': model.state_dict()}, path)
    return cfg, str(path)


def test_scores_of_the_tagged_training_images(trained, tmp_path):
    cfg, path = trained
    with open(tmp_path / 'progress', 'w') as stream:
        prob, tags = tag_scores(cfg, path, stream)
    assert prob.shape == (6, NUM_TAGS)
    # Four labeled images, with the tags of their masks, and two of the file.
    indices = [row.nonzero()[:, 0].tolist() for row in tags]
    assert indices == [sorted(t) for t in (*TAGS[:4], (5,), TAGS[6])]
    assert ((prob > 0) & (prob < 1)).all()
    del cfg.train_dataloader.dataset.tags
    with pytest.raises(ValueError, match='found no tags'):
        tag_scores(cfg, path)
    cfg.train_dataloader = None
    with pytest.raises(ValueError, match='expected train_dataloader'):
        tag_scores(cfg, path)


def test_the_tool_prints_a_setting(trained, tmp_path, monkeypatch, capsys):
    cfg, path = trained
    cfg.dump(tmp_path / 'config.py')
    words = [str(tmp_path / 'config.py'), path, '--max-missed', '0.2']
    monkeypatch.setattr(sys, 'argv', [TOOL.name, *words])
    runpy.run_path(str(TOOL), run_name='__main__')
    shown = capsys.readouterr().out
    prob, tags = tag_scores(cfg, path)
    assert f'6 images, {int(tags.sum())} tags\n' in shown
    setting = re.search(r'prediction_filter=dict\(thr=(.+?)\)', shown)
    assert setting is not None
    thr = float(setting[1])
    assert score_threshold(prob, tags, thr).missed <= 0.2
    assert score_threshold(prob, tags, thr * 1.01 + 1e-6).missed > 0.2

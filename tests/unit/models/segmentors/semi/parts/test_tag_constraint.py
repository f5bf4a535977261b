"""Logits among the classes that image tags allow."""

from dataclasses import replace

import torch

from mmseg_wsss.models.segmentors.semi.parts.cam_fusion import CAMEvidence
from mmseg_wsss.models.segmentors.semi.parts.tag_constraint import (
    ABSENT,
    TagConstraint,
    TagFilterSettings,
)


class TestTagConstraint:
    logits = torch.tensor([1.0, 3.0, 2.0, 0.0]).view(1, 4, 1, 1)
    absent = torch.tensor([False, True, False, True]).view(1, 4, 1, 1)

    def test_hard(self):
        tags = TagConstraint(self.absent, TagFilterSettings(), True)
        prob = tags.filter(self.logits).softmax(1).flatten()
        e = torch.tensor([1.0, 2.0]).softmax(0)
        torch.testing.assert_close(prob, torch.tensor([e[0], 0.0, e[1], 0.0]))
        assert torch.equal(tags.for_loss(self.logits), tags.filter(self.logits))

    def test_soft(self):
        tags = TagConstraint(self.absent, TagFilterSettings(margin=1.5))
        found = tags.filter(self.logits).flatten().tolist()
        assert found == [1.0, 1.5, 2.0, -1.5]
        assert tags.for_loss(self.logits) is self.logits

    def test_without_tags_nothing_is_touched(self):
        tags = TagConstraint()
        for found in (tags.filter(self.logits), tags.for_loss(self.logits)):
            assert found is self.logits
        assert tags.mixed(torch.ones(1, 1, 2, 2)) is tags
        assert tags.after(tags) is tags

    def test_a_pixel_has_the_classes_of_its_own_image(self):
        absent = torch.eye(3, dtype=torch.bool).view(3, 3, 1, 1)
        mask = torch.ones(3, 1, 2, 2)
        mask[:, :, 0, 1] = 0
        tags = TagConstraint(absent, TagFilterSettings()).mixed(mask)
        assert tags.absent is not None
        for i in range(3):
            for row in range(2):
                for col in range(2):
                    image = (i + 1) % 3 if (row, col) == (0, 1) else i
                    assert tags.absent[i, :, row, col].nonzero().tolist() == [[image]]
        smaller = TagConstraint(absent, TagFilterSettings()).mixed(mask, (1, 1))
        assert torch.equal(smaller.absent, absent)

    def test_losses_of_mixed_views_need_no_evidence(self, monkeypatch):
        absent = torch.eye(3, dtype=torch.bool).view(3, 3, 1, 1)
        mask = torch.ones(3, 1, 2, 2)
        mask[:, :, 0, 1] = 0
        logits = torch.randn(3, 3, 2, 2)
        evidence = CAMEvidence(torch.randn(3, 3, 1, 1), torch.ones(3, 1, 1, 1))
        tags = TagConstraint(absent, TagFilterSettings(), True, evidence)
        expected = tags.mixed(mask).for_loss(logits)
        assert not torch.equal(expected, tags.for_loss(logits))

        def refuse(*args):
            raise AssertionError('mixed for nothing')

        monkeypatch.setattr(CAMEvidence, 'mixed', refuse)
        assert torch.equal(tags.for_loss(logits, mask), expected)
        monkeypatch.setattr(f'{TagConstraint.__module__}.mix', refuse)
        for unused in (replace(tags, class_aware_ce=False), TagConstraint()):
            assert unused.for_loss(logits, mask) is logits

    def test_absent_logits_survive_resizing(self):
        logits = torch.randn(1, 4, 3, 3)
        tags = TagConstraint(self.absent, TagFilterSettings(), True)
        resized = torch.nn.functional.interpolate(
            tags.for_loss(logits), size=(7, 7), mode='bilinear'
        )
        assert torch.isfinite(resized).all()
        assert torch.isclose(resized[:, [1, 3]], torch.tensor(ABSENT)).all()
        assert (resized.softmax(1)[:, [1, 3]] == 0).all()
        assert (torch.finfo(torch.float16).min < ABSENT) and ABSENT < -1e3


def test_outputs_that_are_no_maps_stay_as_they_are():
    absent = torch.ones(2, 3, 1, 1, dtype=torch.bool)
    tags = TagConstraint(absent, TagFilterSettings(), True)
    maps, images = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3)
    found = tags.for_head_loss((maps, images))
    assert (found[0] == ABSENT).all()
    assert found[1] is images

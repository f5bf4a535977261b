"""AffinityNet: its labels, its step and its walk."""

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import NUM_TAGS
from helpers.tiny import tiny_batch, tiny_model, tiny_network
from mmengine.config import ConfigDict
from mmengine.structures import PixelData

from mmseg_wsss.models.losses import pair_affinity_loss
from mmseg_wsss.models.pseudo_labels import affinity_labels
from mmseg_wsss.models.utils import pair_affinity
from mmseg_wsss.registry import MODELS


def build(**settings):
    torch.manual_seed(0)
    cfg = tiny_model('AffinityNet', drop=False, **settings)
    cfg['backbone']['norm_eval'] = True
    model = MODELS.build(ConfigDict(cfg))
    model.init_weights()
    model.warmup = False
    return model.train()


def no_crf(img, scores, class_mask=None):
    return scores


def test_confident_regions_by_hand():
    """CAM 0.9: strong background 0.1, weak 1e-4; 0.2: 0.8, 0.11; 0: both 1."""
    cam = torch.tensor([0.9, 0.2, 0.0]).view(1, 1, 1, 3)
    tags, img = torch.ones(1, 1), torch.zeros(1, 3, 1, 3)
    label = affinity_labels(cam, tags, img, no_crf, (1.0, 10.0))
    assert label.tolist() == [[[1, 255, 0]]]


def test_the_weak_background_has_the_last_word():
    def crf(img, scores, class_mask=None):
        return scores.flip(1)  # strong and weak background swapped

    cam = torch.tensor([0.2]).view(1, 1, 1, 1)
    tags, img = torch.ones(1, 1), torch.zeros(1, 3, 1, 1)
    assert affinity_labels(cam, tags, img, crf, (1.0, 10.0)).item() == 0


def features(model, feats):
    """Both maps, reduced, at the size of the last, joined."""
    first, second = (
        F.elu(F.conv2d(feat, conv.weight))
        for feat, conv in zip(feats, model.affinity_head.reduce)
    )
    first = F.interpolate(first, second.shape[2:], mode='bilinear')
    return F.elu(
        F.conv2d(torch.cat([first, second], 1), model.affinity_head.join.weight)
    )


def test_a_step_on_labels_of_files():
    model = build(loss_cls={'type': 'MultiLabelSoftMarginLoss', 'loss_weight': 0.0})
    inputs, samples = tiny_batch(2)
    rng = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (2, 33, 33), generator=rng)
    labels[:, :10] = 255
    samples[1].valid_map.data[:, :, 20:] = False
    for sample, label in zip(samples, labels):
        sample.pseudo_label = PixelData(data=label[None])
    losses = model.loss(inputs, samples)
    assert losses['loss_cls'] == 0
    feat = features(model, model.extract_feat(inputs))
    seen = labels.clone()
    seen[1, :, 20:] = 255
    small = F.interpolate(seen[:, None].float(), feat.shape[2:])[:, 0].long()
    expected = pair_affinity_loss(pair_affinity(feat, 3), small, 3)
    torch.testing.assert_close(losses['loss_affinity'], expected)
    share = (labels != 255)[:, :, :].float()
    share[1, :, 20:] = 0
    valid = 33 * 33 + 33 * 20
    assert losses['ratio_labeled'].item() == pytest.approx(share.sum().item() / valid)


def test_a_walk_of_a_seed():
    model = build(crf_iters=0, walk={'radius': 3, 'steps': 8, 'beta': 2.0}).eval()
    inputs, samples = tiny_batch(1, tags=((1, 4),))
    seed = torch.zeros(NUM_TAGS + 1, 33, 33)
    seed[2, 4:20, 4:20] = 0.9
    seed[3] = 1.0  # of a class that the image does not have
    samples[0].cam_seed = PixelData(data=seed)
    ((label, prob),) = [
        row['affinity'] for row in model.pseudo_labels(inputs, samples, ['affinity'])
    ]
    feat = features(model, model.extract_feat(inputs)).detach()
    present = [0, 2, 5]
    seed[3] = 0
    small = F.interpolate(seed[None], feat.shape[2:], mode='bilinear')
    small[:, 0] = (1 - small[:, 1:].amax(1)) ** 16
    walked = torch.zeros_like(small)
    walked[:, present] = model.walk(small[:, present], pair_affinity(feat, 3))
    walked = F.interpolate(walked, (33, 33), mode='bilinear')
    walked = walked / walked.sum(1, keepdim=True)
    torch.testing.assert_close(prob, walked[0])
    assert torch.equal(label, walked.argmax(1)[0])
    assert set(label.unique().tolist()) <= set(present)


def test_without_a_seed_the_own_cam_walks():
    model = build().eval()
    inputs, samples = tiny_batch(1, tags=((1,),))
    results = model.pseudo_labels(inputs, samples, ['affinity', 'cam'])[0]
    assert set(results['affinity'][0].unique().tolist()) <= {0, 2}
    assert results['affinity'][1].shape == results['cam'][1].shape


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'background': False}, 'needs a background class'),
        ({'affinity_head': {'in_channels': (8,), 'channels': (4, 8)}}, 'of one length'),
        ({'walk': {'radius': 1}}, 'at least 2, got 1'),
    ],
)
def test_settings_that_have_no_meaning(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_a_paired_cam_in_train_mode():
    """A classifier is its own decode head, of which features cannot pass."""
    cam = {'type': 'PairedCAM', 'scales': (1.0, 0.5), 'train_mode': True}
    model = tiny_network('AffinityNet', train_cfg={'cam': cam})
    model.warmup = False
    losses = model.loss(*tiny_batch(2))
    assert torch.isfinite(losses['loss_affinity'])

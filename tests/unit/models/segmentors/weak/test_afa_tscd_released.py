"""AFA and TSCD with CAMs in training mode, as in the released codes."""

import torch
from helpers.tiny import set_phase, tiny_batch, tiny_network

from mmseg_wsss.models.cam import PairedCAM
from mmseg_wsss.models.segmentors import CAMSeg


def build(name: str, **phase: bool) -> CAMSeg:
    model = tiny_network(name, drop=False, train_cfg={'cam': {'train_mode': True}})
    model.backbone.norm_eval = False
    set_phase(model, {'warmup': False, **phase})
    return model.train()


def test_released_train_mode_of_the_cam():
    model = build('AFA')
    bn = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen = []
    model.decode_head.register_forward_hook(lambda *args: seen.append(1))
    model.normalized_train_cam(tiny_batch(2)[0], {})
    # each of three scales in one or several forwards, the decode head in each
    assert bn.num_batches_tracked == len(seen) >= 3
    model.train_cam = PairedCAM()
    model.normalized_train_cam(tiny_batch(2)[0], {})
    assert bn.num_batches_tracked == len(seen)


def test_released_walk_trains_both_halves(monkeypatch):
    model = build('AFA', use_affinity=True)
    calls, heads = [], []
    extract, head = model.extract_feat, model.affinity_head

    def spy(img):
        calls.append((len(img), img.shape[2], model.backbone.training))
        return extract(img)

    monkeypatch.setattr(model, 'extract_feat', spy)
    head.register_forward_pre_hook(lambda _, args: heads.append(args[0][-1].shape))
    inputs, samples = tiny_batch(2)
    model.loss(inputs, samples)
    # An image and its mirror image are one batch, from which the walk is taken too.
    pairs = [(4, side, True) for side in (49, 33, 16)]
    assert calls == [(2, 33, True), *pairs]
    assert [shape[0] for shape in heads] == [2, 2]


def test_released_order_of_the_second_view(monkeypatch):
    model = build('TSCD')
    events = []
    decode, make = model.decode_head.forward, model.normalized_train_cam

    def spy(img, *args):
        events.append(('cam', img.shape[2]))
        with monkeypatch.context() as patch:
            patch.setattr(model.decode_head, 'forward', decode)
            return make(img, *args)

    monkeypatch.setattr(model, 'normalized_train_cam', spy)
    monkeypatch.setattr(
        model.decode_head,
        'forward',
        lambda feats: events.append(('decode', feats[-1].shape[2])) or decode(feats),
    )
    model.loss(*tiny_batch())
    sides = [events[i][1] for i in (0, 2)]
    assert events == [
        ('decode', sides[0]),
        ('cam', 33),
        ('decode', sides[1]),
        ('cam', 9),
    ]

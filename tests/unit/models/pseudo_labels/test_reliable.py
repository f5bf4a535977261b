"""Teacher A's sparse label against a literal loop over classes and pixels."""

import pytest
import torch

from mmseg_wsss.models.pseudo_labels import present_classes, reliable_labels


def slow_image(cam, tags, crf_strong, crf_weak):
    """Section 5.1, steps 2 to 5, for one image with background, pixel by pixel."""
    classes, height, width = cam.shape
    spots = [(y, x) for y in range(height) for x in range(width)]
    maps = {c: cam[c - 1].tolist() for c in range(1, classes + 1) if tags[c - 1]}
    low, high = crf_strong.tolist(), crf_weak.tolist()
    channels = range(classes + 1)

    def at(c, p):
        return maps[c][p[0]][p[1]] if c in maps else 0.0

    def first_of_largest(values):
        return values.index(max(values))

    # Step 2
    l = {p: first_of_largest([low[c][p[0]][p[1]] for c in channels]) for p in spots}
    label = {p: 255 if l[p] == 0 else l[p] for p in spots}
    for p in spots:
        if first_of_largest([high[c][p[0]][p[1]] for c in channels]) == 0:
            label[p] = 0
    # Step 3
    unreliable = set()
    for p in spots:
        q = max([high[0][p[0]][p[1]]] + [low[c][p[0]][p[1]] for c in channels[1:]])
        if q < 0.8:
            unreliable.add(p)
    # Step 4
    b_32 = {p: (1 - max(at(c, p) for c in channels[1:])) ** 32 for p in spots}
    z = {
        p: first_of_largest([b_32[p]] + [at(c, p) for c in channels[1:]]) for p in spots
    }
    sure = set()
    for k in set(l.values()):
        if k == 0:
            sure |= {p for p in spots if z[p] == 0 and b_32[p] > 0.8}
            continue
        kept = {p: at(k, p) if z[p] == k else 0.0 for p in spots}
        values = sorted(v for v in kept.values() if v > 0.1)
        if values:
            threshold = values[int(0.6 * len(values))]
            sure |= {p for p in spots if kept[p] > threshold}
    # Step 5
    result = torch.empty(height, width, dtype=torch.int64)
    for p in spots:
        result[p] = 255 if p in unreliable or p not in sure else label[p]
    return result


def draw(seed=0, n=3, classes=4, size=(12, 11), sharpness=6.0, power=3.0):
    """CAMs with much background, and CRF outputs that partly follow them."""
    generator = torch.Generator().manual_seed(seed)
    tags = torch.randint(2, (n, classes), generator=generator)
    cam = torch.rand(n, classes, *size, generator=generator) ** power
    cam[:, :, :4] *= 0.005
    cam = cam * tags[:, :, None, None]
    present = present_classes(tags)[:, :, None, None]
    crfs = []
    for alpha in (4, 32):
        score = torch.cat([(1 - cam.amax(1, keepdim=True)) ** alpha, cam], 1)
        noise = torch.rand(score.shape, generator=generator)
        crf = ((score + noise) * sharpness).masked_fill(~present, -torch.inf).softmax(1)
        crfs.append(crf)
    return cam, tags, *crfs


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('sharpness', [3.0, 6.0, 30.0])
def test_equals_the_loop(seed, sharpness):
    args = draw(seed, sharpness=sharpness)
    label = reliable_labels(*args)
    assert label.dtype == torch.int64
    for row, *image in zip(label, *args):
        assert torch.equal(row, slow_image(*image))


def test_the_drawn_cases_hold_every_kind_of_pixel():
    label = torch.cat([reliable_labels(*draw(seed)).flatten() for seed in range(6)])
    counts = torch.bincount(label, minlength=256)
    assert (counts[[0, 1, 2, 3, 4, 255]] > 20).all()


def test_equals_the_loop_with_ties():
    cam, tags, *crfs = draw(1, sharpness=30.0)
    cam = (cam * 8).round() / 8  # exact in floating point, so ties are ties in both
    label = reliable_labels(cam, tags, *crfs)
    for row, *image in zip(label, cam, tags, *crfs):
        assert torch.equal(row, slow_image(*image))


def sure_crf(label, channels):
    crf = torch.nn.functional.one_hot(label, channels).movedim(-1, 1)
    return crf.float()


def test_the_top_40_percent_of_a_ramp_are_kept():
    # 100 values from 0.11 to 1.1 / 1.1; int(0.6 * 100) = 60, and above element 60
    # lie elements 61 to 99.
    cam = torch.linspace(0.11, 1.0, 100).view(1, 1, 10, 10)
    crf = sure_crf(torch.ones(1, 10, 10, dtype=torch.int64), 2)
    label = reliable_labels(cam, torch.tensor([[1]]), crf, crf).flatten()
    assert (label[:61] == 255).all()
    assert (label[61:] == 1).all()


def test_one_value_above_the_floor_is_never_sure():
    cam = torch.tensor([[[[0.9, 0.05]]]])
    crf = sure_crf(torch.tensor([[[1, 1]]]), 2)
    label = reliable_labels(cam, torch.tensor([[1]]), crf, crf)
    assert label.tolist() == [[[255, 255]]]


def test_no_value_above_the_floor():
    # The case that raises in the released code: n = 0 for the only class of the label.
    cam = torch.linspace(0.06, 0.09, 6).view(1, 1, 2, 3)
    crf = sure_crf(torch.ones(1, 2, 3, dtype=torch.int64), 2)
    label = reliable_labels(cam, torch.tensor([[1]]), crf, crf)
    assert (label == 255).all()


@pytest.mark.parametrize('n', [1, 4])
def test_an_image_without_tags_is_background(n):
    cam, tags = torch.rand(n, 3, 4, 5), torch.zeros(n, 3)
    crf = sure_crf(torch.zeros(n, 4, 5, dtype=torch.int64), 4)
    assert (reliable_labels(cam, tags, crf, crf) == 0).all()


def test_absent_classes_never_appear():
    for seed in range(5):
        cam, tags, *crfs = draw(seed)
        label = reliable_labels(torch.rand_like(cam), tags, *crfs)
        for row, tag_row in zip(label, tags):
            allowed = {0, 255} | {k + 1 for k, tag in enumerate(tag_row) if tag}
            assert set(row.unique().tolist()) <= allowed


def test_images_do_not_touch_each_other():
    args = draw(3)
    label = reliable_labels(*args)
    for i in range(3):
        one = reliable_labels(*(arg[i : i + 1] for arg in args))
        assert torch.equal(one[0], label[i])


def test_thresholds_reach_their_places():
    cam = torch.tensor([[[[1.0, 0.6, 0.5, 0.4, 0.0]]]])
    crf = torch.tensor([[[[0.1, 0.1, 0.1, 0.3, 1.0]], [[0.9, 0.9, 0.9, 0.7, 0.0]]]])
    tags = torch.tensor([[1]])

    def labels(**options):
        return reliable_labels(cam, tags, crf, crf, **options).flatten().tolist()

    assert labels() == [1, 255, 255, 255, 0]
    assert labels(drop_ratio=0.0) == [1, 1, 1, 255, 0]
    assert labels(drop_ratio=0.0, min_cam=0.45) == [1, 1, 255, 255, 0]
    assert labels(drop_ratio=0.5) == [1, 255, 255, 255, 0]
    assert labels(drop_ratio=0.0, crf_thr=0.95) == [255, 255, 255, 255, 0]
    assert labels(bg_thr=1.0) == [1, 255, 255, 255, 255]
    assert labels(ignore_index=-1) == [1, -1, -1, -1, 0]


def test_alpha_decides_where_the_cam_is_background():
    cam, tags = torch.tensor([[[[0.2, 0.01]]]]), torch.tensor([[1]])
    crf = sure_crf(torch.tensor([[[0, 0]]]), 2)
    # 0.8 ** 32 = 0.0008 and 0.99 ** 32 = 0.72; with power 1, 0.8 and 0.99.
    assert reliable_labels(cam, tags, crf, crf).tolist() == [[[255, 255]]]
    label = reliable_labels(cam, tags, crf, crf, alpha_weak=1.0)
    assert label.tolist() == [[[255, 0]]]


def test_the_strongest_class_must_occur_among_the_crf_labels():
    cam = torch.tensor([[[[0.0, 0.0, 0.0]], [[0.5, 0.9, 1.0]]]])
    tags = torch.tensor([[1, 1]])
    never = sure_crf(torch.tensor([[[1, 1, 1]]]), 3)
    assert (reliable_labels(cam, tags, never, never) == 255).all()
    # Where it occurs anywhere, a confident pixel keeps the label of the CRF.
    once = sure_crf(torch.tensor([[[2, 1, 1]]]), 3)
    assert reliable_labels(cam, tags, once, once).tolist() == [[[255, 255, 1]]]


def test_background_wins_a_tie():
    cam, tags = torch.tensor([[[[0.5]]]]), torch.tensor([[1]])
    crf = sure_crf(torch.tensor([[[0]]]), 2)
    label = reliable_labels(cam, tags, crf, crf, alpha_weak=1.0, bg_thr=0.4)
    assert label.tolist() == [[[0]]]


def test_background_of_the_weak_background_alone_is_ignored():
    # Both CAM values count; the right pixel is confident, 0 in low and 1 in high.
    cam, tags = torch.tensor([[[[0.9, 1.0]]]]), torch.tensor([[1]])
    low = torch.tensor([[[[0.4, 0.6]], [[0.6, 0.4]]]])
    high = torch.tensor([[[[0.4, 0.4]], [[0.6, 0.6]]]])
    options = {'drop_ratio': 0.0, 'crf_thr': 0.0}
    assert reliable_labels(cam, tags, low, high, **options).tolist() == [[[255, 255]]]
    label = reliable_labels(cam, tags, high, high, **options)
    assert label.tolist() == [[[255, 1]]]


def slow_without_background(cam, tags, crf):
    """Section 10: no background score, sure where the CAM is above 0.3."""
    classes, height, width = cam.shape
    label = torch.full((height, width), 255)
    occurring = set(crf.argmax(0).flatten().tolist())
    for y in range(height):
        for x in range(width):
            values = [float(cam[k, y, x]) if tags[k] else 0.0 for k in range(classes)]
            best = values.index(max(values))
            q = float(crf[:, y, x].max())
            if q >= 0.8 and values[best] > 0.3 and best in occurring:
                label[y, x] = int(crf[:, y, x].argmax())
    return label


@pytest.mark.parametrize('seed', range(4))
def test_without_background_equals_the_loop(seed):
    cam, tags, crf, _ = draw(seed, sharpness=12.0, power=1.0)
    tags[0, 0] = 1
    crf = crf[:, 1:] / crf[:, 1:].sum(1, keepdim=True).clamp(min=1e-6)
    label = reliable_labels(cam, tags, crf, background=False)
    assert 0 < (label != 255).sum() < label.numel()
    for row, *image in zip(label, cam, tags, crf):
        assert torch.equal(row, slow_without_background(*image))


def test_without_background_and_tags_nothing_is_labeled():
    cam, tags = torch.rand(2, 3, 4, 4), torch.zeros(2, 3)
    label = reliable_labels(cam, tags, torch.zeros(2, 3, 4, 4), background=False)
    assert (label == 255).all()


def test_bfloat16_and_gradients_do_not_matter():
    cam, tags, *crfs = draw(0)
    expected = reliable_labels(cam.bfloat16().float(), tags, *crfs)
    label = reliable_labels(cam.bfloat16().requires_grad_(), tags, *crfs)
    assert torch.equal(label, expected)
    assert not label.requires_grad


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'tags': torch.ones(3, 2)}, r'tags .* \(3, 4\) as the cam, got \(3, 2\)'),
        ({'crf_strong': torch.ones(3, 4, 12, 11)}, r'crf_strong .* \(3, 5, 12, 11\)'),
        ({'crf_weak': torch.ones(3, 5, 1, 11)}, r'crf_weak .* got \(3, 5, 1, 11\)'),
        ({'crf_weak': None}, 'crf_weak is needed'),
        ({'drop_ratio': 1.0}, r'drop_ratio must be in \[0, 1\), got 1.0'),
    ],
)
def test_bad_arguments_name_themselves(changes, message):
    args = dict(zip(('cam', 'tags', 'crf_strong', 'crf_weak'), draw()))
    with pytest.raises(ValueError, match=message):
        reliable_labels(**(args | changes))

"""The launches, waits, copies and collectives of a step do not grow."""

import count_launches as counting
import pytest
import torch
from emulated_cuda import count, on_gpu
from helpers.methods import METHODS, WEAK
from helpers.mixed import LABELS, mixed_network
from helpers.tiny import set_phase, tiny_batch
from mmengine.registry import init_default_scope

from mmseg_wsss.models.losses import dense_energy_loss
from mmseg_wsss.models.pseudo_labels import refine_inside
from mmseg_wsss.models.refiners import DenseCRF, LocalAffinityRefiner

# Most launches, waits and copies; those of methods over all of their phases.
LIMITS = {
    'isda_update': (60, 0, 0),
    'isda_shift': (22, 0, 0),
    'rcm_loss': (50, 0, 0),
    'rcm_prototypes': (50, 0, 0),
    'random_walk': (150, 0, 0),
    'par_padded': (1345, 0, 0),
    'varm_padded': (1607, 0, 0),
    'CAM': (60, 0, 0),
    'RRM': (844, 2, 0),
    'CAMSeg': (380, 0, 0),
    'AFA': (3067, 2, 0),
    'TSCD': (2151, 1, 0),
    'ASDT': (1386, 4, 0),
    'RCMMAM': (444, 0, 0),
    'AffinityNet': (751, 2, 0),
    'IRNet': (809, 2, 0),
    'SupervisedSegmentor': (85, 0, 0),
    'MeanTeacherSegmentor': (285, 0, 0),
    'CPS': (479, 0, 0),
    'FixMatch': (287, 0, 0),
    'UniMatch': (522, 0, 0),
    'UniMatchV2': (385, 0, 0),
    'MKD': (1181, 0, 0),
}
# Those that need Triton.
TRITON_LIMITS = {
    'dense_energy_triton': (42, 0, 0),
    'par_triton': (13, 0, 0),
    'varm_triton': (13, 0, 0),
    'par_padded_triton': (192, 0, 0),
    'varm_padded_triton': (192, 0, 0),
}
# With a collective inside a loss, or of statistics; one for counts in all others.
TWO_COLLECTIVES = ('TSCD', 'RCMMAM', 'MKD')

# Of some methods, for time: one for each label with a refiner, which stays outside of
# the graph.
GRAPH_BREAKS = {'TSCD': 1, 'ASDT': 2, 'RCMMAM': 0, 'IRNet': 1, 'UniMatch': 0, 'MKD': 0}


def test_everything_has_a_limit():
    parts = {*counting.PARTS, *counting.TRITON_PARTS}
    assert {*LIMITS, *TRITON_LIMITS} == {*parts, *METHODS}


@pytest.mark.parametrize('name', LIMITS)
def test_counts(name):
    check(name, LIMITS[name])


@pytest.mark.extras
@pytest.mark.parametrize('name', TRITON_LIMITS)
def test_counts_of_kernels(name):
    pytest.importorskip('triton', reason='Triton is not installed (make env-triton)')
    check(name, TRITON_LIMITS[name])


def check(name, limits):
    for label, counts, collectives in counting.measure([name]):
        row = counts.totals()
        found = [row.get(key, 0) for key in ('launches', 'waits', 'copies')]
        assert all(n <= most for n, most in zip(found, limits)), (label, found)
        assert not counts.mixed
        assert (collectives or 0) <= 1 + (name in TWO_COLLECTIVES), label


@pytest.mark.parametrize('name', METHODS)
def test_masks_and_tags_cost_no_wait(name):
    """Beside those of the method, in its last phase."""
    own, mixed = counts_of(name, 'own'), counts_of(name, 'mixed')
    assert not mixed.mixed
    assert mixed.waits.total() <= own.waits.total()


def counts_of(name, labels):
    init_default_scope('mmseg')
    network, batch_of = LABELS[labels]
    model, (inputs, samples) = on_gpu((network(name), batch_of(name, num=4)))
    set_phase(model, METHODS[name].phases[-1])
    return count(lambda: model(inputs, samples, mode='loss'))


@pytest.mark.parametrize('name', METHODS)
def test_inference_stays_on_the_device(name):
    """Predictions of all methods, and all pseudo-labels."""
    init_default_scope('mmseg')
    model = on_gpu(mixed_network(name)).eval()
    inputs, samples = on_gpu(tiny_batch(num=1))
    assert not count(lambda: model(inputs, samples, mode='predict')).mixed
    if name in WEAK:
        sources = METHODS[name].pseudo_sources
        assert not count(lambda: model.pseudo_labels(inputs, samples, sources)).mixed


def test_branches_for_gpus_give_the_results_of_a_cpu():
    """The dense energy, and the refinement of padded crops."""
    rng = torch.Generator().manual_seed(0)
    prob = torch.rand(2, 2, 3, 14, 18, generator=rng)
    img = torch.rand(2, 3, 14, 18, generator=rng) * 255
    valid = torch.ones(2, 14, 18, dtype=torch.bool)
    valid[0, :, 11:], valid[1, 9:] = False, False
    pseudo = torch.randint(2, (2, 14, 18), generator=rng) * 255
    refiner = LocalAffinityRefiner('varm', (1, 4), 3, backend='eager')

    def results(prob, img, valid, pseudo):
        refined = refine_inside(prob, img, valid, refiner)
        return refined, dense_energy_loss(refined[:, 0], img, valid, pseudo)

    found = []
    args = prob, img, valid, pseudo
    on_device = on_gpu(args)
    counts = count(lambda: found.extend(results(*on_device)))
    assert not counts.mixed and not counts.waits
    plain = [x.elem for x in found]
    torch.testing.assert_close(plain, list(results(*args)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', GRAPH_BREAKS)
def test_graph_breaks(name):
    """In the last phase, which has every part of a step."""
    breaks = counting.graph_breaks(name, METHODS[name].phases[-1])
    assert breaks <= GRAPH_BREAKS[name]


def test_crf_waits_twice_and_equals_the_cpu():
    """Once for the values that it checks, once for the size of the lattice."""
    rng = torch.Generator().manual_seed(0)
    img = torch.rand(2, 3, 9, 11, generator=rng) * 255
    img[1] = 99  # one color
    prob = torch.rand(2, 2, 4, 9, 11, generator=rng)
    present = torch.tensor([[1, 1, 0, 1], [0, 0, 1, 1]]).bool()
    args, found = on_gpu((img, prob, present)), []
    for _ in range(2):  # the first call builds the lattice of the positions
        counts = count(lambda: found.append(DenseCRF()(*args)))
    assert counts.totals().keys() == {'launches', 'waits'}
    assert counts.waits.total() == 2
    torch.testing.assert_close(found[1].elem, DenseCRF()(img, prob, present))

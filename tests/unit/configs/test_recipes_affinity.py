"""Published values of the random walks of AffinityNet (PSA) and IRNet."""

from catalog import build, find
from helpers.tiny import tiny_network


def test_affinity_net():
    model = build(find('affinitynet_wrn38_1xb8-10576_wsss-voc12aug-448'))
    assert (model.walk.radius, model.walk.beta, model.walk.steps) == (5, 8, 256)
    assert (model.regions.alphas, model.walk_alpha) == ((4, 32), 16)


def test_irnet():
    model = tiny_network('IRNet', walk=None)
    assert (model.walk.beta, model.walk.steps) == (10, 256)
    assert model.regions.alphas == (4, 32)

"""The battery forgets no method."""

from helpers.methods import METHODS

import mmseg_wsss.models.segmentors as segmentors
from mmseg_wsss.models.segmentors import (
    SemiBaseSegmentor,
    WeakClassifier,
    WeakSegmentor,
)


def test_every_segmentor_of_the_package_runs_through_the_battery():
    found = {
        name
        for name in segmentors.__all__
        if issubclass(
            getattr(segmentors, name),
            WeakClassifier | WeakSegmentor | SemiBaseSegmentor,
        )
        and name not in ('SemiBaseSegmentor', 'WeakClassifier', 'WeakSegmentor')
    }
    assert {'CAM', 'RRM', 'ASDT', 'MKD', 'CPS'} <= found
    assert found == {method.model['type'] for method in METHODS.values()}

"""The output of a decode head, and the input of its classifier."""

from copy import deepcopy

import pytest
import torch
from helpers.methods import FCN_HEAD
from helpers.tiny import batch_of, tiny_network
from mmengine.config import ConfigDict

from mmseg_wsss.models.segmentors.semi.parts.pseudo_labels import num_effective_classes
from mmseg_wsss.models.segmentors.semi.parts.seg_output import (
    ClassifierInput,
    SegOutput,
    decode,
)
from mmseg_wsss.registry import MODELS

_PLAIN = {
    'in_channels': 16,
    'in_index': 1,
    'channels': 8,
    'num_classes': 7,
    'align_corners': False,
}
_LEVELS = _PLAIN | {'in_channels': [8, 16], 'in_index': [0, 1]}
# Heads that use conv_seg, each in another way.
CLASSIFIER_HEADS = {
    'FCNHead': FCN_HEAD,
    'ASPPHead': _PLAIN | {'dilations': (1, 2)},
    'PSPHead': _PLAIN | {'pool_scales': (1, 2)},
    'UPerHead': _LEVELS | {'pool_scales': (1, 2)},
    'SegformerHead': _LEVELS,
    'DepthwiseSeparableASPPHead': _PLAIN
    | {'dilations': (1, 2), 'c1_in_channels': 8, 'c1_channels': 4},
    'NLHead': _PLAIN,
    'GCHead': _PLAIN,
    'DAHead': _PLAIN | {'pam_channels': 4},
    'EncHead': _LEVELS | {'num_codes': 4, 'use_se_loss': False},
    'SegFormerMLPHead': _LEVELS,
}


def test_pidnet_is_trained_on_the_branch_that_predicts():
    head = {
        'type': 'PIDHead',
        'in_channels': 16,
        'channels': 8,
        'num_classes': FCN_HEAD['num_classes'],
        'loss_decode': [{'type': 'CrossEntropyLoss'}] * 4,
    }
    model = tiny_network('MKD', decode_head=head)
    feats = [torch.rand(2, channels, 4, 4) for channels in (8, 16, 8)]
    own = model.student1.decode_head
    recorder = ClassifierInput(own.conv_seg)
    recorder.start()
    output = decode(model.student1, feats)
    torch.testing.assert_close(output.logits, own.conv_seg(recorder.take()))
    assert output.logits is output.outs[0][1]


def test_an_output_is_split_into_images():
    maps = torch.arange(3.0).view(3, 1, 1, 1)
    first, rest = SegOutput([maps], [maps], maps, None).split(1, 2)
    assert first.logits.flatten().tolist() == [0]
    assert rest.feats[0].flatten().tolist() == [1, 2]
    assert rest.feat is None


class TestClassifierInput:
    """The input of ``conv_seg``, against a head that is taken apart."""

    @pytest.mark.parametrize('kind', sorted(CLASSIFIER_HEADS))
    def test_is_the_input_of_the_logits(self, kind):
        torch.manual_seed(0)
        head = MODELS.build(ConfigDict(CLASSIFIER_HEADS[kind], type=kind)).eval()
        recorder = ClassifierInput(head.conv_seg)
        recorder.start()
        logits = head([torch.randn(2, 8, 12, 12), torch.randn(2, 16, 6, 6)])
        logits = logits[0] if isinstance(logits, tuple) else logits
        feat = recorder.take()
        assert not feat.requires_grad
        torch.testing.assert_close(logits, head.conv_seg(feat))

    def test_records_only_between_start_and_take(self):
        conv = torch.nn.Conv2d(1, 1, 1)
        recorder = ClassifierInput(conv)
        conv(torch.ones(1, 1, 2, 2))
        with pytest.raises(RuntimeError, match='does not call its conv_seg'):
            recorder.take()
        recorder.start()
        conv(torch.ones(1, 1, 2, 2))
        conv(torch.zeros(1, 1, 2, 2))
        assert recorder.take().eq(0).all()
        conv(torch.ones(1, 1, 2, 2))
        with pytest.raises(RuntimeError):
            recorder.take()

    def test_of_a_copy_is_its_own(self):
        model = tiny_network('MKD')
        copy = deepcopy(model)
        inputs = batch_of('MKD')[0]['sup']
        with torch.no_grad():
            copy.student1.decode_head.convs[0].conv.weight.mul_(2)
        first = model.eval().forward_network('student1', inputs)
        second = copy.eval().forward_network('student1', inputs)
        for net, output in ((model, first), (copy, second)):
            conv_seg = net.student1.decode_head.conv_seg
            torch.testing.assert_close(output.logits, conv_seg(output.feat))
        assert not torch.equal(first.feat, second.feat)

    def test_no_hook_is_registered_by_a_step(self):
        model = tiny_network('MKD')
        model.progress = 0.5
        hooks = [dict(m._forward_pre_hooks) for m in model.modules()]
        model.loss(*batch_of('MKD'))
        assert [dict(m._forward_pre_hooks) for m in model.modules()] == hooks

    def test_does_not_break_a_compiled_graph(self):
        model = tiny_network('MKD', drop=False).eval()
        inputs = batch_of('MKD')[0]['sup']

        def outputs(img):
            output = model.forward_network('student1', img)
            return output.logits, output.feat

        compiled = torch.compile(outputs, backend='aot_eager', fullgraph=True)
        for _ in range(2):
            for found, expected in zip(compiled(inputs), outputs(inputs)):
                torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ('labels', 'expected'),
    [
        ([0, 1, 2, 255], 3.0),
        ([2, 2, 2, 255], 1.0),
        ([0, 0, 0, 1], 4 / 3**0.75),
        ([255, 255], 0.0),
        ([], 0.0),
    ],
)
def test_num_effective_classes(labels, expected):
    labels = torch.tensor(labels, dtype=torch.int64)
    found = num_effective_classes(labels.view(1, 1, -1), 3)
    assert found.item() == pytest.approx(expected)

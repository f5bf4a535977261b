"""What every semi-supervised segmentor shares."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads import PIDHead, PointHead
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.utils import add_prefix
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ...utils import (
    at_least_float32,
    cutmix_masks,
    require_ops,
    update_ema,
    valid_maps,
)
from .seg_output import IGNORED, Dense, input_of

TEACHER_MODES = ('eval', 'train')
FIRST_STUDENTS = ('student', 'student1')


@MODELS.register_module()
class SemiBaseSegmentor(BaseSegmentor):
    """Students and teachers of one network, on labeled and unlabeled images.

    On its own it trains one student on the labeled images alone: the supervised
    baseline. A method names its ``students`` and its ``pairs`` of a teacher and the
    student that it follows, and overrides :meth:`loss`; the teachers are moved by
    ``MeanTeacherHook``. Every network predicts as mmseg's segmentors do.
    Source: mkd.md, section 12.

    A plain checkpoint of the network fills all students and teachers, and so does the
    (first) student of a method with other names; a checkpoint of students fills their
    teachers. Two students that begin with the same weights see the same images, and
    are told apart by dropout alone; ``init_cfg`` can give each a checkpoint of its own.

    Args:
        segmentor: Config of any mmseg ``EncoderDecoder`` or ``CascadeEncoderDecoder``
            (but ``PointHead``, which learns at points), built once for each network.
            Its ``data_preprocessor`` serves all of them.
        semi_train_cfg: Settings over ``defaults``.
        semi_test_cfg: ``predict_on`` names the network that predicts: a student, a
            teacher, several joined by ``+``, whose probabilities are averaged, or
            ``'ensemble'`` for all students. The first student by default.
        data_preprocessor: Config of a ``MultiBranchDataPreprocessor``, or of the one
            that it is put around; by default that of ``segmentor``.
        init_cfg: As in mmengine. ``dict(type='Pretrained', checkpoint=A,
            override=dict(name='student2', type='Pretrained', checkpoint=B))`` starts
            the second student from another checkpoint than the other networks, and
            its teacher with it.

    Attributes:
        students: Names of the networks that are trained.
        pairs: Student of each teacher.
        defaults: Settings of ``semi_train_cfg`` and their defaults. ``sup_weight`` is
            the weight of every student's supervised loss. ``teacher_mode`` is
            ``'eval'``, or ``'train'`` as in MKD's released code: teachers then see
            batch statistics, and their buffers follow their own forwards.
        progress: Share of the training that is done with this iteration, in (0, 1].

    Raises:
        KeyError: If a setting or a network to predict on is unknown.
        ValueError: If the network has one output channel, or ``teacher_mode`` is none.
    """

    students: ClassVar[tuple[str, ...]] = ('student',)
    pairs: ClassVar[Mapping[str, str]] = {}
    defaults: ClassVar[Mapping[str, Any]] = {'sup_weight': 1.0, 'teacher_mode': 'eval'}

    def __init__(
        self,
        segmentor: dict,
        semi_train_cfg: dict | None = None,
        semi_test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        segmentor = deepcopy(segmentor)
        inner = segmentor.pop('data_preprocessor', None)
        data_preprocessor = data_preprocessor or inner
        given = data_preprocessor if isinstance(data_preprocessor, dict) else {}
        if given and 'data_preprocessor' not in given:
            data_preprocessor = {
                'type': 'MultiBranchDataPreprocessor',
                'data_preprocessor': given,
            }
        _refuse_point_heads(segmentor['decode_head'])
        require_ops(segmentor)
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.train_cfg = self._settings(semi_train_cfg or {})
        for name in (*self.students, *self.pairs):
            self.add_module(name, MODELS.build(deepcopy(segmentor)))
        for teacher in self.pairs:
            self.networks[teacher].requires_grad_(False)
        first = self.networks[self.students[0]]
        if first.out_channels == 1:
            raise ValueError(
                'semi-supervised training needs a score of each class: set '
                'out_channels of the decode head to num_classes, found 1'
            )
        self.num_classes, self.align_corners = first.num_classes, first.align_corners
        self.progress = None
        test_cfg = {'predict_on': self.students[0], **(semi_test_cfg or {})}
        if len(test_cfg) > 1:
            raise KeyError(
                f"semi_test_cfg of {type(self).__name__} has 'predict_on' alone, got "
                f'{sorted(test_cfg)}'
            )
        self.predict_on = test_cfg['predict_on']
        self._register_load_state_dict_pre_hook(self._fill_networks)

    def _settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        unknown = set(given) - set(self.defaults)
        if unknown:
            raise KeyError(
                f'semi_train_cfg of {type(self).__name__} has no {sorted(unknown)}; it '
                f'has {sorted(self.defaults)}'
            )
        settings = {**self.defaults, **given}
        default, cutmix = self.defaults.get('cutmix'), given.get('cutmix')
        if default is not None and cutmix is not None:
            settings['cutmix'] = {**default, **cutmix}
        if settings['teacher_mode'] not in TEACHER_MODES:
            raise ValueError(
                f'semi_train_cfg.teacher_mode must be one of {TEACHER_MODES}, got '
                f'{settings["teacher_mode"]!r}'
            )
        return settings

    @property
    def networks(self) -> dict[str, Any]:
        """Students and teachers by their names."""
        return {name: self._modules[name] for name in (*self.students, *self.pairs)}

    def init_weights(self) -> None:
        """Initialize each student by itself; each teacher begins as its student."""
        super().init_weights()
        for teacher, student in self.pairs.items():
            update_ema(self.networks[teacher], self.networks[student], decay=0)

    def train(self, mode: bool = True) -> 'SemiBaseSegmentor':
        """Switch the students; the teachers stay in eval mode unless told otherwise."""
        super().train(mode)
        if self.train_cfg['teacher_mode'] == 'eval':
            for teacher in self.pairs:
                self.networks[teacher].eval()
        return self

    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Supervised losses of every student, and what the method adds.

        Args:
            inputs: Normalized crops (N, 3, H, W) of each branch.
            data_samples: Data samples of each branch; those of ``sup`` have
                ``gt_sem_seg``.
        """
        self.require_time()
        sup = self.branch(inputs, 'sup')
        losses: dict[str, Tensor] = {}
        for student in self.students:
            dense = self.dense(student, sup)
            losses |= self.supervised_losses(student, dense, data_samples['sup'])
        return losses

    @property
    def progress(self) -> float | None:
        """Share of the training that is done, which ``MeanTeacherHook`` tells."""
        return self._progress

    @progress.setter
    def progress(self, progress: float | None) -> None:
        self._progress = progress
        self._knows_time = progress is not None  # compiled code shall not see shares
        if progress is not None:
            self.follow(progress)

    def follow(self, progress: float) -> None:
        """Move what depends on the share of the training that is done."""

    def require_time(self) -> None:
        """Raise RuntimeError where teachers have no hook that moves them."""
        if self.pairs and not self._knows_time:
            raise RuntimeError(
                f'{type(self).__name__} needs custom_hooks = '
                "[dict(type='MeanTeacherHook', decay=...)], which moves its teachers"
            )

    def branch(self, batch: Mapping[str, Any], name: str) -> Any:
        """The part of a batch that belongs to a branch.

        Raises:
            KeyError: If the batch has no such branch.
        """
        if name not in batch:
            raise KeyError(
                f'{type(self).__name__} needs the branch {name!r}, the batch has '
                f'{sorted(batch)}; see SemiMultiBranch and MultiSourceSampler'
            )
        return batch[name]

    def heads(self, name: str) -> list[Any]:
        """Decode heads of a network, several in a cascade; the last one predicts."""
        head = self.networks[name].decode_head
        return list(head) if isinstance(head, nn.ModuleList) else [head]

    def dense(self, name: str, inputs: Tensor, with_feat: bool = False) -> Dense:
        """Let a network look at images.

        Args:
            name: Name of the network.
            inputs: Normalized images (N, 3, H, W).
            with_feat: Whether the input of ``conv_seg`` is asked for.

        Raises:
            TypeError: If the decode head gives no map of logits.
        """
        net = self.networks[name]
        feats = net.extract_feat(inputs)
        return self.decode(name, feats, with_feat)

    def decode(
        self, name: str, feats: Sequence[Tensor], with_feat: bool = False
    ) -> Dense:
        """Let the decode head of a network look at features."""
        *earlier, head = self.heads(name)
        outs: list[Any] = []
        for stage in earlier:  # each sees what the one before it gave
            outs.append(stage.forward(feats, *outs[-1:]))
        if with_feat:
            with input_of(head.conv_seg) as caught:
                out = head.forward(feats, *outs[-1:])
            feat = caught[-1]
        else:
            out, feat = head.forward(feats, *outs[-1:]), None
        logits = out
        if isinstance(out, tuple):  # with auxiliary maps; PIDHead's own one is second
            logits = out[isinstance(head, PIDHead)]
        if not isinstance(logits, Tensor):
            raise TypeError(
                f'{type(head).__name__} gives no map of logits (N, C, h, w), which '
                'semi-supervised training needs'
            )
        return Dense(feats, [*outs, out], logits, feat)

    def supervised_losses(
        self, name: str, dense: Dense, data_samples: list
    ) -> dict[str, Tensor]:
        """Losses of a network's own heads on the ground truth.

        Args:
            name: Name of the student, which becomes a part of the keys.
            dense: What it made of the labeled images.
            data_samples: Their data samples, with ``gt_sem_seg``.
        """
        net = self.networks[name]
        heads = self.heads(name)
        losses: dict[str, Tensor] = {}
        for i, (head, out) in enumerate(zip(heads, dense.outs)):
            prefix = 'decode' if len(heads) == 1 else f'decode_{i}'
            losses |= add_prefix(head.loss_by_feat(out, data_samples), prefix)
        if net.with_auxiliary_head:
            losses |= net._auxiliary_head_forward_train(dense.feats, data_samples)
        weight = self.train_cfg['sup_weight']
        losses = {k: v * weight if 'loss' in k else v for k, v in losses.items()}
        return add_prefix(losses, f'sup_{name}')

    def ground_truth(self, data_samples: list) -> Tensor:
        """Labels (N, H, W) int64 of labeled images."""
        return torch.cat([sample.gt_sem_seg.data for sample in data_samples]).long()

    def at_crop_size(self, logits: Tensor, inputs: Tensor) -> Tensor:
        """Logits (N, C, H, W) in float32 at the size of the images (bilinear)."""
        return F.interpolate(
            at_least_float32(logits),
            inputs.shape[2:],
            mode='bilinear',
            align_corners=self.align_corners,
        )

    def without_padding(self, label: Tensor, data_samples: list) -> Tensor:
        """A label (N, H, W) that is 255 on padding, unless ``mask_padding`` is off."""
        if not self.train_cfg['mask_padding']:
            return label
        return label.masked_fill(~valid_maps(data_samples, label[:, None]), IGNORED)

    @torch.compiler.disable
    def draw_masks(self, inputs: Tensor, cutmix: Mapping[str, Any] | None) -> Tensor:
        """Masks of CutMix, of a generator that torch's own one seeds.

        Args:
            inputs: Images (N, 3, H, W).
            cutmix: Arguments of :func:`cutmix_masks`, and: ``prob`` (1), with which a
                image is mixed at all; ``box_of`` (``'own'``, or ``'partner'`` as in
                UniMatch), whose pixels are inside the boxes. None for no CutMix.

        Returns:
            Masks (N, 1, H, W), 1 where an image keeps its own pixels.
        """
        num, _, height, width = inputs.shape
        if cutmix is None:
            return inputs.new_ones(num, 1, height, width)
        options = {'prob': 1.0, 'box_of': 'own', **cutmix}
        prob, box_of = options.pop('prob'), options.pop('box_of')
        generator = torch.Generator()
        generator.manual_seed(int(torch.randint(2**62, ())))
        masks = cutmix_masks(num, height, width, generator=generator, **options)
        if box_of == 'partner':
            masks = 1 - masks
        masks[torch.rand(num, generator=generator) >= prob] = 1
        return masks.to(inputs.device)

    @property
    def predict_on(self) -> str:
        """Name of the network that predicts, or names joined by ``+``."""
        return self._predict_on

    @predict_on.setter
    def predict_on(self, names: str) -> None:
        wanted = self.students if names == 'ensemble' else tuple(names.split('+'))
        unknown = set(wanted) - set(self.networks)
        if unknown:
            raise KeyError(
                f'predict_on of {type(self).__name__} knows no {sorted(unknown)}; it '
                f"knows {sorted(self.networks)}, several joined by '+', and 'ensemble'"
            )
        self._predict_on = names
        self._predicting = wanted

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """mmseg's prediction by the networks of ``predict_on``.

        Where there are several, ``seg_logits`` of the result holds the logarithms of
        the mean of their probabilities.
        """
        networks = [self.networks[name] for name in self._predicting]
        if len(networks) == 1:
            return networks[0].predict(inputs, data_samples)
        if data_samples is None:
            metas = [{'ori_shape': inputs.shape[2:], 'img_shape': inputs.shape[2:]}]
            metas *= len(inputs)
        else:
            metas = [sample.metainfo for sample in data_samples]
        probs = [
            at_least_float32(net.inference(inputs, metas)).softmax(1)
            for net in networks
        ]
        mean = torch.stack(probs).mean(0)
        results = networks[0].postprocess_result(mean, data_samples)
        for sample in results:  # so that their softmax is the mean again, as TTA does
            prob = sample.seg_logits.data
            tiny = torch.finfo(prob.dtype).tiny
            sample.seg_logits.data = prob.clamp(min=tiny).log()
        return results

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Features of the (first) network that predicts."""
        return self.networks[self._predicting[0]].extract_feat(inputs)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logits (N, C, H, W) of the (first) network that predicts."""
        return self.networks[self._predicting[0]].encode_decode(inputs, batch_img_metas)

    def _forward(self, inputs: Tensor, data_samples: list | None = None) -> Tensor:
        return self.networks[self._predicting[0]]._forward(inputs, data_samples)

    def _fill_networks(self, state: dict, prefix: str, *_: Any) -> None:
        """Give every network of ``state``'s weights, before they are loaded."""
        found = [key for key in state if key.startswith(prefix)]
        stems = {key[len(prefix) :].split('.')[0] for key in found}
        if not stems & set(self.networks):
            # Plain, or of a method with other names for its students.
            student = next((f'{n}.' for n in FIRST_STUDENTS if n in stems), '')
            sources = dict.fromkeys(self.networks, prefix + student)
        else:
            sources = {
                teacher: f'{prefix}{student}.'
                for teacher, student in self.pairs.items()
                if teacher not in stems and student in stems
            }
        for name, source in sources.items():
            for key in found:
                if key.startswith(source):
                    state[f'{prefix}{name}.{key[len(source) :]}'] = state[key]
        if set(sources) == set(self.networks):
            for key in found:
                del state[key]


def _refuse_point_heads(decode_head: dict | list[dict]) -> None:
    """Raise TypeError if a decode head predicts points instead of a map of logits."""
    heads = decode_head if isinstance(decode_head, list) else [decode_head]
    for head in heads:
        if issubclass(MODELS.get(head['type']), PointHead):
            raise TypeError(
                f'{head["type"]} predicts points instead of a map of logits, which '
                'semi-supervised training needs; leave it out of the cascade'
            )

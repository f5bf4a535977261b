"""Mutual knowledge distillation between two students and their teachers."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ...losses import valid_cross_entropy
from ...utils import ImplicitSemanticAugmentation, at_least_float32, mix, valid_maps
from .seg_output import IGNORED, Dense, effective_classes, resized_labels
from .semi_base import SemiBaseSegmentor

# Teacher and student that teach each student: those of the other branch.
OTHERS = {'student1': ('teacher2', 'student2'), 'student2': ('teacher1', 'student1')}
NETWORKS = ('student1', 'student2', 'teacher1', 'teacher2')
SCHEDULES = ('cosine', 'line')
TARGETS = ('shifted', 'raw')


@MODELS.register_module()
class MKD(SemiBaseSegmentor):
    """Two students, each taught by the other one and by its teacher (mkd.md).

    ``L = L_sup + teacher_weight * L_st + student_weight * L_ss``: the labels of L_st
    are those of the other branch's teacher, the labels of L_ss those of the other
    student. Students see CutMix-ed strong views; what the teachers say of the weak
    views is mixed by the same masks. Before that, the logits of all four networks get
    the offset of :class:`ImplicitSemanticAugmentation`.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`SemiBaseSegmentor`; ``semi_train_cfg`` knows

            * ``teacher_weight``, ``student_weight``: weights of L_st and L_ss.
            * ``pseudo_thr_teacher``, ``pseudo_thr_student``: labels of which the
              highest probability (without offset) is lower are left out; 0.95 for
              teachers in the paper, 0 in the released code.
            * ``loss_scale_factor``: size of the maps of L_st and L_ss, relative to
              that of the head's logits.
            * ``semi_on_labeled``: whether labeled images take part in L_st, L_ss and
              the statistics of the offset.
            * ``mask_padding``: whether padding, and labeled pixels without ground
              truth, are left out of L_st, L_ss and the statistics (quirk 6).
            * ``targets_from``: ``'shifted'`` or ``'raw'`` logits (quirk 8).
            * ``isda``: ``end_ratio``; ``schedule``, ``'cosine'`` or ``'line'``; ``on``,
              the networks with an offset (teachers only where their labels are of
              shifted logits); ``max_count``, pixels that a class remembers (Q10). None
              switches it off.
            * ``cutmix``: arguments of :meth:`draw_masks`; None switches it off.
            * ``concat_forward``: whether a student, and a teacher in train mode, sees
              labeled and unlabeled images in one batch: faster, with common batch
              statistics (quirk 20).

    Raises:
        KeyError: If a setting is unknown.
        ValueError: If a setting has no meaning, or if the offset is asked for and
            ``conv_seg`` of the decode head is no 1 x 1 convolution.
    """

    students = ('student1', 'student2')
    pairs: ClassVar[Mapping[str, str]] = {
        'teacher1': 'student1',
        'teacher2': 'student2',
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        **SemiBaseSegmentor.defaults,
        'teacher_weight': 1.5,
        'student_weight': 1.0,
        'pseudo_thr_teacher': 0.0,
        'pseudo_thr_student': 0.0,
        'loss_scale_factor': 0.5,
        'semi_on_labeled': True,
        'mask_padding': True,
        'targets_from': 'shifted',
        'isda': {
            'end_ratio': 1.5,
            'schedule': 'cosine',
            'on': NETWORKS,
            'max_count': None,
        },
        'cutmix': {'num_boxes': 3, 'prop_range': (0.25, 0.5)},
        'concat_forward': False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.train_cfg['targets_from'] not in TARGETS:
            raise ValueError(
                f'semi_train_cfg.targets_from must be one of {TARGETS}, got '
                f'{self.train_cfg["targets_from"]!r}'
            )
        self.isda_cfg = self._isda_settings(self.train_cfg['isda'])
        self.isda = nn.ModuleDict(
            {name: self._estimator(name) for name in self.isda_cfg['on']}
        )
        self.register_buffer('isda_ratio', torch.zeros(()), persistent=False)

    def _isda_settings(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        default = self.defaults['isda']
        if given is None:
            return {**default, 'on': (), 'end_ratio': 0.0}
        unknown = set(given) - set(default)
        settings = {**default, **given}
        if unknown or settings['schedule'] not in SCHEDULES:
            raise ValueError(
                f'semi_train_cfg.isda has the keys {sorted(default)}, schedule one of '
                f'{SCHEDULES}; got {dict(given)}'
            )
        if not set(settings['on']) <= set(NETWORKS):
            raise ValueError(
                f'semi_train_cfg.isda.on must be out of {NETWORKS}, got '
                f'{settings["on"]}'
            )
        if self.train_cfg['targets_from'] == 'raw':  # a teacher's offset has no use
            settings['on'] = [name for name in settings['on'] if name in self.students]
        return settings

    def _estimator(self, name: str) -> ImplicitSemanticAugmentation:
        head = self.heads(name)[-1]
        conv = getattr(head, 'conv_seg', None)
        if not isinstance(conv, nn.Conv2d) or conv.kernel_size != (1, 1):
            raise ValueError(
                'isda needs a decode head with a 1 x 1 convolution conv_seg, got '
                f'{conv} in {type(head).__name__}; set semi_train_cfg.isda = None'
            )
        return ImplicitSemanticAugmentation(
            conv.out_channels, conv.in_channels, max_count=self.isda_cfg['max_count']
        )

    def follow(self, progress: float) -> None:
        """Move the offset's ratio along its schedule."""
        end, schedule = self.isda_cfg['end_ratio'], self.isda_cfg['schedule']
        self.isda_ratio.fill_(end * ramp(progress, schedule))

    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Losses of both students.

        Args:
            inputs: Crops (N, 3, H, W) of the branches ``sup``, ``unsup_weak`` and
                ``unsup_strong``, all of one size.
            data_samples: Their data samples.

        Raises:
            RuntimeError: If no ``MeanTeacherHook`` tells the time.
        """
        self.require_time()
        sup, weak, strong = (
            self.branch(inputs, name) for name in ('sup', 'unsup_weak', 'unsup_strong')
        )
        mask = self.draw_masks(strong, self.train_cfg['cutmix'])
        mixed = mix(strong, mask)
        losses: dict[str, Tensor] = {}
        maps = {}
        for student in self.students:
            labeled, unlabeled = self.look(student, sup, mixed)
            losses |= self.supervised_losses(student, labeled, data_samples['sup'])
            maps[student] = self.maps([labeled, unlabeled])
        with torch.no_grad():
            for teacher in self.pairs:
                parts = self.look(teacher, sup, weak)
                maps[teacher] = self.maps([*parts[:-1], parts[-1].mixed(mask)])
        truth, known = self.pixels(inputs, data_samples, mask, maps['student1'][0])
        return (
            losses
            | self.mutual_losses(maps, truth, known)
            | {'ratio_mixed': 1 - mask.mean()}
        )

    def look(self, name: str, sup: Tensor, unlabeled: Tensor) -> list[Dense]:
        """What a network makes of the labeled images, where they are needed, and of
        the unlabeled ones."""
        with_feat = name in self.isda
        if name in self.pairs and not self.train_cfg['semi_on_labeled']:
            return [self.dense(name, unlabeled, with_feat)]
        # One batch or two makes no difference to a network in eval mode.
        if self.train_cfg['concat_forward'] or not self.networks[name].training:
            both = self.dense(name, torch.cat([sup, unlabeled]), with_feat)
            return both.split(len(sup))
        return [self.dense(name, part, with_feat) for part in (sup, unlabeled)]

    def maps(self, parts: list[Dense]) -> tuple[Tensor, Tensor | None]:
        """Logits (N, C, h, w) and features (N, A, h, w) at the losses' resolution, the
        labeled images first where they take part."""
        parts = parts if self.train_cfg['semi_on_labeled'] else parts[-1:]
        logits = torch.cat([part.logits for part in parts])
        feats = [part.feat.detach() for part in parts if part.feat is not None]
        return self.rescale(logits), self.rescale(torch.cat(feats)) if feats else None

    def rescale(self, maps: Tensor) -> Tensor:
        """Maps in float32 at the resolution of the losses."""
        factor = self.train_cfg['loss_scale_factor']
        size = [max(int(side * factor), 1) for side in maps.shape[2:]]
        return F.interpolate(
            at_least_float32(maps), size, mode='bilinear', align_corners=False
        )

    def pixels(
        self,
        inputs: dict[str, Tensor],
        data_samples: dict[str, list],
        mask: Tensor,
        logits: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Ground truth (N_l, h, w), and pixels (N, h, w) bool that are trained on.

        Both are at the size of ``logits`` (N, C, h, w), and leave out the labeled
        images where they take no part.
        """
        size = logits.shape[2:]
        mixed = mix(valid_maps(data_samples['unsup_weak'], inputs['unsup_weak']), mask)
        known = [resized_labels(mixed, size)]
        truth = resized_labels(self.ground_truth(data_samples['sup']), size)
        if self.train_cfg['semi_on_labeled']:
            known.insert(0, truth != IGNORED)
        else:
            truth = truth[:0]
        pixels = torch.cat(known)
        if not self.train_cfg['mask_padding']:
            pixels = torch.ones_like(pixels)
        return truth, pixels

    def mutual_losses(
        self,
        maps: dict[str, tuple[Tensor, Tensor | None]],
        truth: Tensor,
        known: Tensor,
    ) -> dict[str, Tensor]:
        """L_st and L_ss of both students (mkd.md, section 6).

        Args:
            maps: Logits and features of each network, see :meth:`maps`.
            truth: Ground truth (N_l, h, w) of the first N_l images.
            known: Pixels (N, h, w) bool that are trained on.
        """
        cfg = self.train_cfg
        logits, targets, losses = {}, {}, {}
        for name, (raw, feat) in maps.items():
            logits[name] = self.shifted(name, raw, feat, truth, known)
            targets[name] = self.targets(name, raw.detach(), logits[name], known)
        for key, weight in (('st', 'teacher_weight'), ('ss', 'student_weight')):
            terms = [
                valid_cross_entropy(logits[student], targets[others[key == 'ss']])
                for student, others in OTHERS.items()
            ]
            losses[f'loss_{key}'] = cfg[weight] * sum(terms)
        count = known.sum().clamp(min=1)
        shares = [(targets[name] != IGNORED).sum() / count for name in self.pairs]
        labels = torch.cat([targets[name] for name in self.pairs])
        return losses | {
            'ratio_confident': sum(shares) / 2,
            'classes': effective_classes(labels, self.num_classes),
            'isda': self.isda_ratio,
        }

    def shifted(
        self,
        name: str,
        logits: Tensor,
        feat: Tensor | None,
        truth: Tensor,
        known: Tensor,
    ) -> Tensor:
        """Logits with the offset of a network's estimator, which is updated first."""
        if feat is None:
            return logits
        own = logits[len(truth) :].argmax(1)
        own = own.masked_fill(~known[len(truth) :], IGNORED)
        isda: Any = self.isda[name]
        weight = self.heads(name)[-1].conv_seg.weight.flatten(1)
        offsets = []
        for part, label in zip(feat.split([len(truth), len(own)]), (truth, own)):
            isda.update(part.permute(0, 2, 3, 1).flatten(0, 2), label.flatten())
            offset = isda.shift(weight, label.flatten(), self.isda_ratio)
            offsets.append(
                offset.view(*label.shape, logits.shape[1]).permute(0, 3, 1, 2)
            )
        return logits + torch.cat(offsets)

    @torch.no_grad()
    def targets(self, name: str, raw: Tensor, shifted: Tensor, known: Tensor) -> Tensor:
        """Hard labels (N, h, w) int64 of a network, 255 where none is to be learned.

        Args:
            name: Name of the network.
            raw: Logits (N, C, h, w) without offset, which the confidence is of.
            shifted: Logits with it.
            known: Pixels (N, h, w) that may have a label.
        """
        label = (
            shifted if self.train_cfg['targets_from'] == 'shifted' else raw
        ).argmax(1)
        kind = 'teacher' if name in self.pairs else 'student'
        confident = raw.softmax(1).amax(1) >= self.train_cfg[f'pseudo_thr_{kind}']
        return label.masked_fill(~(known & confident), IGNORED)


def ramp(progress: float, schedule: str) -> float:
    """Rise from 0 to 1, ``schedule`` being ``'cosine'`` or ``'line'`` (section 7)."""
    if schedule == 'line':
        return progress
    return (1 - math.cos(math.pi * progress)) / 2

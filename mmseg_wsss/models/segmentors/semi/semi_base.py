"""Base class of the semi-supervised segmentors."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar

import torch
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.utils import add_prefix
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import read_settings

from ...data_preprocessor import with_branches
from ...utils import Phase, check_unused, resize, update_ema
from .parts.checkpoint_filling import fill_networks
from .parts.ensemble import networks_of, predict
from .parts.seg_output import SegOutput, build_network, decode, supervised_losses
from .parts.settings import SemiSettings, SemiTestSettings
from .parts.tag_classifier import classification_loss, surely_absent
from .parts.tag_constraint import TagConstraint


class SemiBaseSegmentor(BaseSegmentor):
    """Base class of the methods: students and teachers of one structure.

    A method names its networks and branches, declares its settings, and implements
    :meth:`loss`. ``MeanTeacherHook`` updates the teachers after each step. A plain
    checkpoint of the network, or one of another method, fills every network; a
    checkpoint of students fills their teachers. Two students with equal weights differ
    by dropout only.

    Args:
        segmentor: Config of an mmseg ``EncoderDecoder`` or ``CascadeEncoderDecoder``
            (without ``PointHead``), built once for each network.
        semi_train_cfg: Settings of the class ``train_settings``.
        semi_test_cfg: See :class:`SemiTestSettings`.
        data_preprocessor: Config of a ``MultiBranchDataPreprocessor``, or of the
            preprocessor inside it; by default the one of ``segmentor``.
        init_cfg: As in MMEngine. ``dict(type='Pretrained', checkpoint=A,
            override=dict(name='student2', type='Pretrained', checkpoint=B))`` loads
            another checkpoint for the second student and its teacher.
        cam_head: Config of a ``CAMHead`` on the features of the first student, trained
            on all image tags, for prediction filtering and the fusion with CAMs; none
            by default. Its losses ``loss_cls`` have the weight 1 whatever
            ``sup_weight``.
        train_cfg, pretrained: None; mmseg's ``init_model`` sets them.
        decode_head: Type of the decode head, for mmseg's ``get_flops.py``.

    Attributes:
        students: Names of the networks that are trained.
        pairs: Student of each teacher.
        branches: Names of the branches of a training batch.
        train_settings: Dataclass of ``semi_train_cfg``.
        progress: Ratio of finished iterations, this one included, in (0, 1].

    Raises:
        KeyError: If a setting or a network in ``predict_on`` is unknown.
        TypeError: If a setting has a wrong type or a decode head predicts points.
        ValueError: If a setting is out of range or the network has one output channel.
    """

    students: ClassVar[tuple[str, ...]] = ('student',)
    pairs: ClassVar[Mapping[str, str]] = {}
    branches: ClassVar[tuple[str, ...]] = ('sup',)
    train_settings: ClassVar[type[SemiSettings]] = SemiSettings
    train_cfg: Any
    progress = Phase("dict(type='MeanTeacherHook', decay=...)", lambda m: bool(m.pairs))

    def __init__(
        self,
        segmentor: dict,
        semi_train_cfg: dict | None = None,
        semi_test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        cam_head: dict | None = None,
        train_cfg: None = None,
        pretrained: None = None,
        decode_head: dict | None = None,
    ) -> None:
        if train_cfg:
            raise ValueError(
                f'train_cfg={train_cfg} has no effect; set semi_train_cfg, or '
                'segmentor.train_cfg'
            )
        check_unused(pretrained, decode_head, 'segmentor.decode_head')
        segmentor = deepcopy(segmentor)
        inner = segmentor.pop('data_preprocessor', None)
        data_preprocessor = with_branches(data_preprocessor or inner)
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.train_cfg = read_settings(
            self.train_settings, semi_train_cfg, 'semi_train_cfg'
        )
        for name in ('concat_forward', 'cam_fusion'):
            if len(self.branches) == 1 and getattr(self.train_cfg, name):
                raise ValueError(
                    f'{type(self).__name__} processes no unlabeled images: remove '
                    f'semi_train_cfg.{name}'
                )
        if not self.pairs and self.train_cfg.teacher_mode != 'eval':
            raise ValueError(
                f'{type(self).__name__} has no teacher: remove '
                'semi_train_cfg.teacher_mode'
            )
        unused = self.train_cfg.tag_filter and not self.train_cfg.class_aware_ce
        if len(self.branches) == 1 and unused:
            raise ValueError(
                f'{type(self).__name__} makes no pseudo-labels: remove '
                'semi_train_cfg.tag_filter, or set class_aware_ce=True'
            )
        for name in (*self.students, *self.pairs):
            self.add_module(name, build_network(segmentor))
        for teacher in self.pairs:
            self.networks[teacher].requires_grad_(False)
        first = self.networks[self.students[0]]
        self.num_classes, self.align_corners = first.num_classes, first.align_corners
        test_cfg = read_settings(SemiTestSettings, semi_test_cfg, 'semi_test_cfg')
        self.predict_on = test_cfg.predict_on or self.students[0]
        self.prediction_filter = test_cfg.prediction_filter
        self.cam_head = MODELS.build(cam_head) if cam_head else None
        if self.prediction_filter and not self.cam_head:
            raise ValueError('semi_test_cfg.prediction_filter needs model.cam_head')
        if self.train_cfg.cam_fusion and not self.cam_head:
            raise ValueError('semi_train_cfg.cam_fusion needs model.cam_head')

    @property
    def networks(self) -> dict[str, Any]:
        """Students and teachers by their names."""
        return {name: self._modules[name] for name in (*self.students, *self.pairs)}

    @property
    def one_crop_size(self) -> bool:
        """Whether the crops of all branches need one size."""
        return self.train_cfg.concat_forward

    @property
    def average_buffers(self) -> bool:
        """Whether ``MeanTeacherHook`` updates the buffers of the teachers, too."""
        return self.train_cfg.teacher_mode == 'eval'

    def init_weights(self) -> None:
        """Initialize every student independently, and copy it to its teacher."""
        super().init_weights()
        for teacher, student in self.pairs.items():
            update_ema(self.networks[teacher], self.networks[student], decay=0)

    def train(self, mode: bool = True) -> 'SemiBaseSegmentor':
        """Set the mode of the students; teachers stay in eval mode by default."""
        super().train(mode)
        if self.train_cfg.teacher_mode == 'eval':
            for teacher in self.pairs:
                self.networks[teacher].eval()
        return self

    def split_branches(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the images of each of ``branches``.

        Raises:
            KeyError: If the batch lacks one of them.
        """
        for name in self.branches:
            if name not in inputs:
                raise KeyError(
                    f'{type(self).__name__} needs the branch {name!r}, the batch has '
                    f'{sorted(inputs)}; see SemiMultiBranch and MultiSourceSampler'
                )
        return [inputs[name] for name in self.branches]

    def forward_network(self, name: str, inputs: Tensor) -> SegOutput:
        """Compute the output of a network for images (N, 3, H, W).

        Raises:
            RuntimeError: If it is a teacher that no hook updates.
        """
        if name in self.pairs:
            type(self).progress.require(self)
        net = self.networks[name]
        return decode(net, net.extract_feat(inputs))

    def forward_logits(self, name: str, inputs: Tensor) -> Tensor:
        """Compute logits (N, C, H, W) of a network at the size of its images."""
        return self.resize_to(inputs, self.forward_network(name, inputs).logits)

    def forward_views(self, name: str, *views: Tensor) -> Iterator[SegOutput]:
        """Compute the outputs of a network for several views, one after the other.

        Args:
            name: Name of the network.
            *views: Images (N, 3, H, W) of each view.

        Yields:
            Outputs of each view, computed when they are needed. With
            ``concat_forward``, and in eval mode, where the outputs are the same, all
            views are computed in one batch.
        """
        if self.train_cfg.concat_forward or not self.networks[name].training:
            output = self.forward_network(name, torch.cat(views))
            yield from output.split(*map(len, views))
        else:
            for view in views:
                yield self.forward_network(name, view)

    def resize_to(self, inputs: Tensor, logits: Tensor) -> Tensor:
        """Resize logits to the size of images (N, 3, H, W), in float32."""
        return resize(logits, inputs.shape[2:], self.align_corners)

    def supervised_losses(
        self, name: str, output: SegOutput, data_samples: list
    ) -> dict[str, Tensor]:
        """Compute the losses of a student's own heads on the ground truth.

        Args:
            name: Name of the student, which becomes a part of the keys.
            output: Its output for the labeled images.
            data_samples: Their data samples, with ``gt_sem_seg``.
        """
        tags = TagConstraint.of(self, data_samples)
        net = self.networks[name]
        losses = supervised_losses(net, output, data_samples, tags.for_head_loss)
        weight = self.train_cfg.sup_weight
        losses = {k: v * weight if 'loss' in k else v for k, v in losses.items()}
        if self.cam_head is not None and name == self.students[0]:
            losses['loss_cls'] = classification_loss(self, output.feats, data_samples)
        return add_prefix(losses, f'sup_{name}')

    def ground_truth(self, data_samples: list) -> Tensor:
        """Return the labels (N, H, W) int64 of labeled images."""
        return torch.cat([sample.gt_sem_seg.data for sample in data_samples]).long()

    @property
    def predict_on(self) -> str:
        """Name of the network that predicts, see :class:`SemiTestSettings`."""
        return self._predict_on

    @predict_on.setter
    def predict_on(self, value: str) -> None:
        self._predicting = networks_of(value, self.students, self.networks)
        self._predict_on = value

    @property
    def decode_head(self) -> Any:
        """Decode head of the (first) network that predicts."""
        return self.networks[self._predicting[0]].decode_head

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """Predict as mmseg's segmentors do, by the networks of ``predict_on``."""
        networks = [self.networks[name] for name in self._predicting]
        return predict(networks, inputs, data_samples, surely_absent(self, inputs))

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Compute the feature maps of the (first) network that predicts."""
        return self.networks[self._predicting[0]].extract_feat(inputs)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Compute logits (N, C, H, W) of the (first) network that predicts."""
        return self.networks[self._predicting[0]].encode_decode(inputs, batch_img_metas)

    def _forward(self, inputs: Tensor, data_samples: list | None = None) -> Tensor:
        return self.networks[self._predicting[0]]._forward(inputs, data_samples)

    def _load_from_state_dict(self, state: dict, prefix: str, *args: Any) -> None:
        fill_networks(state, prefix, self.students, self.pairs)
        super()._load_from_state_dict(state, prefix, *args)

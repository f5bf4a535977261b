from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor

from mmseg_wsss.registry import MODELS


@MODELS.register_module()
class MultiBranchDataPreprocessor(BaseDataPreprocessor):
    """Data preprocessor for batches with several branches (``SemiMultiBranch``).

    Args:
        data_preprocessor: Config of the preprocessor that is applied to each branch,
            e.g. ``SegDataPreProcessor``, and to whole batches outside training.
    """

    def __init__(self, data_preprocessor: dict) -> None:
        super().__init__()
        self.data_preprocessor = MODELS.build(data_preprocessor)

    def forward(self, data: dict, training: bool = False) -> Any:
        """Group a collated batch by branches and preprocess each of them.

        Args:
            data: In training, ``inputs`` and ``data_samples``, each a dict from
                branches to lists, with None for images that lack a branch.
            training: Whether this is a training batch.

        Returns:
            ``inputs``, a dict of tensors (N, 3, H, W), and ``data_samples``, a dict of
            lists of N data samples; N differs by branch, and branches without any
            image are omitted. Outside training, the output of the inner preprocessor.

        Raises:
            TypeError: If a training batch has no branches.
        """
        if not training:
            return self.data_preprocessor(data, training)
        if not isinstance(data['inputs'], Mapping):
            raise TypeError(
                'MultiBranchDataPreprocessor needs a training batch with branches, got '
                f'inputs of type {type(data["inputs"]).__name__}; end the training '
                'pipelines with SemiMultiBranch'
            )
        batch: dict = {'inputs': {}, 'data_samples': {}}
        for branch, inputs in data['inputs'].items():
            present = [i for i, img in enumerate(inputs) if img is not None]
            if not present:
                continue
            part = {key: [data[key][branch][i] for i in present] for key in batch}
            prepared = self.data_preprocessor(part, training)
            for key in batch:
                batch[key][branch] = prepared[key]
        return batch

    @property
    def device(self) -> torch.device:
        """Device of the preprocessed batches."""
        return self.data_preprocessor.device

    def to(self, *args: Any, **kwargs: Any) -> 'MultiBranchDataPreprocessor':
        """Move to a device, see :meth:`torch.nn.Module.to`."""
        self.data_preprocessor.to(*args, **kwargs)
        return super().to(*args, **kwargs)

    def cuda(self, *args: Any, **kwargs: Any) -> 'MultiBranchDataPreprocessor':
        """Move to the current GPU."""
        self.data_preprocessor.cuda(*args, **kwargs)
        return super().cuda(*args, **kwargs)

    def cpu(self, *args: Any, **kwargs: Any) -> 'MultiBranchDataPreprocessor':
        """Move to the CPU."""
        self.data_preprocessor.cpu(*args, **kwargs)
        return super().cpu(*args, **kwargs)


def with_branches(preprocessor: Any) -> Any:
    """Wrap the config of a preprocessor of plain batches for batches with branches.

    Args:
        preprocessor: Config of any preprocessor. A preprocessor, None and a config of
            ``MultiBranchDataPreprocessor`` are returned unchanged.
    """
    wrapped = not isinstance(preprocessor, dict) or 'data_preprocessor' in preprocessor
    if wrapped or not preprocessor:
        return preprocessor
    return {
        'type': 'MultiBranchDataPreprocessor',
        'data_preprocessor': preprocessor,
    }

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor

from mmseg_wsss.registry import MODELS


@MODELS.register_module()
class MultiBranchDataPreprocessor(BaseDataPreprocessor):
    """A data preprocessor for each branch of ``SemiMultiBranch`` in turn.

    Args:
        data_preprocessor: Config of the preprocessor, e.g. ``SegDataPreProcessor``.
            Outside training it alone is at work.
    """

    def __init__(self, data_preprocessor: dict) -> None:
        super().__init__()
        self.data_preprocessor = MODELS.build(data_preprocessor)

    def forward(self, data: dict, training: bool = False) -> Any:
        """Regroup a collated batch by branches and prepare each.

        Args:
            data: While training, ``inputs`` and ``data_samples``, each a dict of lists
                with None where an image lacks the branch.
            training: Whether this is a training batch.

        Returns:
            ``inputs``, a dict of tensors (N, 3, H, W), and ``data_samples``, a dict of
            lists of N data samples, N of the branch; branches without any image are
            left out. Outside training what the inner preprocessor returns.

        Raises:
            TypeError: A training batch without branches.
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
        """Device that batches are moved to."""
        return self.data_preprocessor.device

    def to(self, *args: Any, **kwargs: Any) -> 'MultiBranchDataPreprocessor':
        """Move to a device, as any module."""
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

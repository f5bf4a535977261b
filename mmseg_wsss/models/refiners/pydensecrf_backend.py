"""Dense CRF by pydensecrf2 (C++, CPU), one image per process."""

import importlib.util
import os
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .crf_guide import PairwiseTerm


def infer_image(
    img: np.ndarray,
    score: np.ndarray,
    terms: tuple[PairwiseTerm, ...],
    num_iters: int,
) -> np.ndarray:
    """Compute the marginals (C, H, W) of one problem.

    Args:
        img: RGB image (H, W, 3), uint8.
        score: Negative unary energies (C, H, W), float32.
        terms: Pairwise terms.
        num_iters: Mean-field updates.
    """
    import pydensecrf.densecrf as dcrf

    labels, height, width = score.shape
    crf = dcrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(np.ascontiguousarray(-score.reshape(labels, -1)))
    for term in terms:
        if term.compat == 0:
            continue
        if term.srgb is None:
            crf.addPairwiseGaussian(sxy=term.sxy, compat=term.compat)
        else:
            crf.addPairwiseBilateral(
                sxy=term.sxy, srgb=term.srgb, rgbim=img, compat=term.compat
            )
    marginals = np.array(crf.inference(num_iters), dtype=np.float32)
    return marginals.reshape(score.shape)


def _end_with_parent() -> None:
    """End a worker if its parent is killed, which would leave the worker running."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


class PyDenseCRFPool:
    """Pool of ``num_workers`` processes that solve CRFs, started at the first call.

    Args:
        num_workers: Number of processes; 0 runs in the calling process.

    Raises:
        ImportError: If pydensecrf2 is not installed.
    """

    def __init__(self, num_workers: int) -> None:
        if importlib.util.find_spec('pydensecrf') is None:
            raise ImportError(
                "backend='pydensecrf' needs the package pydensecrf2 (version 1.1), "
                "which is not installed: pip install 'mmseg_wsss[crf]', or use "
                "backend='torch'"
            )
        self.num_workers = num_workers
        self._executor: Executor | None = None

    def __call__(
        self,
        img: Tensor,
        score: Tensor,
        class_mask: Tensor,
        terms: tuple[PairwiseTerm, ...],
        num_iters: int,
    ) -> Tensor:
        """Compute marginals (N, G, C, H, W) of the labels in ``class_mask`` (N, C).

        Raises:
            RuntimeError: If a worker process died.
        """
        images = img.permute(0, 2, 3, 1).to('cpu', torch.uint8).contiguous().numpy()
        out = torch.zeros_like(score, device='cpu')
        places, tasks = [], []
        for n, exists in enumerate(class_mask.cpu()):
            for g in range(score.shape[1] if exists.any() else 0):
                places.append((n, g, exists))
                maps = score[n, g].cpu()[exists].numpy()
                tasks.append((images[n], maps, terms, num_iters))
        for (n, g, exists), marginals in zip(places, self._map(tasks)):
            out[n, g, exists] = torch.from_numpy(marginals)
        return out.to(score.device)

    def _map(self, tasks: list[tuple[Any, ...]]) -> list[np.ndarray]:
        if self.num_workers == 0:
            return [infer_image(*task) for task in tasks]
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self.num_workers,
                mp_context=get_context('spawn'),
                initializer=_end_with_parent,
            )
        try:
            return list(self._executor.map(infer_image, *zip(*tasks)))
        except BrokenProcessPool as error:
            self.close()
            raise RuntimeError(
                'a worker process of DenseCRF died (a script that starts processes '
                "needs an `if __name__ == '__main__'` guard)"
            ) from error

    def close(self) -> None:
        """End the processes; a later call starts new ones."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_executor': None}

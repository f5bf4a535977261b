"""Where the time of an ASDT step goes, and multi-scale CAM against a naive loop.

    python benchmarks/asdt_step.py

MobileNetV2 with random weights, batch 8 at 225 pixels, random images with two tags
each. The naive CAM runs one full forward pass, decoder included, for each image, scale
and flipped copy. In training, which uses no flipped copies, our CAM reuses the features
at scale 1. Every figure is the fastest of ``--repeats`` runs; variants take turns.
Prints a table and writes ``benchmarks/results/asdt_step.json``.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import LabelData
from mmseg.structures import SegDataSample
from rich.console import Console
from rich.table import Table
from timing import add_device, fastest, to_device
from torch import Tensor

from mmseg_wsss import config_path
from mmseg_wsss.models.cam import MultiScaleCAM
from mmseg_wsss.models.segmentors import ASDT
from mmseg_wsss.models.segmentors.weak import denormalize, stack_tags
from mmseg_wsss.pipelines.measure import machine
from mmseg_wsss.registry import MODELS

CONFIG = config_path('asdt/asdt_mobilenet-v2_1xb8-600_wsss-voc-mini-225.py')
RESULT = Path(__file__).parent / 'results' / 'asdt_step.json'
SCALES = (1.0, 0.5, 1.5)


def build() -> ASDT:
    init_default_scope('mmseg')
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    return model.train()


def batch(num: int = 8, size: int = 225) -> tuple[Tensor, list[SegDataSample]]:
    """Return smooth random images with two tags each."""
    rng = torch.Generator().manual_seed(0)
    inputs = F.interpolate(
        torch.randn(num, 3, 12, 12, generator=rng), (size, size), mode='bilinear'
    )
    samples = []
    for i in range(num):
        label = torch.zeros(20)
        label[[i % 20, (i + 7) % 20]] = 1
        sample = SegDataSample(metainfo={'img_shape': (size, size)})
        sample.gt_tags = LabelData(label=label)
        samples.append(sample)
    return inputs, samples


@torch.no_grad()
def naive_cam(
    model: ASDT, inputs: Tensor, flip: bool, scales: Sequence[float] = SCALES
) -> Tensor:
    """Compute CAMs by a full forward pass per image, scale (1 first) and flip."""
    model.eval()
    results = []
    for img in inputs:
        maps = []
        for scale in scales:
            size = [int(side * scale) for side in img.shape[1:]]
            view = F.interpolate(img[None], size, mode='bilinear')
            for flipped in (False, True)[: 1 + flip]:
                feats = model.extract_feat(view.flip(-1) if flipped else view)
                model.decode_head(feats)
                model.teacher_head(feats)
                cam = model.cam_head.cam(feats)
                cam = cam.flip(-1) if flipped else cam
                size = cam.shape[2:] if not maps else maps[0].shape[2:]
                maps.append(F.interpolate(cam, size, mode='bilinear'))
        results.append(torch.stack(maps).mean(0))
    model.train()
    return torch.cat(results)


def wall(calls: dict[str, Callable[[], object]], args: argparse.Namespace) -> dict:
    """Return the seconds of the fastest run of each call."""
    best = fastest(calls, args.device, args.repeats)
    return {name: took['wall'] for name, took in best.items()}


def parts(model: ASDT, args: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of the parts of a step, each run on its own."""
    inputs, samples = to_device(batch(), args.device)
    tags = stack_tags(samples)
    img = denormalize(inputs, model.data_preprocessor)
    with torch.no_grad():
        cam = torch.rand(8, 20, *inputs.shape[2:]).to(inputs) * tags[:, :, None, None]
        label, _ = model.labeler(cam, tags, img)
    logits = [
        torch.randn(8, 21, *inputs.shape[2:]).to(inputs).requires_grad_()
        for _ in range(2)
    ]
    prob = logits[0].detach().softmax(1)

    def step(high: bool) -> None:
        model.warmup, model.pwm_high = False, high
        loss, _ = model.parse_losses(model.loss(inputs, samples))
        loss.backward()
        model.zero_grad()

    def features() -> None:
        model.extract_feat(inputs)[-1].sum().backward()
        model.zero_grad()

    feats = [feat.detach().requires_grad_() for feat in model.extract_feat(inputs)]

    def decoders() -> None:
        heads = model.decode_head, model.teacher_head
        sum(head(feats).sum() for head in heads).backward()
        model.zero_grad()

    def losses() -> None:
        sum(model.loss_seg(logit, label) for logit in logits).backward()

    variants = {
        'step, teacher A': lambda: step(False),
        'step, teacher B': lambda: step(True),
        'features at scale 1, forward': lambda: model.extract_feat(inputs),
        'features at scale 1, both ways': features,
        'decoders of two heads, both ways': decoders,
        'sparse label (CRF and selection)': lambda: model.labeler(cam, tags, img),
        'dense label (CRF)': lambda: model.refine_by_crf(prob, tags, img),
        'losses of two heads, both ways': losses,
    }
    return wall(variants, args)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=2)
    add_device(parser)
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = build().to(args.device)
    inputs = batch()[0].to(args.device)
    feats = model.extract_feat(inputs)
    cam = wall(
        {
            'export, naive': lambda: naive_cam(model, inputs, flip=True),
            'export, ours': lambda: MultiScaleCAM(SCALES, flip=True)(model, inputs),
            'training, naive': lambda: naive_cam(model, inputs, flip=False),
            'training, ours': lambda: MultiScaleCAM(SCALES)(model, inputs, feats=feats),
        },
        args,
    )
    ratios = {
        use: cam[f'{use}, naive'] / cam[f'{use}, ours']
        for use in ('export', 'training')
    }
    result = {
        'machine': f'{machine()}, {args.device}',
        'multi_scale_cam_seconds': cam,
        'multi_scale_cam_ratio': ratios,
        'step_seconds': parts(model, args),
    }
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + '\n')
    table = Table('part', 'seconds', title=result['machine'])
    rows = {f'multi-scale CAM, {name}': value for name, value in cam.items()}
    for name, value in (rows | result['step_seconds']).items():
        table.add_row(name, f'{value:.3f}')
    Console().print(table)
    for use, ratio in ratios.items():
        print(f'multi-scale CAM, {use}: {ratio:.2f} times faster')


if __name__ == '__main__':
    main()

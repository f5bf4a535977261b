"""Train ASDT from image tags on the toy dataset and visualize the results."""

import runpy
import warnings
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).with_name('start.py')))

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image
from rich.console import Console

from mmseg_wsss import config_path
from mmseg_wsss.datasets.toy.toy_voc import generate
from mmseg_wsss.engine.hooks import PWMDistillationHook
from mmseg_wsss.models.segmentors.weak import denormalize
from mmseg_wsss.pipelines.demo import finish, parse_args, train
from mmseg_wsss.pipelines.export import build_model
from mmseg_wsss.utils import atomic_write
from mmseg_wsss.utils.launch import one_line_errors
from mmseg_wsss.visualization.panels import label_row, legend_of, panel
from mmseg_wsss.visualization.plots import plot_losses

CAM = config_path('cam/cam_r18_1xb16-400_wsss-toy-voc-128.py')
ASDT = config_path('asdt/asdt_r18_1xb16-240_wsss-toy-voc-128.py')
SOURCES = ('cam', 'teacher_a', 'teacher_b', 'fused')
CRF = 'single scale + CRF'  # the setting of the paper
SETTINGS = {'single scale': {}, CRF: {'crf': True}}
CRF_MIOU = 'single-scale+crf/mIoU'
NUM_ROWS = 5
ROWS = (
    ('CAM seeds (plain classifier)', 'train', 'cam_seed_miou'),
    ('pseudo-masks of teacher A, sparse', 'train', 'teacher_a_miou'),
    ('  ... on labeled pixels', 'train', 'teacher_a_miou_where_labeled'),
    ('pseudo-masks of teacher B', 'train', 'teacher_b_miou'),
    ('pseudo-masks of both heads', 'train', 'fused_miou'),
    ('ASDT, with its CRF', 'val', 'asdt_val_miou'),
    ('  ... without CRF', 'val', 'asdt_val_miou_without_crf'),
    ('no distillation, with its CRF', 'val', 'no_distillation_val_miou'),
    ('  ... without CRF', 'val', 'no_distillation_val_miou_without_crf'),
)


@one_line_errors()
def main() -> None:
    args = parse_args(__doc__, 'work_dirs/demo')
    out = args.out
    warnings.filterwarnings('ignore')
    log = Console().print

    data_root = Config.fromfile(ASDT).data_root
    log(f'[bold]1/4[/] images, tags and masks of the toy dataset: {data_root}')
    generate(data_root)
    log('[bold]2/4[/] plain CAM: a classifier from image tags')
    cam = train(CAM, out / 'cam', args.shorten, sources=['cam'])
    log('[bold]3/4[/] ASDT, initialized by this classifier, from the same tags')
    log('    (its heads are new and are reported as missing in the checkpoint)')
    start = {'load_from': cam['checkpoint']}
    asdt = train(ASDT, out / 'asdt', args.shorten, start, SOURCES, SETTINGS)
    log('[bold]4/4[/] the same network without distillation, as many steps')
    never = train(
        ASDT, out / 'never', args.shorten, start | without_distillation(), (), SETTINGS
    )

    results = {'cam': cam, 'asdt': asdt, 'no_distillation': never}
    steps = {name: result['steps'] for name, result in results.items()}
    finish(out, scores_of(cam, asdt, never), ROWS, results, steps)
    draw_panel(out, asdt['checkpoint'])
    draw_losses(out)
    log(f'validation images: {out}/panel.png', soft_wrap=True)
    log(f'losses and the PWM signal: {out}/losses.png', soft_wrap=True)


def without_distillation() -> dict:
    """Return the hooks of ASDT with the distillation disabled."""
    return {
        'custom_hooks': [
            hook | {'mode': 'never'} if hook.type == 'PWMDistillationHook' else hook
            for hook in Config.fromfile(ASDT).custom_hooks
        ]
    }


def scores_of(cam: dict, asdt: dict, never: dict) -> dict[str, float]:
    """Collect the mIoU scores of the demo in percent."""
    return {
        'cam_seed_miou': cam['train']['cam/mIoU'],
        'teacher_a_miou': asdt['train']['teacher_a/mIoU'],
        'teacher_a_miou_where_labeled': asdt['train']['teacher_a/mIoU_covered'],
        'teacher_b_miou': asdt['train']['teacher_b/mIoU'],
        'fused_miou': asdt['train']['fused/mIoU'],
        'asdt_val_miou': asdt['val'][CRF][CRF_MIOU],
        'asdt_val_miou_without_crf': asdt['val']['single scale']['mIoU'],
        'no_distillation_val_miou': never['val'][CRF][CRF_MIOU],
        'no_distillation_val_miou_without_crf': never['val']['single scale']['mIoU'],
    }


@torch.no_grad()
def draw_panel(out: Path, checkpoint: str) -> None:
    """Draw the CAM, pseudo-labels, prediction and ground truth of validation images."""
    cfg = Config.fromfile(ASDT)
    init_default_scope(cfg.default_scope)
    model = build_model(cfg, checkpoint)
    loader = Runner.build_dataloader(cfg.val_dataloader)
    meta = loader.dataset.metainfo
    rows, drawn = [], []
    for number, batch in enumerate(loader):
        if number == NUM_ROWS:
            break
        data = model.data_preprocessor(batch, False)
        (sample,) = data['data_samples']
        (labels,) = model.pseudo_labels(
            data['inputs'], [sample], ['cam', 'teacher_a', 'teacher_b', 'prediction']
        )
        label_maps = {
            'teacher A': labels['teacher_a'][0],
            'teacher B': labels['teacher_b'][0],
            'ASDT': labels['prediction'][0],
            'ground truth': sample.gt_sem_seg.data[0],
        }
        img = denormalize(data['inputs'], model.data_preprocessor)[0]
        img = img.permute(1, 2, 0).byte().cpu().numpy()
        cam = labels['cam'][1][1:]
        rows.append(label_row(img, label_maps, meta['palette'], cam))
        drawn += label_maps.values()
    legend = legend_of(drawn, meta['classes'], meta['palette'])
    with atomic_write(out / 'panel.png') as file:
        Image.fromarray(panel(rows, legend)).save(file, format='PNG')


def draw_losses(out: Path) -> None:
    """Plot the losses of ASDT and the PWM signal."""
    (hook,) = (
        hook
        for hook in Config.fromfile(ASDT).custom_hooks
        if hook.type == 'PWMDistillationHook'
    )
    wave = PWMDistillationHook(**{k: v for k, v in hook.items() if k != 'type'})
    scalars = sorted((out / 'asdt').glob('*/vis_data/scalars.json'))
    plot_losses(scalars, out / 'losses.png', wave=wave.signal, title='ASDT')


if __name__ == '__main__':
    main()

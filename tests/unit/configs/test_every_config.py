"""Every config is what its name says: one pass over all, and faults in copies."""

import copy
from collections.abc import Callable

import pytest
from catalog import BASES, CONFIGS, NAME, ROOT, TEMPLATES, bases, depth, find
from checks import METHODS, problems
from mmengine.config import Config


def test_every_config_has_every_property():
    assert [problem for path in CONFIGS for problem in problems(path)] == []


def test_every_method_has_configs():
    methods = {NAME.fullmatch(path.stem)['method'] for path in CONFIGS}
    assert methods >= set(METHODS)


def test_inheritance():
    used, todo = set(), [*CONFIGS, *TEMPLATES]
    while todo:
        found = bases(todo.pop())
        used |= set(found)
        todo += found
    assert [path.name for path in BASES if path not in used] == []
    paths = [*CONFIGS, *TEMPLATES]
    assert {p.name: depth(p) for p in paths if not 1 <= depth(p) <= 3} == {}
    text = {p: p.read_text() for p in ROOT.glob('configs/**/*.py')}
    # The base of these templates is the file that the user edits: they replace parts.
    # A comparison of what another one compares has other runs.
    replacing = {
        '_delete_': [
            'affinitynet_tags-and-masks.py',
            'deeplabv3plus_tags-and-masks.py',
            'deeplabv3plus_tags.py',
            'toy_rcm_mam_network.py',
        ]
    }
    for word in ('_delete_', 'for h in', 'quirk', 'specification', '.md,'):
        found = sorted(p.name for p, t in text.items() if word in t)
        assert found == replacing.get(word, []), word


def set_(key: str, value: object) -> Callable[[Config], None]:
    return lambda cfg: cfg.merge_from_dict({key: value})


def drop_hook(kind: str) -> Callable[[Config], None]:
    def edit(cfg: Config) -> None:
        cfg.custom_hooks = [h for h in cfg.custom_hooks if h.type != kind]

    return edit


ASDT = 'asdt_wrn38_1xb4-20k_wsss-voc12aug-321'
AFA = 'afa_mit-b1_2xb2-20k_wsss-voc12aug-512'
MKD = 'mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512'
UNIMATCH = 'unimatch_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512'
PSPNET = 'pspnet_r101-d8_8xb2-20k_sup-asdtmasks-voc12aug-512'
FAULTS = {
    'another method': (ASDT, set_('model.type', 'RRM'), 'type is RRM'),
    'another backbone': (MKD, set_('model.segmentor.backbone.depth', 101), 'depth'),
    'too few classes': (ASDT, set_('model.cam_head.num_classes', 21), 'cam_head has'),
    'classes of students': (
        MKD,
        set_('model.segmentor.decode_head.num_classes', 20),
        'the model has 20 classes',
    ),
    'no hook of the wave': (ASDT, drop_hook('PWMDistillationHook'), 'PWMDistill'),
    'no hook of the affinity': (AFA, drop_hook('AffinityLabelHook'), 'AffinityLabel'),
    'no hook of the teachers': (MKD, drop_hook('MeanTeacherHook'), 'MeanTeacherHook'),
    'no guard': (AFA, drop_hook('NonFiniteLossHook'), 'lacks NonFiniteLossHook'),
    'another split': (
        MKD,
        set_('train_dataloader.dataset.split', 'ImageSets/Segmentation/voc-classic_92'),
        'split ImageSets',
    ),
    'masks of the unlabeled part': (
        MKD,
        set_('train_dataloader.dataset.unlabeled.data_prefix.seg_map_path', 'masks'),
        'names masks',
    ),
    'a shorter schedule': (
        ASDT,
        set_('train_cfg.max_iters', 10000),
        'trains for 10000',
    ),
    'a schedule that ends early': (
        ASDT,
        set_('param_scheduler.0.end', 15000),
        'PolyLR until 15000',
    ),
    'another batch': (ASDT, set_('train_dataloader.batch_size', 8), 'batch size 8'),
    'another learning rate': (MKD, set_('optim_wrapper.optimizer.lr', 1e-2), 'rate'),
    'another crop': (
        ASDT,
        set_('train_dataloader.dataset.pipeline.3.crop_size', (320, 320)),
        'crops',
    ),
    'one strong view too few': (
        UNIMATCH,
        lambda cfg: cfg.train_dataloader.dataset.unlabeled.update(
            pipeline=cfg.fixmatch_pipeline
        ),
        'needed',
    ),
    'another network to save': (
        MKD,
        set_('default_hooks.checkpoint.save_best', 'student/mIoU'),
        'save_best',
    ),
    'a loader unknown to mmseg': (
        ASDT,
        set_('val_dataloader.dataset.pipeline.0.type', 'LoadImageStrict'),
        'val_dataloader loads by',
    ),
    'true masks for pseudo-masks': (
        PSPNET,
        set_('train_dataloader.dataset.data_prefix.seg_map_path', 'SegmentationClass'),
        'trains and validates on',
    ),
    'an unknown setting': (ASDT, set_('model.distil_weight', 1.0), 'distil_weight'),
    'an unregistered name': (
        ASDT,
        set_('val_evaluator.type', 'IoUmetric'),
        'IoUmetric',
    ),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_a_fault_in_a_copy_is_found(fault):
    name, edit, message = FAULTS[fault]
    (path,) = [path for path in CONFIGS if path.stem == name]
    cfg = copy.deepcopy(find(name))
    edit(cfg)
    found = problems(path, cfg)
    assert found and message in '\n'.join(found)

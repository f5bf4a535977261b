import json
import threading

import numpy as np
import pytest
from mmengine.config import Config

from mmseg_wsss.pipelines.setting import (
    SCALES,
    apply_setting,
    drop_gt,
    make_tta_pipeline,
    metrics_of,
    record,
)
from mmseg_wsss.registry import TRANSFORMS
from mmseg_wsss.utils.locks import file_lock

LOAD = dict(type='LoadImageFromFile')
TRUTH = dict(type='LoadAnnotations')
PACK = dict(type='PackSegInputs')


def make_config(**more) -> Config:
    dataset = dict(type='A', pipeline=[LOAD, TRUTH, PACK])
    return Config(
        dict(
            model=dict(type='EncoderDecoder'),
            test_dataloader=dict(dataset=dict(type='Wrapper', dataset=dataset)),
            test_evaluator=dict(type='IoUMetric'),
            **more,
        )
    )


def views_of(cfg: Config) -> list:
    (step,) = [
        step
        for step in cfg.test_dataloader.dataset.dataset.pipeline
        if step['type'] == 'TestTimeAug'
    ]
    return step['transforms']


class TestApplySetting:
    def test_plain_changes_nothing(self):
        cfg = make_config()
        before = cfg.to_dict()
        assert apply_setting(cfg) == 'single scale'
        assert cfg.to_dict() == before

    @pytest.mark.parametrize('crf', [False, True])
    def test_the_network_is_a_part_of_the_name(self, crf):
        cfg = make_config()
        plain = apply_setting(make_config(), crf=crf)
        cfg.model.semi_test_cfg = dict(predict_on='teacher1')
        assert apply_setting(cfg, crf=crf) == f'{plain} (teacher1)'
        assert cfg.test_evaluator.get('prefix') == ('single-scale+crf' if crf else None)

    def test_the_prediction_filter_is_a_part_of_the_name(self):
        cfg = make_config()
        cfg.model.semi_test_cfg = dict(prediction_filter=dict(thr=0.05))
        assert apply_setting(cfg) == 'single scale (filter 0.05)'
        cfg.model.semi_test_cfg = dict(prediction_filter=dict())
        assert apply_setting(cfg) == 'single scale (filter 0.05)'
        cfg.model.semi_test_cfg.predict_on = 'student1'
        assert apply_setting(cfg) == 'single scale (student1, filter 0.05)'

    def test_crf_alone_shows_one_view(self):
        cfg = make_config()
        assert apply_setting(cfg, crf=True) == 'single scale + CRF'
        assert cfg.model == dict(
            type='WSSSTTAModel',
            crf=dict(type='DenseCRF'),
            module=dict(type='EncoderDecoder'),
        )
        assert [len(step) for step in views_of(cfg)] == [1, 1, 1]
        assert cfg.test_evaluator.prefix == 'single-scale+crf'

    def test_ms_flip(self):
        cfg = make_config()
        name = apply_setting(cfg, ms_flip=True, scales=[0.5, 1])
        assert name == 'multi-scale 0.5 1 + flip'
        usual = apply_setting(make_config(), ms_flip=True, scales=list(SCALES))
        assert usual == 'multi-scale + flip'
        assert 'crf' not in cfg.model
        assert [len(step) for step in views_of(cfg)] == [2, 2, 1, 1]
        assert cfg.test_evaluator.prefix == 'multi-scale-0.5-1+flip'

    def test_both(self):
        refiner = dict(type='DenseCRF', bilateral_sxy=83)
        cfg = make_config(tta_model=dict(type='SegTTAModel', crf=refiner))
        name = apply_setting(cfg, ms_flip=True, crf=True)
        assert name == 'multi-scale + flip + CRF'
        assert cfg.model.type == 'WSSSTTAModel'
        assert cfg.model.crf == refiner
        assert [len(step) for step in views_of(cfg)] == [6, 2, 1, 1]

    def test_tta_of_the_config_without_its_crf(self):
        pipeline = [LOAD, dict(type='TestTimeAug', transforms=[[PACK]])]
        cfg = make_config(
            tta_pipeline=pipeline,
            tta_model=dict(type='SegTTAModel', crf=dict(type='DenseCRF')),
        )
        assert apply_setting(cfg, tta=True) == 'tta of the config'
        assert cfg.model == dict(type='SegTTAModel', module=dict(type='EncoderDecoder'))
        assert cfg.test_dataloader.dataset.dataset.pipeline == pipeline

    def test_all_metrics_are_prefixed(self):
        cfg = make_config()
        cfg.test_evaluator = [dict(type='A', prefix='part'), dict(type='B')]
        apply_setting(cfg, crf=True)
        prefixes = [metric.prefix for metric in cfg.test_evaluator]
        assert prefixes == ['part/single-scale+crf', 'single-scale+crf']

    def test_every_joined_dataset_is_augmented(self):
        cfg = make_config()
        part = cfg.test_dataloader.dataset.dataset
        cfg.test_dataloader.dataset = dict(type='Concat', datasets=[part, dict(part)])
        apply_setting(cfg, crf=True)
        for dataset in cfg.test_dataloader.dataset.datasets:
            assert dataset.pipeline[-1].type == 'TestTimeAug'

    def test_bad_requests(self):
        with pytest.raises(ValueError, match='found both'):
            apply_setting(make_config(), tta=True, ms_flip=True)
        with pytest.raises(KeyError, match='tta_pipeline'):
            apply_setting(make_config(), tta=True)
        for scales in ([], [1.0, 0.0]):
            with pytest.raises(ValueError, match='expected scales > 0'):
                apply_setting(make_config(), ms_flip=True, scales=scales)
        cfg = make_config()
        cfg.test_dataloader.dataset.dataset.pipeline = []
        with pytest.raises(ValueError, match='expected a pipeline'):
            apply_setting(cfg, crf=True)


class TestPipeline:
    @pytest.mark.parametrize(
        ('resize', 'expected'),
        [
            (dict(scale=(320, 101)), dict(scale=(160, 50))),
            (dict(scale=64), dict(scale=(32, 32))),
            (dict(scale_factor=0.5), dict(scale_factor=0.25)),
            (dict(scale_factor=(0.5, 1.0)), dict(scale_factor=(0.25, 0.5))),
        ],
    )
    def test_scales_multiply_the_resize(self, resize, expected):
        resize = dict(type='Resize', keep_ratio=True, **resize)
        head, tta = make_tta_pipeline([LOAD, resize, PACK], [0.5], flip=False)
        assert head == LOAD
        ((scaled,), (pack,)) = tta['transforms']
        assert scaled == {**resize, **expected}
        assert pack == PACK

    def test_needs_an_image(self):
        with pytest.raises(ValueError, match='PackSegInputs'):
            make_tta_pipeline([PACK], [1.0], flip=False)

    def test_views_of_a_real_image(self):
        # The truth is loaded before the Resize here, and yet keeps its size.
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        load = dict(type='LoadImageFromNDArray')
        resize = dict(type='Resize', scale=(30, 20), keep_ratio=True)
        keys = ('img_shape', 'ori_shape', 'flip')
        pack = dict(type='PackSegInputs', meta_keys=keys)
        _, tta = make_tta_pipeline([load, resize, pack], [0.5, 1.0], flip=True)
        results = TRANSFORMS.build(dict(load, _scope_='mmseg'))(dict(img=image))
        views = TRANSFORMS.build(dict(tta, _scope_='mmseg'))(results)
        shapes = [tuple(view.shape) for view in views['inputs']]
        assert shapes == [(3, 10, 15), (3, 10, 15), (3, 20, 30), (3, 20, 30)]
        flips = [sample.flip for sample in views['data_samples']]
        assert flips == [False, True, False, True]
        assert (views['inputs'][3].flip(2) == views['inputs'][2]).all()
        assert views['inputs'][2].permute(1, 2, 0).numpy().tolist() == image.tolist()

    def test_truth_is_loaded_behind_the_geometry(self):
        resize = dict(type='Resize', scale=(8, 8))
        head, tta = make_tta_pipeline([LOAD, TRUTH, resize, PACK], [1.0], flip=True)
        assert head == LOAD
        kinds = [step[0]['type'] for step in tta['transforms']]
        assert kinds == ['Resize', 'RandomFlip', 'LoadAnnotations', 'PackSegInputs']


def test_record_gathers_settings_of_a_checkpoint(tmp_path):
    path = tmp_path / 'results.json'
    record(path, 'other.pth', 'single scale', {'mIoU': 99.0})
    record(path, 'a.pth', 'single scale', {'mIoU': 40.0, 'note': 'x'})
    record(path, 'a.pth', 'single scale', {'mIoU': np.float32(41)})
    table = record(path, 'a.pth', 'single scale + CRF', {'ss+crf/mIoU': 42.5})
    lines = [line for line in table.splitlines() if 'single' in line]
    assert [line.split('|')[1:3] for line in lines] == [
        [' single scale       ', ' 41.00 '],
        [' single scale + CRF ', ' 42.50 '],
    ]
    assert len(json.loads(path.read_text())) == 2


def test_record_drops_settings_of_another_network(tmp_path):
    path, checkpoint = tmp_path / 'results.json', tmp_path / 'a.pth'
    for network, setting in ((b'1', 'plain'), (b'1', 'CRF'), (b'2', 'CRF')):
        checkpoint.write_bytes(network)
        table = record(path, str(checkpoint), setting, {'mIoU': int(network)})
        assert ('plain' in table) == (network == b'1')
    (entry,) = json.loads(path.read_text()).values()
    assert entry['settings'] == {'CRF': {'mIoU': 2}}


class TestDropTruth:
    def test_masks_are_not_loaded_and_iou_is_not_computed(self):
        views = dict(type='TestTimeAug', transforms=[[LOAD], [TRUTH], [PACK]])
        cfg = make_config(tta_pipeline=[LOAD, views])
        cfg.test_evaluator = [cfg.test_evaluator, dict(type='MultiLabelMetric')]
        drop_gt(cfg)
        assert cfg.test_dataloader.dataset.dataset.pipeline == [LOAD, PACK]
        assert cfg.tta_pipeline[1].transforms == [[LOAD], [PACK]]
        assert cfg.test_evaluator == [dict(type='IoUMetric', format_only=True)]

    @pytest.mark.parametrize('missing', [None, []])
    def test_no_metric_is_none(self, missing):
        """MMEngine's way to turn validation and tests off."""
        cfg = make_config()
        cfg.test_evaluator = missing
        apply_setting(cfg, crf=True)
        drop_gt(cfg)
        assert cfg.test_evaluator == metrics_of(cfg) == []

    @pytest.mark.parametrize('way', [{'tta': True}, {'ms_flip': True, 'crf': True}])
    def test_before_any_setting(self, way):
        views = dict(type='TestTimeAug', transforms=[[LOAD], [TRUTH], [PACK]])
        cfg = make_config(tta_pipeline=[LOAD, views])
        drop_gt(cfg)
        apply_setting(cfg, **way)
        assert 'LoadAnnotations' not in cfg.pretty_text


def test_tests_that_end_together_keep_each_others_metrics(tmp_path):
    """The second one waits for the first, and reads what it has written."""
    path, threads = tmp_path / 'test_settings.json', []
    with file_lock(tmp_path / '.test_settings.json.lock'):
        for name in 'ab':
            args = path, 'x.pth', name, {'mIoU': 1.0}
            threads.append(threading.Thread(target=record, args=args))
            threads[-1].start()
        threads[0].join(0.2)
        assert not path.exists()
    for thread in threads:
        thread.join(10)
    (entry,) = json.loads(path.read_text()).values()
    assert set(entry['settings']) == {'a', 'b'}

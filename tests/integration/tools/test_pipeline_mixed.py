"""The pipeline on tagged images, some of which have masks, by the templates."""

import re
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from helpers.tiny import TAGS, write_tiny_voc
from mmengine.config import Config
from PIL import Image
from tool_files import edit, run_pipeline, shorten, tool_in_process

from mmseg_wsss.pipelines.export_files import given_names
from mmseg_wsss.pipelines.wsss_report import check_pipeline, report_pipeline
from mmseg_wsss.pipelines.wsss_stages import Tools, build_stages, stage_config
from mmseg_wsss.registry import DATASETS

ROOT = Path(__file__).resolve().parents[3]
CLASSES = ('red', 'green', 'yellow', 'blue', 'pink', 'cyan')
PIPELINE = 'configs/pipelines/own_images_tags-and-masks.py'
TEMPLATE = 'templates/camseg_tags-and-masks'
LABELED = ('4', '5', '6')
TAGGED = ('garden/1', 'garden/3', 'holiday/0', 'holiday/2')


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """Four images with tags in two folders, three with masks in another."""
    voc = write_tiny_voc(tmp_path / 'voc')
    lines = ['image,tags']
    for name in TAGGED:
        number = int(name[-1])
        path = tmp_path / f'images/{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(voc / f'JPEGImages/{number}.png', path)
        lines.append(f'{name},{";".join(CLASSES[k] for k in TAGS[number])}')
    (tmp_path / 'tags.csv').write_text('\n'.join(lines) + '\n')
    for kind, source in (('images', 'JPEGImages'), ('masks', 'SegmentationClass')):
        folder = tmp_path / f'labeled/{kind}'
        folder.mkdir(parents=True)
        for name in LABELED:
            shutil.copy(voc / f'{source}/{name}.png', folder)
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    for key, value in {
        'classes': CLASSES,
        'data_root': str(tmp_path / 'images'),
        'tags': str(tmp_path / 'tags.csv'),
        'labeled_images': str(tmp_path / 'labeled/images'),
        'labeled_masks': str(tmp_path / 'labeled/masks'),
        'img_suffix': '.png',
    }.items():
        edit(tmp_path, TEMPLATE, key, value)
    shorten(
        tmp_path,
        TEMPLATE,
        'templates/affinitynet_tags-and-masks',
        'templates/deeplabv3plus_tags-and-masks',
        '_base_/datasets/image_folder_tags-and-masks',
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit_network(own: Path, old: str, new: str) -> None:
    """Replace a text of the config of the network."""
    path = own / 'configs/templates/deeplabv3plus_tags-and-masks.py'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def labels(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def test_stopped_and_gone_on_to_the_report(own, capsys):
    def stop(command, log, lock):
        if 'affinity_network' in str(log):
            raise KeyboardInterrupt
        tool_in_process(command, log, lock)

    with (
        mock.patch('tool_files.tool_in_process', stop),
        pytest.raises(SystemExit),
    ):
        run_pipeline(own / PIPELINE, own / 'work')
    assert 'stopped in stage 4/9 affinity_network' in capsys.readouterr().out
    begun = (own / 'work/seeds_network/iter_2.pth').stat().st_mtime_ns
    run_pipeline(own / PIPELINE, own / 'work')
    assert '3/9 affinity_labels: done before' in capsys.readouterr().out
    assert (own / 'work/seeds_network/iter_2.pth').stat().st_mtime_ns == begun

    for part in ('seeds/maps', 'refined_seeds/masks', 'pseudo_masks/masks'):
        assert given_names(own / 'work' / part) == set(LABELED)
    for part in ('seeds/maps', 'affinity_labels', 'refined_seeds', 'pseudo_masks'):
        folder = own / 'work' / part
        folder = folder if part.endswith('maps') else folder / 'masks'
        found = {f.relative_to(folder).with_suffix('') for f in folder.rglob('*.png')}
        assert {str(name) for name in found} == {*LABELED, *TAGGED}
        for name in LABELED:
            mask = labels(own / f'labeled/masks/{name}.png')
            assert np.array_equal(labels(folder / f'{name}.png'), mask)
    # Seeds are probabilities among the tags and background.
    seeds = np.load(own / 'work/seeds/maps/holiday/0.npz')
    assert seeds['channels'].tolist() == [0, *(k + 1 for k in TAGS[0])]
    assert np.allclose(seeds['prob'].sum(0), 1, atol=1e-3)

    predicted = (own / 'work/predictions_crf/masks').rglob('*.png')
    assert len([*predicted]) == len(TAGGED)
    text = (own / 'work/report.md').read_text()
    assert 'training images without given masks: 4, 0 of them with masks' in text
    assert '* given masks: 3 training images have masks of their own' in text
    assert 'No image has a mask to compare with' in text
    titles = re.findall(
        '<figcaption>(.*?)</figcaption>', (own / 'work/report.html').read_text()
    )
    assert titles.count('image') == titles.count('network (crf)') == len(TAGGED)
    check_report_with_test_images(own)


def test_all_images_in_one_folder(own):
    """Lists say which of them have masks, as tools/import_masks.py writes them."""
    for name in LABELED:
        shutil.copy(own / f'labeled/images/{name}.png', own / 'images')
    cfg = Config.fromfile(own / PIPELINE)
    edit(own, TEMPLATE, 'labeled_images', str(own / 'images'))
    with pytest.raises(ValueError, match=r'masks: 4 problem\(s\)'):
        check_pipeline(cfg)
    for name, names in {'accepted': LABELED[:2], 'tagged': TAGGED}.items():
        (own / f'{name}.txt').write_text('\n'.join(names) + '\n')
    edit(own, TEMPLATE, 'labeled_list', str(own / 'accepted.txt'))
    edit(own, TEMPLATE, 'tagged_list', '../tagged.txt')
    check_pipeline(cfg)
    for part in ('seeds', 'affinity'):
        for loader in ('train_dataloader', 'export_dataloader'):
            data = DATASETS.build(stage_config(cfg, part)[loader].dataset)
            names = [data.name(i) for i in range(len(data))]
            assert names == [*LABELED[:2], *TAGGED]
    own_tags = own / 'own_tags.csv'
    own_tags.write_text(''.join(f'{name},red;cyan\n' for name in LABELED))
    edit(own, TEMPLATE, 'labeled_tags', str(own_tags))
    labeled = DATASETS.build(
        stage_config(cfg, 'seeds').train_dataloader.dataset
    ).labeled
    assert labeled.tags.labels(LABELED[0]) == ['red', 'cyan']


def check_report_with_test_images(own: Path) -> None:
    """Report again with masks of two predicted images as the test set."""
    for kind in ('images', 'masks'):
        source = {'images': 'JPEGImages', 'masks': 'SegmentationClass'}[kind]
        for name in ('garden/1', 'holiday/2'):
            path = own / f'val/{kind}/{name}.png'
            path.parent.mkdir(parents=True)
            shutil.copy(own / f'voc/{source}/{name[-1]}.png', path)
        edit(own, TEMPLATE, f'val_{kind}', str(own / f'val/{kind}'))
    cfg = Config.fromfile(own / PIPELINE)
    check_pipeline(cfg)
    stages = build_stages(cfg, own / 'work', Tools(ROOT / 'tools', None))
    records = {stage.name: {'seconds': 1.0} for stage in stages}
    scores = report_pipeline(cfg, stages, records, own / 'work')
    assert set(scores) == {f'network ({name}), test images' for name in cfg.evaluation}
    shown = (own / 'work/report_network').rglob('*.png')
    assert len([*shown]) == len(TAGGED)
    cfg.seeds.gt_split = 'val'
    scores = report_pipeline(cfg, stages, records, own / 'work')
    assert 'pseudo-masks, training images without given masks' in scores


class TestRefusedBeforeTheFirstStage:
    @pytest.fixture
    def cfg(self, own) -> Config:
        return Config.fromfile(own / PIPELINE)

    def message(self, cfg: Config) -> str:
        with pytest.raises(ValueError, match='the pipeline cannot run') as caught:
            check_pipeline(cfg)
        return str(caught.value)

    def test_one_name_in_both_parts(self, cfg, own):
        shutil.copy(own / 'images/garden/1.png', own / 'images/4.png')
        with (own / 'tags.csv').open('a') as file:
            file.write('4,red\n')
        found = self.message(cfg)
        assert 'seeds, export_dataloader: 4 occurs more than once' in found

    def test_labeled_images_that_later_stages_lack(self, cfg, own):
        path = own / 'configs/templates/affinitynet_tags-and-masks.py'
        text = path.read_text()
        text += "export_dataloader['dataset']['labeled'] = dict(indices=2)\n"
        path.write_text(text)
        found = self.message(cfg)
        assert 'affinity, export_dataloader: expected the labeled images' in found
        assert '1 others or missing, such as 6' in found

    def test_more_images_trained_with_masks_than_left_out(self, cfg):
        """The report would count them as images without given masks."""
        for part in ('seeds', 'affinity'):
            cfg[part].cfg_options = {'export_dataloader.dataset.labeled.indices': 2}
        found = self.message(cfg)
        for part in ('seeds', 'affinity'):
            text = (
                f'{part}, train_dataloader: expected the labeled images of the export'
            )
            assert text in found
        assert found.count('1 others or missing, such as 6; give all loaders') == 2
        assert 'affinity, export_dataloader' not in found

    def test_predicted_images_without_the_classes(self, cfg, own):
        path = own / f'configs/{TEMPLATE}.py'
        text = path.read_text()
        part = 'tagged=dict(data_root=data_root, classes=classes, '
        assert part in text
        path.write_text(text.replace(part, 'tagged=dict(data_root=data_root, '))
        assert 'network, predictions: expected the classes' in self.message(cfg)

    @pytest.mark.parametrize('labeled', ['', 'dict(labeled, indices=2), '])
    def test_a_network_without_the_labeled_images(self, cfg, own, labeled):
        """The report would count masks that no network was trained on."""
        edit_network(own, 'datasets=[labeled, tagged]', f'datasets=[{labeled}tagged]')
        found = self.message(cfg)
        text = (
            'network, train_dataloader: expected all 3 labeled images of the '
            'export_dataloader of the seeds, '
        )
        assert text in found
        lost = '1 are missing, such as 6' if labeled else '3 are missing, such as 4'
        assert lost in found
        assert found.count('\n  ') == 1

    def test_masks_that_a_network_hides(self, cfg, own):
        """Of a SemiDataset only the labeled part is trained with masks."""
        old = "type='ConcatDataset',\n        datasets=[labeled, tagged],"
        old += "\n        ignore_keys=['palette'],"
        plain = 'pipeline=[train_pipeline[0], train_pipeline[-1]]'
        new = f"type='SemiDataset', labeled=labeled, unlabeled=dict(tagged, {plain})"
        edit_network(own, old, new)
        check_pipeline(cfg)
        other = f"type='SemiDataset', labeled=tagged, unlabeled=dict(labeled, {plain})"
        edit_network(own, new, other)
        assert '3 are missing, such as 4' in self.message(cfg)


def test_networks_that_are_trained_with_all_masks(own):
    """Masks count by the names of images, repeated ones and a single folder too."""
    cfg = Config.fromfile(own / PIPELINE)
    listed = 'datasets=[labeled, tagged]'
    repeated = "dict(type='RepeatDataset', dataset=labeled, times=2)"
    edit_network(own, listed, f'datasets=[{repeated}, tagged]')
    check_pipeline(cfg)
    # The export has labels of rejected images; the network may leave them out.
    edit_network(own, 'tagged]', 'dict(tagged, indices=2)]')
    check_pipeline(cfg)
    shutil.copytree(own / 'labeled/images', own / 'every')
    shutil.copytree(own / 'images', own / 'every', dirs_exist_ok=True)
    edit_network(own, f'[{repeated}, dict(tagged, indices=2)]', '[tagged]')
    edit_network(own, 'data_root=_base_.data_root', "data_root='every'")
    check_pipeline(cfg)

"""The pipeline on a folder of tagged images without masks, by the templates."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny import TAGS, write_tiny_voc
from mmengine.config import Config
from PIL import Image
from tool_files import edit, run_pipeline, shorten

from mmseg_wsss.pipelines.wsss_report import check_pipeline

ROOT = Path(__file__).resolve().parents[3]
CLASSES = ('red', 'green', 'yellow', 'blue', 'pink', 'cyan')


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """Images in two folders, with two suffixes, tags, and the edited templates."""
    voc = write_tiny_voc(tmp_path / 'voc')
    lines = ['image,tags']
    for i, tags in enumerate(TAGS[:6]):
        name = f'{"garden" if i % 2 else "holiday"}/{i // 2}'
        path = tmp_path / f'images/{name}.{"jpg" if i % 2 else "png"}'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(voc / f'JPEGImages/{i}.png').save(path)
        lines.append(f'{name},{";".join(CLASSES[k] for k in tags)}')
    (tmp_path / 'tags.csv').write_text('\n'.join(lines) + '\n')
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    edit(tmp_path, 'templates/cam_tags', 'classes', CLASSES)
    edit(tmp_path, 'templates/cam_tags', 'data_root', str(tmp_path / 'images'))
    edit(tmp_path, 'templates/cam_tags', 'tags', str(tmp_path / 'tags.csv'))
    shorten(
        tmp_path,
        'templates/cam_tags',
        'templates/affinitynet_tags',
        'templates/deeplabv3plus_tags',
        '_base_/datasets/image_folder_weak',
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_mask_all_is_shown_and_nothing_evaluated(own, capsys):
    run_pipeline(own / 'configs/pipelines/own_images.py', own / 'work')
    text = (own / 'work/report.md').read_text()
    assert 'No image has a mask' in text
    assert '6, 0 of them with masks' in text
    assert 'cam_tags.py' in text
    assert re.search(r'\| network \| \d+ \| .*iter_2.pth', text)
    for folder in ('affinity_labels', 'refined_seeds', 'pseudo_masks'):
        assert len([*own.glob(f'work/{folder}/masks/*/*.png')]) == 6
    for setting in ('plain', 'crf'):
        found = own.glob(f'work/predictions_{setting}/masks/*/*.png')
        assert len([*found]) == 6, 'images of equal names in two folders'
    page = (own / 'work/report.html').read_text()
    titles = re.findall('<figcaption>(.*?)</figcaption>', page)
    assert titles[:7] == [
        'image',
        'CAM',
        'seeds (threshold 0.45)',
        'refined seeds',
        'pseudo-masks',
        'network (plain)',
        'network (crf)',
    ]
    assert len(titles) == 6 * 7
    assert np.array(Image.open(own / 'work/report_training.png')).std() > 0
    output = capsys.readouterr()
    assert '9/9 predictions_crf' in output.out + output.err


class TestRefusedBeforeTheFirstStage:
    @pytest.fixture
    def cfg(self, own) -> Config:
        return Config.fromfile(own / 'configs/pipelines/own_images.py')

    def test_nothing_is_wrong_with_the_templates(self, cfg):
        check_pipeline(cfg)

    def test_all_faults_at_once(self, cfg, own):
        cfg.seeds.update(source='fused', checkpoint='none.pth', gt_split='val')
        path = own / 'configs/templates/deeplabv3plus_tags.py'
        text = path.read_text()
        text = text.replace('classes=_base_.classes', "classes=('a', 'b')")
        path.write_text(text)
        with pytest.raises(ValueError, match='the pipeline cannot run') as caught:
            check_pipeline(cfg)
        message = str(caught.value)
        assert "has no 'fused', has ['cam'" in message
        assert 'none.pth: no such checkpoint' in message
        assert 'has no val_dataloader' in message
        assert "expected the classes ['background', 'red'" in message
        assert 'network: expected decode_head.num_classes=3 for 3 classes' in message

    def test_images_of_the_network_need_labels(self, cfg, own):
        more = shutil.copytree(own / 'images', own / 'more')
        shutil.copy(more / 'garden/0.jpg', more / 'garden/new.jpg')
        path = own / 'configs/templates/deeplabv3plus_tags.py'
        text = path.read_text()
        path.write_text(text.replace('data_root=_base_.data_root', "data_root='more'"))
        with pytest.raises(ValueError, match=r'1 images are not .* is garden/new'):
            check_pipeline(cfg)

    def test_a_network_without_a_folder_of_masks(self, cfg):
        cfg.network.config = cfg.seeds.config
        with pytest.raises(ValueError, match=r'data_prefix\.seg_map_path'):
            check_pipeline(cfg)

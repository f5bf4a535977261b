"""Where configs are listed, and where they are found."""

from pathlib import Path

import pytest
from test_configs import CONFIGS, NAME, ROOT, load

import mmseg_wsss

CONFIGS_OF_PACKAGE = [path for path in CONFIGS if ROOT / 'configs' in path.parents]


class TestModelIndex:
    """model-index.yml and the metafiles below it."""

    @pytest.fixture(scope='class')
    def metafiles(self) -> dict[Path, dict]:
        yaml = pytest.importorskip('yaml')
        index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
        paths = [ROOT / name for name in index['Import']]
        return {path: yaml.safe_load(path.read_text()) for path in paths}

    def test_every_config_is_listed_once(self, metafiles):
        models = [m for meta in metafiles.values() for m in meta['Models']]
        listed = sorted(ROOT / model['Config'] for model in models)
        assert listed == CONFIGS_OF_PACKAGE
        for model in models:
            assert model['Name'] == Path(model['Config']).stem
            cfg = load(ROOT / model['Config'])
            assert model['Metadata']['Iterations'] == cfg.train_cfg.max_iters
            gpus = int(NAME.fullmatch(model['Name'])['gpus'])
            batch = gpus * cfg.train_dataloader.batch_size
            assert model['Metadata']['Batch Size'] == batch

    def test_models_belong_to_collections(self, metafiles):
        for meta in metafiles.values():
            collections = {collection['Name'] for collection in meta['Collections']}
            assert {model['In Collection'] for model in meta['Models']} <= collections


class TestConfigPath:
    def test_finds_configs_of_a_clone(self):
        path = Path(mmseg_wsss.config_path('asdt'))
        assert path.is_absolute()
        assert path.resolve() == ROOT / 'configs/asdt'

    def test_finds_configs_of_an_installed_package(self, monkeypatch, tmp_path):
        package = tmp_path / 'site-packages/mmseg_wsss'
        (package / '.mim/configs/asdt').mkdir(parents=True)
        # Of another package beside it, as in a shared site-packages.
        (tmp_path / 'site-packages/configs').mkdir()
        monkeypatch.setattr('mmseg_wsss.utils.configs.PACKAGE', package)
        expected = str(package / '.mim/configs/asdt')
        assert mmseg_wsss.config_path('asdt') == expected

    def test_names_what_is_missing_and_where(self):
        with pytest.raises(FileNotFoundError, match=r"'asdt/none.py' in .*configs"):
            mmseg_wsss.config_path('asdt/none.py')

"""Where configs are listed and found: model-index.yml, metafiles, READMEs."""

import json
import re
from pathlib import Path

import pytest
from catalog import CONFIGS, NAME, ROOT, TEMPLATES, load

import mmseg_wsss

OWN = [path for path in CONFIGS if ROOT / 'configs' in path.parents]


class TestModelIndex:
    """model-index.yml, the metafiles below it, and the tables of the READMEs."""

    @pytest.fixture(scope='class')
    def metafiles(self) -> dict[Path, dict]:
        yaml = pytest.importorskip('yaml')
        index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
        paths = [ROOT / name for name in index['Import']]
        return {path: yaml.safe_load(path.read_text()) for path in paths}

    def test_every_folder_of_a_method_has_one(self, metafiles):
        folders = {path.relative_to(ROOT).parts[1] for path in OWN}
        assert {path.parent.name for path in metafiles} == folders

    def test_each_method_has_a_collection_of_its_own(self, metafiles):
        names = [meta['Collections'][0]['Name'] for meta in metafiles.values()]
        assert len(set(names)) == len(names)
        for path, meta in metafiles.items():
            (collection,) = meta['Collections']
            assert collection['README'] == f'configs/{path.parent.name}/README.md'
            assert (ROOT / collection['README']).is_file()
            assert collection['Paper']['URL'].startswith('https://')
            assert {m['In Collection'] for m in meta['Models']} == {collection['Name']}
            folders = {Path(m['Config']).parts[1] for m in meta['Models']}
            assert folders == {path.parent.name}

    def test_every_config_is_listed_once(self, metafiles):
        models = [m for meta in metafiles.values() for m in meta['Models']]
        assert sorted(ROOT / model['Config'] for model in models) == OWN
        for model in models:
            assert model['Name'] == Path(model['Config']).stem
            cfg = load(ROOT / model['Config'])
            assert model['Metadata']['Iterations'] == cfg.train_cfg.max_iters
            gpus = int(NAME.fullmatch(model['Name'])['gpus'])
            batch = gpus * cfg.train_dataloader.batch_size
            assert model['Metadata']['Batch Size'] == batch

    def test_a_verified_config_has_a_figure_and_its_source(self, metafiles):
        for meta in metafiles.values():
            for model in meta['Models']:
                assert model['Verified'] is ('Results' in model), model['Name']
                for result in model.get('Results', ()):
                    source = ROOT / result['Source']
                    figure = result['Metrics']['mIoU']
                    seeds = result.get('Seeds')
                    found = means(source, seeds) if seeds else figures(source)
                    # Rounded to one decimal.
                    nearest = min(abs(figure - n) for n in found)
                    assert nearest < 0.051, (model['Name'], figure)

    def test_readmes_list_every_config_with_its_figure(self, metafiles):
        for path, meta in metafiles.items():
            text = (path.parent / 'README.md').read_text()
            rows = re.findall(r'^\| \[[^]]*\]\((\S*?\.py)\).*\| (.*?) \|$', text, re.M)
            found = {(path.parent / link).resolve(): cell for link, cell in rows}
            expected = {ROOT / m['Config']: verified_cell(m) for m in meta['Models']}
            assert found == expected, path.parent.name

    def test_the_readme_of_the_templates_lists_them(self):
        text = (ROOT / 'configs/templates/README.md').read_text()
        links = set(re.findall(r'\]\((\w\S*\.py)\)', text))
        assert links == {path.name for path in TEMPLATES}


def figures(source: Path) -> set[float]:
    """Return the numbers of a file of results, also as percentages."""
    numbers = [float(n) for n in re.findall(r'\d+\.\d+', source.read_text())]
    return {n * factor for n in numbers for factor in (1, 100)}


def means(source: Path, seeds: int) -> set[float]:
    """Return the means over so many seeds in the report of a comparison."""
    scores = json.loads(source.read_text())['scores']
    rows = [row for runs in scores.values() for row in runs.values()]
    return {row['mean'] for row in rows if len(row['values']) == seeds}


def verified_cell(model: dict) -> str:
    """Return the last cell of a config's row in the README of its folder."""
    if not model['Verified']:
        return 'no'
    (result,) = model['Results']
    seeds = f', mean of {result["Seeds"]} seeds' if 'Seeds' in result else ''
    return f'{result["Metrics"]["mIoU"]} mIoU ({result["Dataset"]}{seeds})'


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

"""What a comparison file may say, and which runs may not be compared."""

from pathlib import Path

import pytest
from helpers.tiny import tiny_config
from mmengine.config import Config

from mmseg_wsss.pipelines.compare import compare
from mmseg_wsss.pipelines.comparison import digest_of, read_comparison
from mmseg_wsss.pipelines.comparison_check import check_fair

BASE = """
baseline = 'plain'
seeds = (0, 1)
tests = {'single scale': {}}
starts = dict(cam=dict(config='CAM.py'), other_cam=dict(config='CAM.py', max_iters=3))
_rrm = dict(config='RRM.py', start='cam')
"""


@pytest.fixture(scope='module')
def configs(tiny_voc, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('configs')
    for method in ('CAM', 'RRM', 'ASDT', 'MKD'):
        cfg = tiny_config(method, tiny_voc, folder / 'unused', 2)
        cfg.param_scheduler[0].end = 2
        cfg.export_dataloader = cfg.test_dataloader
        cfg.dump(folder / f'{method}.py')
    return folder


@pytest.fixture
def read(configs):
    """Read a comparison of these lines after those of ``BASE``."""

    def read(lines: str, base: str = BASE, **options):
        path = configs / 'file.py'
        path.write_text(base + lines)
        return read_comparison(path, **options)

    return read


def two(second: str) -> str:
    return f"runs = {{'plain': _rrm, 'second': dict({second})}}"


@pytest.mark.parametrize(
    ('second', 'part', 'message'),
    [
        (
            "cfg_options={'train_dataloader.dataset.dataset.indices': 4}, **_rrm",
            'data',
            'data: train.dataset.indices is 4 against nothing',
        ),
        (
            "cfg_options={'test_dataloader.dataset.pipeline.0.type': 'Load'}, **_rrm",
            'data',
            'data: test.single scale.dataset.pipeline.0.type is Load against ',
        ),
        (
            "cfg_options={'train_dataloader.dataset.pipeline.0.color_type': 'gray'}, "
            '**_rrm',
            'data',
            'data: train.pipeline.0.color_type is gray against nothing',
        ),
        (
            "tests={'single scale': dict(crf=True)}, **_rrm",
            'data',
            'data: test.single scale.crf is True against False',
        ),
        (
            "tests={'single scale': dict(cfg_options={"
            "'test_dataloader.dataset.indices': 2})}, **_rrm",
            'data',
            'data: test.single scale.dataset.indices is 2 against nothing',
        ),
        (
            "cfg_options={'train_dataloader.dataset.pipeline.3.crop_size': (16, 16)}, "
            '**_rrm',
            'budget',
            'budget: crop_size.0 is 16 x 16 against 33 x 33',
        ),
        ('max_iters=3, **_rrm', 'budget', 'budget: steps is 3 against 2'),
        (
            "cfg_options={'train_dataloader.batch_size': 4}, **_rrm",
            'budget',
            'budget: images per step is 4 against 2',
        ),
        (
            "cfg_options={'optim_wrapper.accumulative_counts': 3}, **_rrm",
            'budget',
            'budget: steps is 1 against 2',
        ),
        (
            "cfg_options={'train_dataloader.sampler.source_ratio': [1, 3]}, **_rrm",
            'budget',
            'budget: source_ratio.0 is 1 against nothing',
        ),
        (
            "cfg_options={'optim_wrapper.accumulative_counts': 2, "
            "'train_dataloader.batch_size': 1}, max_iters=2, **_rrm",
            'budget',
            'budget: steps is 1 against 2',
        ),
        ("config='RRM.py'", 'start', "start: no run against 'cam'; make"),
        (
            "config='RRM.py', start='other_cam'",
            'start',
            "start: 'other_cam' against 'cam'; make",
        ),
    ],
)
def test_unequal_runs_are_refused(read, second, part, message):
    comparison = read(two(second))
    with pytest.raises(ValueError, match='differ in their') as error:
        check_fair(comparison)
    text = str(error.value)
    assert text.startswith("file: 'second' and the baseline 'plain' differ in their ")
    assert message in text
    assert text.endswith(f'make them equal, or pass --allow-different {part}')
    assert '\n' not in text
    check_fair(comparison, [part])
    check_fair(read(f'{two(second)}\nallow_different = ({part!r},)'))
    others = {'data', 'budget', 'start'} - {part}
    with pytest.raises(ValueError, match='differ in their'):
        check_fair(comparison, sorted(others))


def test_other_images_of_the_pseudo_labels_are_refused(read):
    second = "cfg_options={'export_dataloader.dataset.indices': 2}, **_rrm"
    base = BASE.replace("tests = {'single scale': {}}", "sources = ('cam',)")
    with pytest.raises(ValueError, match='indices is 2 against nothing'):
        check_fair(read(two(second), base))


def test_what_is_compared_may_differ(read):
    options = (
        "cfg_options={'model.alphas': (1.0, 2.0), 'optim_wrapper.optimizer.lr': 0.1, "
        "'train_dataloader.dataset.pipeline.1.ratio_range': (1.0, 1.1)}, **_rrm"
    )
    comparison = read(two(options))
    check_fair(comparison)
    cfg = comparison.runs['second'].load()
    assert cfg.model.alphas == (1.0, 2.0)


def test_tests_are_compared_by_what_they_resolve_to(read):
    """Settings in full, the test set with its options, and those of one name alone."""
    images = "'test_dataloader.dataset.indices': 2"
    same = f"cfg_options={{{images}}}, tests={{'single scale': dict(crf=False)}}"
    by_test = f"tests={{'single scale': dict(cfg_options={{{images}}})}}"
    runs = f"runs = {{'plain': dict({same}, **_rrm), 'second': dict(OTHER, **_rrm)}}"
    check_fair(read(runs.replace('OTHER', by_test)))
    for name in ("{'single scale': {}}", "{'single scale': dict(crf=True)}"):
        with pytest.raises(ValueError, match='differ in their data: test'):
            check_fair(read(runs.replace('OTHER', f'tests={name}')))
    check_fair(read(runs.replace('OTHER', "tests={'of its own': dict(crf=True)}")))


def test_the_default_ratio_of_sources_is_that_ratio(read):
    ratio = "cfg_options={'train_dataloader.sampler.source_ratio': RATIO}"
    runs = "runs = {'plain': dict(config='MKD.py'), 'second': dict(FIRST)}"
    text = runs.replace('FIRST', f"config='MKD.py', {ratio.replace('RATIO', '[1, 1]')}")
    check_fair(read(text))
    with pytest.raises(ValueError, match=r'source_ratio\.1 is 3 against 1'):
        check_fair(read(text.replace('[1, 1]', '[1, 3]')))


def test_accumulated_gradients_are_one_step(read):
    options = (
        "cfg_options={'optim_wrapper.accumulative_counts': 2, "
        "'train_dataloader.batch_size': 1}, max_iters={}, **_rrm"
    )
    check_fair(read(two(options.replace('{}', '4'))))
    check_fair(read(two(options.replace('{}', '3'))))  # the last step has one image
    with pytest.raises(ValueError, match='steps is 3 against 2'):
        check_fair(read(two(options.replace('{}', '5'))))


def test_other_pretrained_weights_are_another_start(read):
    init = "'model.backbone.init_cfg': dict(type='Pretrained', checkpoint='{}')"
    one, other = (init.replace('{}', name) for name in ('a.pth', 'b.pth'))
    rrm = "dict(config='RRM.py', cfg_options={X})"
    pair = "runs = {'plain': FIRST, 'second': SECOND}"

    def comparison(first, second):
        text = pair.replace('FIRST', rrm.replace('X', first))
        return read(text.replace('SECOND', rrm.replace('X', second)))

    check_fair(comparison(one, one))
    for second in (other, ''):
        with pytest.raises(ValueError, match='differ in their start: network'):
            check_fair(comparison(one, second))


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ("runs = {'a': _rrm}", r"baseline 'plain' is none of the runs \['a'\]"),
        (two('**_rrm') + '\nsteps = 3', r"unknown keys \['steps'\]"),
        (two("step=3, config='RRM.py'"), "run 'second': .*unexpected.*'step'"),
        (two('max_iters=3'), r"file\.py: run 'second' has no config"),
        (two("config='RRM.py', start='x'"), "start 'x' of second is none of"),
        (
            two('**_rrm') + "\nstarts['cam']['start'] = 'other_cam'"
            "\nstarts['other_cam']['start'] = 'cam'",
            r"starts \['plain', 'cam', 'other_cam'\] begin with each other",
        ),
        (two('tests={}, **_rrm'), "run 'second' has neither sources nor tests"),
        ("runs = {'plain': _rrm, 'cam': _rrm}", r"\['cam'\] are names of runs and"),
        (two('**_rrm') + '\nseeds = (1, 1)', r'different seeds, found \(1, 1\)'),
        (two('**_rrm') + '\nseeds = ()', r'different seeds, found \(\)'),
        (two('**_rrm') + '\nseeds = 3', 'a list of different seeds, found 3'),
        (
            two('**_rrm') + "\nscore = 'val/plain'",
            r"score 'val/plain' is none of \['val/single scale'\]",
        ),
        (
            two('**_rrm') + "\nallow_different = ('time',)",
            r"file\.py: allow_different has \['time'\]; choose out of",
        ),
    ],
)
def test_faults_of_a_file_are_named(read, lines, message):
    with pytest.raises(ValueError, match=message) as error:
        read(lines)
    assert '\n' not in str(error.value)


def test_a_missing_config_is_named(read):
    with pytest.raises(FileNotFoundError, match=r"no config 'missing\.py'"):
        read(two("config='missing.py'"))


@pytest.mark.parametrize('count', [0, 2])
def test_a_hook_must_be_there_once(read, count):
    hooks = [{'type': 'MeanTeacherHook'}] * count
    options = f"config='RRM.py', cfg_options={{'custom_hooks': {hooks}}}"
    second = f'{options}, hooks=dict(MeanTeacherHook=dict(decay=0.5))'
    run = read(two(second)).runs['second']
    with pytest.raises(
        ValueError, match=f'expected one MeanTeacherHook.*found {count}'
    ):
        run.load()


def test_a_negative_number_of_jobs_is_refused(read, configs, tmp_path):
    read(two('**_rrm'))
    with pytest.raises(ValueError, match=r'jobs.*-1'):
        compare(configs / 'file.py', tmp_path, jobs=-1)


@pytest.mark.parametrize('key', ['model.none', 'none.type', 'custom_hooks.99.type'])
def test_a_removed_key_must_be_there(read, key):
    run = read(two(f"config='RRM.py', without=({key!r},)")).runs['second']
    with pytest.raises(ValueError, match=rf'^second: .*RRM\.py has no {key}; leave'):
        run.load()


@pytest.mark.parametrize(
    ('options', 'key'),
    [
        ({'train_dataloader': None}, 'train_dataloader.dataset'),
        ({'train_cfg.max_iters': None}, 'train_cfg.max_iters'),
    ],
)
def test_a_config_without_training_is_refused(read, options, key):
    run = read(two(f"config='RRM.py', cfg_options={options}")).runs['second']
    with pytest.raises(ValueError, match=rf'RRM\.py: expected {key}, found none'):
        run.load()


def test_options_hooks_and_steps(read):
    comparison = read(
        two(
            "config='ASDT.py', without=('test_dataloader.dataset.pipeline.0.type',), "
            "max_iters=5, cfg_options={'model.distill_weight': 0.5}, hooks=dict("
            "NonFiniteLossHook=None, PWMDistillationHook=dict(mode='always'))"
        )
    )
    cfg = comparison.runs['second'].load()
    assert 'type' not in cfg.test_dataloader.dataset.pipeline[0]
    modes = {hook.type: hook.get('mode') for hook in cfg.custom_hooks}
    assert 'NonFiniteLossHook' not in modes
    assert modes['PWMDistillationHook'] == 'always'
    assert cfg.model.distill_weight == 0.5
    assert cfg.train_cfg.max_iters == 5
    assert cfg.param_scheduler[0].end == 5
    assert cfg.default_hooks.checkpoint.save_best is None


def test_one_run_and_the_baseline(read):
    runs = two("config='RRM.py', start='other_cam'")
    second = read(runs, only=['second'])
    assert [*second.runs] == ['plain', 'second']
    assert [*second.starts] == ['cam', 'other_cam']
    plain = read(runs, only=['plain'])
    assert ([*plain.runs], [*plain.starts]) == (['plain'], ['cam'])
    with pytest.raises(ValueError, match=r"file.py: \['third'\] are none of the runs"):
        read(runs, only=['third'])


def test_options_of_all_runs_yield_to_those_of_a_run(read):
    common = "cfg_options = {'val_cfg.fp16': True, 'model.alphas': (1.0,)}\n"
    own = "cfg_options={'model.alphas': (2.0,)}, **_rrm"
    comparison = read(common + two(own))
    runs = (comparison.starts['cam'], *comparison.runs.values())
    loaded = [run.load() for run in runs]
    assert all(cfg.val_cfg.fp16 for cfg in loaded)
    assert [tuple(cfg.model.alphas) for cfg in loaded] == [(1.0,), (1.0,), (2.0,)]


def test_folders_follow_what_is_trained(read):
    comparison = read(two("config='RRM.py', start='other_cam'"))
    plain, second = comparison.runs.values()
    cfg = comparison.config(plain, 7, 'root')
    assert cfg.randomness.seed == 7
    assert Path(cfg.work_dir).parent == Path('root/RRM')
    start = comparison.config(comparison.starts['cam'], 7, 'root')
    assert cfg.load_from == f'{start.work_dir}/iter_2.pth'
    # The seed, and the start, have folders of their own; the root has no part in it.
    names = {
        Path(comparison.config(run, seed, root).work_dir).name
        for run in (plain, second)
        for seed in (7, 8)
        for root in ('root', 'other')
    }
    assert len(names) == 4


def test_a_digest_does_not_depend_on_where_the_shared_data_lie(monkeypatch):
    def digest(root, **values):
        monkeypatch.setenv('WSSS_SHARED', root)
        return digest_of(Config(dict(data_root=f'{root}/data', **values)))

    monkeypatch.delenv('WSSS_SHARED', raising=False)
    known = digest_of(Config(dict(data_root='../shared/data')))
    assert {digest(root) for root in ('/mnt/shared', '.', 'C:\\shared')} == {known}
    assert digest('/mnt/shared', other='/mnt/shared_2/data') != digest('/mnt')
    assert digest('/mnt/shared', other='a') != known


def test_seeds_of_the_command_line_and_the_main_score(read):
    assert read(two('**_rrm'), seeds=[5]).seeds == (5,)
    assert read(two('**_rrm')).score == 'val/single scale'
    sources = BASE.replace("tests = {'single scale': {}}", "sources = ('cam',)")
    assert read(two('**_rrm'), sources).score == 'train/cam'


def test_jobs_come_seed_by_seed_after_their_starts(read):
    jobs = [(run.name, seed) for run, seed in read(two('**_rrm')).jobs()]
    assert jobs[:4] == [('cam', 0), ('other_cam', 0), ('plain', 0), ('second', 0)]
    assert [seed for _, seed in jobs] == [0] * 4 + [1] * 4

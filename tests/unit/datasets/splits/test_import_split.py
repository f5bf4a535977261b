"""Published splits, and imports of lists."""

import pytest

from mmseg_wsss.datasets.splits.import_split import import_split
from mmseg_wsss.datasets.splits.published import PUBLISHED, digest, identify
from mmseg_wsss.datasets.splits.semi_split import SemiSplit
from mmseg_wsss.datasets.splits.split_lists import read_list

FOLDERS = {
    'voc-classic': 'voc/classic_{}',
    'voc-blended-cps': 'voc/blended_cps_{}',
    'voc-blended-u2pl': 'voc/blended_u2pl_{}',
    'cityscapes-cps': 'cityscapes/{}',
    'cityscapes-unimatch': 'cityscapes/{}',
    'cityscapes-u2pl': 'cityscapes/u2pl_{}',
}
KNOWN = [split for split in PUBLISHED.values() if split.digest]


class TestPublished:
    def test_names_are_unique_and_sets_complete(self):
        totals = {'voc': 10582, 'cityscapes': 2975, 'coco': 118287, 'ade20k': 20210}
        for split in PUBLISHED.values():
            total = totals[split.family.partition('-')[0]]
            assert split.labeled + split.unlabeled == total
        assert len({split.digest for split in KNOWN}) == len(KNOWN) == 22

    @pytest.mark.parametrize('split', KNOWN, ids=lambda split: split.name)
    def test_the_lists_are_recognized(self, shared, split):
        folder = shared / 'data/splits' / FOLDERS[split.family].format(split.size)
        dataset = split.family.partition('-')[0]
        found = import_split(
            folder / 'labeled.txt', dataset, unlabeled=folder / 'unlabeled.txt'
        )
        assert found.name == split.name
        assert len(found.labeled) == split.labeled
        assert len(found.unlabeled) == split.unlabeled

    def test_the_blended_families_are_not_comparable(self, shared):
        """Count the labeled images that have masks of VOC itself."""
        own = {*read_list(shared / 'data/splits/voc/classic_1464/labeled.txt')}
        counts = {}
        for family in ('cps', 'u2pl'):
            path = shared / f'data/splits/voc/blended_{family}_1_16/labeled.txt'
            counts[family] = len(own & {*read_list(path)})
        assert counts == {'cps': 93, 'u2pl': 662}

    def test_unlabeled_images_are_the_rest_of_all(self, shared):
        voc = shared / 'data/splits/voc'
        split = import_split(
            voc / 'classic_92/labeled.txt', 'voc', everything=voc / 'train_aug.txt'
        )
        assert split.name == 'voc-classic_92'
        expected = read_list(voc / 'classic_92/unlabeled.txt')
        assert sorted(split.unlabeled) == sorted(expected)

    def test_digest_depends_on_images_and_not_on_their_order(self):
        assert digest(['a', 'b']) == digest(['b', 'a']) != digest(['a', 'c'])
        assert identify(['a', 'b']) is None


class TestImport:
    def test_unpublished_lists_need_a_family(self, lists):
        paths = lists / 'labeled.txt', 'voc', lists / 'unlabeled.txt'
        with pytest.raises(ValueError, match=r'2 labeled .* name a family'):
            import_split(*paths)
        assert import_split(*paths, family='mine').name == 'mine_2'
        assert import_split(*paths, family='mine', size='2_3').name == 'mine_2_3'

    @pytest.mark.parametrize(
        ('family', 'size', 'message'),
        [
            ('voc-classic', '92', 'has 92 labeled and 10490 .* got 2 and 1'),
            (
                'voc-classic',
                '93',
                'published family voc-classic has no split 93, only 92',
            ),
            ('Mine_2', None, "family must consist of.*'Mine_2'"),
        ],
    )
    def test_names_of_published_splits_are_refused_for_other_images(
        self, lists, family, size, message
    ):
        paths = lists / 'labeled.txt', 'voc', lists / 'unlabeled.txt'
        with pytest.raises(ValueError, match=message):
            import_split(*paths, family=family, size=size)

    def test_lists_of_equal_length_but_other_images_are_refused(self):
        labeled = [f'{i}' for i in range(92)]
        unlabeled = [f'{i}' for i in range(92, 10582)]
        with pytest.raises(ValueError, match='voc-classic_92 has other labeled'):
            SemiSplit('voc-classic', '92', labeled, unlabeled)
        # COCO's lists are identified by their length only.
        names = [f'{i:012d}' for i in range(118287)]
        assert SemiSplit('coco-unimatch', '1_512', names[:232], names[232:])

    def test_published_split_cannot_be_renamed(self, shared, tmp_path):
        folder = shared / 'data/splits/voc/classic_92'
        labeled, unlabeled = folder / 'labeled.txt', folder / 'unlabeled.txt'
        with pytest.raises(
            ValueError, match='is voc-classic_92, not of the family mine'
        ):
            import_split(labeled, 'voc', unlabeled, family='mine')
        # Some lists pair its labeled images with fewer unlabeled ones.
        fewer = tmp_path / 'unlabeled.txt'
        fewer.write_text('\n'.join(read_list(unlabeled)[:640]))
        with pytest.raises(
            ValueError, match=r'has 92 labeled and 10490 .* got 92 and 640'
        ):
            import_split(labeled, 'voc', fewer)
        assert import_split(labeled, 'voc', fewer, family='mine').name == 'mine_92'

    def test_images_in_both_lists_are_named(self, lists):
        (lists / 'unlabeled.txt').write_text('2007_000002\n')
        with pytest.raises(ValueError, match='2007_000002 is listed 2 times'):
            import_split(
                lists / 'labeled.txt', 'voc', lists / 'unlabeled.txt', family='mine'
            )

    def test_image_missing_in_the_list_of_all_is_named(self, lists):
        with pytest.raises(ValueError, match=r'2007_000001 of .* is not in'):
            import_split(
                lists / 'labeled.txt', 'voc', everything=lists / 'unlabeled.txt'
            )

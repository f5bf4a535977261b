import numpy as np
import pytest
import torch

from mmseg_wsss.evaluation.confusion import label_scores
from mmseg_wsss.pipelines.report_pages import MEASURES, Page, html_page, markdown_page


@pytest.fixture
def page() -> Page:
    good = torch.tensor([[8, 2, 0], [1, 9, 0]])
    poor = torch.tensor([[5, 5, 0], [5, 5, 0]])
    scores = {
        'seeds, training images': label_scores(poor),
        'pseudo-masks, training images': label_scores(good),
        'network (a<b), test images': label_scores(poor),
    }
    row = {'image': np.zeros((640, 320, 3), np.uint8)}
    panel = ([row], {'cat & dog': (1, 2, 3)})
    return Page(
        scores,
        ('background', 'cat & dog'),
        {'training images': panel},
        {'training images': 'report_training.png'},
        [['stage', 'seconds'], ['seeds', '3']],
        {'date': 'today', 'versions': 'torch 2'},
    )


def test_the_best_value_of_each_split_is_marked(page):
    overall = page.tables()['All classes']
    cells = {row[0]: dict(zip(overall[0][1:], row[1:])) for row in overall[1:]}
    assert cells['pseudo-masks, training images']['mIoU'] == '*73.86'
    assert cells['seeds, training images']['mIoU'] == '33.33'
    # Less is better, and the only row of a split is not the best of several.
    assert cells['pseudo-masks, training images']['over activation'] == '*18.18'
    assert cells['network (a<b), test images']['mIoU'] == '33.33'
    # Equal values of a split are not marked.
    assert cells['seeds, training images']['coverage'] == '100.00'


def test_markdown(page):
    text = markdown_page(page)
    assert '| pseudo-masks, training images | **73.86** |' in text
    assert '| cat & dog | 33.33 | **75.00** | 33.33 |' in text
    assert '![training images](report_training.png)' in text
    for name in MEASURES:
        assert f'* {name.replace("_", " ")}: ' in text
    assert '* date: today' in text
    assert '| seeds | 3 |' in text


def test_html_is_escaped_and_fits_narrow_screens(page):
    text = html_page(page)
    assert 'name="viewport" content="width=device-width' in text
    assert 'network (a&lt;b), test images' in text
    assert 'cat &amp; dog' in text
    assert '<td class="best">73.86</td>' in text
    assert 'max-width:600px' in text
    assert text.count('data:image/png;base64') == 1
    assert '*' not in text.split('</style>')[1]


def test_without_scores(page):
    page.scores = {}
    for text in (markdown_page(page), html_page(page)):
        assert 'No image has a mask' in text
        assert 'mIoU' not in text

"""Write the drawing of every method: ``python docs/drawings``."""

from pathlib import Path

from flow import svg
from semi import SEMI
from weak import WEAK

FOLDER = Path(__file__).parents[1] / 'images'
FLOWS = {f'flow_{name}.svg': svg(drawing) for name, drawing in (WEAK | SEMI).items()}

if __name__ == '__main__':
    for name, text in FLOWS.items():
        (FOLDER / name).write_text(text, encoding='utf-8')

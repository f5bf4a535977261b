"""Run the checks: ``python -m mmseg_wsss.doctor``."""

import sys

from . import main

if __name__ == '__main__':
    sys.exit(main())

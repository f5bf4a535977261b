"""Run the checks: ``python -m mmseg_wsss.doctor``."""

import sys

from . import main

sys.exit(main())

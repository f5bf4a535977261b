"""The family of the installed OpenMMLab packages, and tests that need one of them."""

from importlib.metadata import packages_distributions

import pytest

ONEDL = 'onedl-mmengine' in packages_distributions().get('mmengine', ())


def needs_onedl(reason: str) -> pytest.MarkDecorator:
    """Skip a test on the original packages; docs/families.md lists the reasons."""
    return pytest.mark.skipif(
        not ONEDL, reason=f'the original OpenMMLab packages: {reason}'
    )

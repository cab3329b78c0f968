"""Settings for the whole suite: seeded properties, and one fixture that runs a test on every kernel level."""

import os

import pytest
from hypothesis import settings

from charrnn import kernels

os.environ.setdefault("MPLBACKEND", "Agg")
settings.register_profile("charrnn", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("charrnn")


@pytest.fixture(params=kernels.available())
def level(request):
    """Each level that this machine runs, "numpy" included."""
    return request.param

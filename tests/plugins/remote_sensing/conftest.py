import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # colour_model, rasters_on_disk


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """No test finds what another one has encoded."""
    monkeypatch.setenv("VLCORE_CACHE", str(tmp_path / "cache"))

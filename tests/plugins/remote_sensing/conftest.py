import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # colour_model, rasters_on_disk
sys.path.append(str(Path(__file__).parent / "tasks"))  # small_rs_m_clip
sys.path.append(str(Path(__file__).parents[2] / "core" / "tasks"))  # small_towers


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """No test finds what another one has encoded."""
    monkeypatch.setenv("VLCORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def small_towers(monkeypatch):
    """Towers that learn colours in milliseconds, by name and for model directories."""
    import small_towers
    import torch

    small_towers.register()
    monkeypatch.setattr("vlcore.hub.safe_loading.allowed_packages", lambda: {"vlcore", "small_towers"})
    # Operations on so few numbers only wait for a second thread.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

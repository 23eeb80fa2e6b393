import sys
from pathlib import Path

import pytest

# The small towers need an importable module of their own, as a plugin's classes have.
sys.path.append(str(Path(__file__).parent))

import small_towers


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Register the small towers, let model directories name them, and set their counts to zero."""
    small_towers.register()
    monkeypatch.setattr("vlcore.hub.safe_loading.allowed_packages", lambda: {"vlcore", "small_towers"})
    small_towers.SmallImageEncoder.calls = small_towers.SmallTextEncoder.calls = 0

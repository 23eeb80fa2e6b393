import sys
from pathlib import Path

import pytest

# The towers are an importable module, as a plugin's classes are.
sys.path.append(str(Path(__file__).parents[1] / "tasks"))


@pytest.fixture
def small():
    """Register the small towers and set their counts to zero."""
    import small_towers

    small_towers.register()
    small_towers.SmallImageEncoder.calls = small_towers.SmallTextEncoder.calls = 0
    return small_towers

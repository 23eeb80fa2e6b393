import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # tiny_language_model
sys.path.append(str(Path(__file__).parents[1] / "semantic_experts"))  # random_towers

pytest.importorskip("peft", reason='needs pip install "vlcore[language_model]"')


@pytest.fixture(autouse=True)
def _one_thread():
    """Operations on so few numbers only wait for a second thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

import sys
from pathlib import Path

import pytest
import torch

# The released layout and the reference are used by several files.
sys.path.append(str(Path(__file__).parent))

from small_bert import save_tower
from vlcore.encoders import build_text_encoder


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """Folder of a random RoBERTa with a tokeniser of few pieces."""
    return save_tower(tmp_path_factory.mktemp("roberta"), "roberta")


@pytest.fixture(scope="session")
def tokenizer(bert):
    return build_text_encoder(f"transformers/{bert}").tokenizer


@pytest.fixture(autouse=True)
def _one_thread():
    """Matrices this small are slower where threads have to wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

import sys
from pathlib import Path

import pytest

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

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent))  # random_towers

from random_towers import SIZE, TOWERS, plain_model

from vlcore_remote_sensing.semantic_experts.concept import Concept
from vlcore_remote_sensing.semantic_experts.knowledge_base import KnowledgeBase


@pytest.fixture(params=TOWERS)
def plain(request):
    """An aligned model of random towers."""
    return plain_model(request.param)


@pytest.fixture
def base():
    """Three objects, no region, six scenes."""
    names = [("object", name) for name in ("car", "ship", "tank")]
    names += [("scene", name) for name in ("port", "park", "river", "desert", "school", "square")]
    return KnowledgeBase(
        tuple(
            Concept(f"{level}/{name}", level, {"en": name}, f"looks like a {name}", "mine", "CC0-1.0")
            for level, name in names
        )
    )


@pytest.fixture
def images():
    """Seven noisy images `[7, 3, 32, 32]` uint8."""
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (7, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)

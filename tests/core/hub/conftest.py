import sys
from pathlib import Path

import pytest

from vlcore.hub.model_directory import ModelCard, save_model_directory

# The small towers need an importable module of their own, as a plugin's classes have.
sys.path.append(str(Path(__file__).parent))

import tiny_model


@pytest.fixture(autouse=True)
def allow_tiny_model(monkeypatch):
    """Treat the module of the small towers as if a plugin in use had brought it."""
    monkeypatch.setattr("vlcore.hub.safe_loading.allowed_packages", lambda: {"vlcore", "tiny_model"})


@pytest.fixture
def model():
    return tiny_model.tiny_model()


@pytest.fixture
def saved(tmp_path, model):
    """A model directory on disk."""
    save_model_directory(tmp_path / "model", model, ModelCard("Tiny"))
    return tmp_path / "model"

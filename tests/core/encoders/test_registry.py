from __future__ import annotations

import subprocess
import sys

import pytest

import vlcore.plugins
from vlcore.encoders import build_dual_encoder, build_image_encoder, build_text_encoder, encoder_class
from vlcore.errors import ConfigurationError, ModelDirectoryError, UnknownNameError
from vlcore.registry import Registries


@pytest.fixture
def registries(monkeypatch):
    """Registries that a test may fill; what `vlcore.plugins` would return."""
    found = Registries()
    monkeypatch.setattr(vlcore.plugins, "registries", lambda: found)
    return found


def test_import_loads_no_library_of_towers():
    libraries = ("torch", "timm", "transformers", "open_clip", "tokenizers")
    code = f"import sys, vlcore.encoders; print([name for name in {libraries} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_names_of_plugins_are_found_by_prefix_and_in_full(registries):
    calls = []
    registries.image_encoders.register("geology/rocks", lambda argument, trainable: calls.append((argument, trainable)))
    build_image_encoder("geology/rocks")
    build_image_encoder("geology/rocks/basalt/v2", trainable=3)
    assert calls == [("", "none"), ("basalt/v2", 3)]


@pytest.mark.parametrize("build", [build_image_encoder, build_text_encoder, build_dual_encoder])
@pytest.mark.parametrize("name", ["geology/rocks", "resnet50", "transformer/bert", "/abs/dir"])
def test_unknown_sources_are_named(registries, build, name):
    with pytest.raises(UnknownNameError, match="transformers/…") as caught:
        build(name)
    assert caught.value.name == name


def test_source_of_the_other_side_is_unknown(registries):
    with pytest.raises(UnknownNameError, match="There is no text encoder named 'timm/resnet50'"):
        build_text_encoder("timm/resnet50")


def test_source_without_a_tower(registries):
    with pytest.raises(ConfigurationError, match="names no tower"):
        build_image_encoder("timm/")


def test_random_state_of_the_caller_is_left_alone(folders):
    import torch

    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    build_text_encoder(f"transformers/{folders['bert']}")
    assert torch.equal(torch.rand(2), expected)


def test_own_classes_may_be_loaded():
    assert encoder_class("vlcore.encoders.timm.TimmEncoder").__name__ == "TimmEncoder"


@pytest.mark.parametrize(
    "path", ["os.system", "vlcore.encoders.timm.build_image", "", "vlcore.errors.VlcoreError", "rocks.Tower"]
)
def test_other_classes_may_not(registries, path):
    with pytest.raises(ModelDirectoryError, match="neither vlcore's nor of a plugin"):
        encoder_class(path)


def test_classes_of_a_registered_plugin_may_be_loaded(registries):
    registries.text_encoders.register("geology/rocks", "json.decoder:JSONDecoder")
    with pytest.raises(ModelDirectoryError, match="is no tower class"):
        encoder_class("json.decoder.JSONDecoder")

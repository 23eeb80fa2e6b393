from __future__ import annotations

import shutil

import pytest

from vlcore.encoders import build_text_encoder
from vlcore.encoders.source_folder import licence_of, read_json, source_folder
from vlcore.errors import ConfigurationError, ModelDirectoryError


@pytest.fixture
def hub_cache(folders, tmp_path, monkeypatch):
    """A Hugging Face cache that holds the tiny BERT as `tiny/bert`."""
    from huggingface_hub import constants

    root = tmp_path / "hub"
    snapshot = root / "models--tiny--bert" / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(folders["bert"], snapshot)
    (root / "models--tiny--bert" / "refs").mkdir()
    (root / "models--tiny--bert" / "refs" / "main").write_text(snapshot.name)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return snapshot


def test_cached_hub_id_works_offline(hub_cache, folders, no_network, monkeypatch):
    import huggingface_hub

    download = huggingface_hub.snapshot_download
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda *args, **options: download(*args, cache_dir=hub_cache.parents[2], **options),
    )
    assert source_folder("tiny/bert", "transformers") == hub_cache
    encoder = build_text_encoder("transformers/tiny/bert")
    assert encoder.source == "transformers/tiny/bert"
    assert encoder.fingerprint() == build_text_encoder(f"transformers/{folders['bert']}").fingerprint()


def test_what_is_neither_folder_nor_hub_id(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="is a file"):
        source_folder(str(tmp_path / "file"), "timm")
    for wrong in ("/no/such/folder", "./nothing", "one_word", "a/b/c", ""):
        with pytest.raises(ConfigurationError, match=r"there is no folder|is a file") as caught:
            source_folder(wrong or "nothing", "timm")
        assert "timm/" in str(caught.value)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tower").mkdir()
    assert source_folder("~/tower", "timm") == tmp_path / "tower"


@pytest.mark.parametrize(("content", "message"), [(None, "is missing"), ("{", "is not JSON"), ("[]", "must hold")])
def test_json_that_cannot_be_read(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(ModelDirectoryError, match=message):
        read_json(tmp_path / "a.json", "something")


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n", "apache-2.0"),
        ("---\ntags:\n- a\nlicense: 'cc-by-nc-4.0'\n---\n", "cc-by-nc-4.0"),
        ("---\ntags: [a]\n---\nlicense: mit\n", "unknown"),
        ("# Card\n", "unknown"),
    ],
)
def test_licence_is_what_the_header_states(tmp_path, card, licence):
    (tmp_path / "README.md").write_text(card)
    assert licence_of(tmp_path) == licence


def test_no_card(tmp_path):
    assert licence_of(tmp_path) == "unknown"

"""Folders, the layout of the Hugging Face cache, and hub ids without a network."""

import shutil
import subprocess

import pytest
from tiny_model import tiny_model

from vlcore.errors import ModelDirectoryError
from vlcore.hub.fingerprint import read_fingerprint
from vlcore.hub.location import model_folder
from vlcore.hub.model_directory import ModelCard, load_model_directory, save_model_directory


def put_in_hub_cache(folder, cache, name):
    """Lay a folder out as huggingface_hub does: blobs, and links to them in a snapshot."""
    repository = cache / f"models--{name.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (repository / "blobs").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        link = snapshot / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob = repository / "blobs" / f"{number:040d}"
        shutil.copy(path, blob)
        link.symlink_to(blob)
    return snapshot


def test_a_missing_folder_is_named():
    with pytest.raises(ModelDirectoryError, match="There is no folder /nowhere/at/all"):
        model_folder("/nowhere/at/all")


def test_a_file_is_no_model(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelDirectoryError, match="is a file"):
        model_folder(tmp_path / "file")


@pytest.mark.parametrize("name", ["../up", "./runs", "a/b/c", "one", "a b/c", "/a/b"])
def test_what_is_no_hub_id_is_never_asked_of_the_hub(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *args, **kwargs: pytest.fail("asked the hub"))
    with pytest.raises(ModelDirectoryError, match="There is no folder"):
        model_folder(name)


def test_a_hub_id_offline_and_not_cached_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelDirectoryError, match=r"'someone/model' cannot be had from the hub .*HF_HUB_OFFLINE"):
        load_model_directory("someone/model")


def test_a_cached_hub_id_loads_offline_through_its_links(saved, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    snapshot = put_in_hub_cache(saved, cache, "someone/model")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    import huggingface_hub

    download = huggingface_hub.snapshot_download
    asked = {}

    def from_cache(name, **options):
        asked.update(options)
        return download(name, cache_dir=cache, **options)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", from_cache)
    loaded = load_model_directory("someone/model")
    assert loaded.path == snapshot
    assert loaded.fingerprint == load_model_directory(saved).fingerprint
    assert "model.safetensors" in asked["allow_patterns"] and "tokenizer/*" in asked["allow_patterns"]
    assert not any("bin" in pattern or pattern.startswith("*") for pattern in asked["allow_patterns"])


def test_links_of_a_snapshot_may_only_lead_to_its_blobs(saved, tmp_path):
    snapshot = put_in_hub_cache(saved, tmp_path / "cache", "someone/model")
    outside = tmp_path / "outside"
    (snapshot / "config.yaml").resolve().rename(outside)
    (snapshot / "config.yaml").unlink()
    (snapshot / "config.yaml").symlink_to(outside)
    with pytest.raises(ModelDirectoryError, match="link that leads out"):
        load_model_directory(snapshot)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_the_fingerprint_can_be_checked_by_hand(saved):
    command = ["sha256sum", "--check", "--strict", "fingerprint"]
    result = subprocess.run(command, cwd=saved, capture_output=True, text=True, check=True)
    assert result.stdout.count(": OK") == len(read_fingerprint(saved)) == 5


def test_a_relative_path_is_found_before_a_hub_id(tmp_path, monkeypatch):
    save_model_directory(tmp_path / "someone" / "model", tiny_model(), ModelCard("Tiny"))
    monkeypatch.chdir(tmp_path)
    assert load_model_directory("someone/model").card.name == "Tiny"

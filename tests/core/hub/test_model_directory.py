"""What is saved is what is loaded, whole or not at all; nothing of the user's is lost."""

import json
import os
import signal

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tiny_model import embeddings, tiny_model

from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.hub.model_directory import ModelCard, load_model_directory, save_model_directory, verify_model_directory

CARD = ModelCard("Tiny")


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("options", [{}, {"logit_scale": 117.3, "logit_bias": -12.9}], ids=["clip", "siglip"])
def test_a_loaded_model_gives_bit_equal_embeddings(tmp_path, options):
    model = tiny_model(**options)
    fingerprint = save_model_directory(tmp_path / "model", model, CARD)
    loaded = load_model_directory(tmp_path / "model")
    for found, expected in zip(embeddings(loaded.model), embeddings(model), strict=True):
        assert torch.equal(found, expected)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name
    assert loaded.fingerprint == fingerprint == verify_model_directory(tmp_path / "model")
    assert loaded.path == tmp_path / "model"
    assert loaded.model.image_encoder.preprocess == model.image_encoder.preprocess
    assert (loaded.model.image_encoder.source, loaded.model.image_encoder.licence) == ("test/pixels", "Apache-2.0")
    assert loaded.model.text_encoder.fingerprint() == model.text_encoder.fingerprint()


def test_a_loaded_model_is_ready_for_use(saved):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    model = load_model_directory(saved).model
    assert torch.equal(torch.get_rng_state(), state), "loading must not move the caller's random numbers"
    assert not any(module.training for module in model.modules())
    assert model.image_encoder.frozen and model.text_encoder.frozen


def test_the_directory_holds_the_documented_parts_and_no_pickle(saved):
    assert set(tree(saved)) == {
        "config.yaml",
        "model.safetensors",
        "preprocess.json",
        "tokenizer/kind.txt",
        "tokenizer/vocabulary/letters.json",
        "README.md",
        "fingerprint",
    }
    config = yaml.safe_load((saved / "config.yaml").read_text())
    assert config["format"] == 1
    assert config["image_head"] == {
        "class_path": "vlcore.heads.residual_mlp.ResidualMLPHead",
        "arguments": {"in_features": 6, "out_features": 4, "hidden_features": 7, "dropout": 0.2},
    }
    assert set(load_file(saved / "model.safetensors")) == set(tiny_model().state_dict())
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_saving_twice_writes_the_same_bytes_and_saving_a_loaded_model_too(saved, tmp_path, model):
    save_model_directory(tmp_path / "again", model, CARD)
    save_model_directory(tmp_path / "loaded", load_model_directory(saved).model, load_model_directory(saved).card)
    assert tree(saved) == tree(tmp_path / "again") == tree(tmp_path / "loaded")


def test_half_precision_comes_back_as_half_precision(tmp_path):
    model = tiny_model()
    model.image_encoder.to(torch.float16)
    save_model_directory(tmp_path / "model", model, CARD)
    loaded = load_model_directory(tmp_path / "model").model
    assert loaded.image_encoder.layer.weight.dtype == loaded.image_encoder.norm.running_mean.dtype == torch.float16
    assert loaded.image_head.projection.weight.dtype == torch.float32
    assert torch.equal(loaded.image_encoder.layer.weight, model.image_encoder.layer.weight)


def test_fingerprint_changes_with_everything_that_changes_an_embedding(tmp_path):
    def fingerprint(change):
        model = tiny_model()
        change(model)
        return save_model_directory(tmp_path / "model", model, CARD)

    def set_preprocess(model):
        values = model.image_encoder.preprocess.to_dict() | {"interpolation": "bilinear"}
        model.image_encoder.preprocess = type(model.image_encoder.preprocess).from_dict(values)

    changes = [
        lambda model: None,
        lambda model: model.text_head.projection.weight.data[0, 0].add_(1e-6),
        lambda model: model.image_head.standardise.mean[0].add_(1e-6),
        lambda model: model.image_encoder.norm.running_var.mul_(1.001),
        set_preprocess,
        lambda model: setattr(model.text_encoder.tokenizer, "alphabet", "zyx"),
        lambda model: setattr(model.image_head.dropout, "p", 0.1),
    ]
    assert len({fingerprint(change) for change in changes}) == len(changes)
    assert fingerprint(changes[0]) == fingerprint(changes[0])


def test_fingerprint_does_not_depend_on_where_the_towers_came_from(saved, tmp_path, model):
    model.image_encoder.source, model.text_encoder.licence = "timm//home/somebody/tower", "unknown"
    assert save_model_directory(tmp_path / "moved", model, CARD) == verify_model_directory(saved)
    loaded = load_model_directory(tmp_path / "moved").model
    assert (loaded.image_encoder.source, loaded.text_encoder.licence) == ("timm//home/somebody/tower", "unknown")


def test_editing_the_card_keeps_the_fingerprint(saved):
    before = load_model_directory(saved)
    path = saved / "README.md"
    path.write_text(
        path.read_text().replace("# Tiny", "# Tiny\n\nNot for clinical use.").replace("name: Tiny", "name: X")
    )
    after = load_model_directory(saved)
    assert after.fingerprint == before.fingerprint
    assert after.card.name == "X"


def test_replacing_keeps_the_files_of_the_user(saved):
    (saved / "report.html").write_text("mine")
    (saved / "figures").mkdir()
    (saved / "figures" / "curve.png").write_text("mine too")
    newer = tiny_model(seed=1)
    fingerprint = save_model_directory(saved, newer, CARD)
    assert load_model_directory(saved).fingerprint == fingerprint
    assert torch.equal(embeddings(load_model_directory(saved).model)[0], embeddings(newer)[0])
    assert (saved / "report.html").read_text() == "mine"
    assert (saved / "figures" / "curve.png").read_text() == "mine too"
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_other_folders_and_files_are_never_overwritten(tmp_path, model, saved):
    mine = tmp_path / "photos"
    mine.mkdir()
    (mine / "a.jpg").write_text("mine")
    with pytest.raises(ModelDirectoryError, match="is not a model directory: nothing was written"):
        save_model_directory(mine, model, CARD)
    assert tree(mine) == {"a.jpg": b"mine"}
    with pytest.raises(ModelDirectoryError, match="is a file"):
        save_model_directory(mine / "a.jpg", model, CARD)
    (mine / "fingerprint").write_text("not ours")
    with pytest.raises(ModelDirectoryError, match="another program"):
        save_model_directory(mine, model, CARD)
    (saved / "tokenizer" / "notes.txt").write_text("mine")
    with pytest.raises(ModelDirectoryError, match=r"notes\.txt is not part of the model and would be lost"):
        save_model_directory(saved, model, CARD)
    assert (saved / "tokenizer" / "notes.txt").exists()


def test_an_empty_folder_a_new_parent_and_a_link_to_a_folder_can_be_targets(tmp_path, model):
    (tmp_path / "empty").mkdir()
    save_model_directory(tmp_path / "empty", model, CARD)
    save_model_directory(tmp_path / "a" / "b" / "model", model, CARD)
    (tmp_path / "latest").symlink_to(tmp_path / "empty")
    fingerprint = save_model_directory(tmp_path / "latest", tiny_model(seed=1), CARD)
    assert (tmp_path / "latest").is_symlink()
    assert load_model_directory(tmp_path / "empty").fingerprint == fingerprint


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("where", ["save_file", "write_fingerprint", "write_config"])
def test_a_failure_while_writing_leaves_everything_as_it_was(tmp_path, monkeypatch, exists, where):
    target = tmp_path / "model"
    if exists:
        save_model_directory(target, tiny_model(), CARD)
        (target / "mine.txt").write_text("mine")
    before = tree(tmp_path)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"vlcore.hub.model_directory.{where}", fail)
    with pytest.raises(OSError, match="No space left"):
        save_model_directory(target, tiny_model(seed=1), CARD)
    assert tree(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == (["model"] if exists else [])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("moment", ["vlcore.hub.model_directory.write_fingerprint", "vlcore.hub.whole_folder._swap"])
def test_a_process_killed_while_saving_leaves_the_old_model_whole(saved, moment):
    before = tree(saved)
    child = os.fork()
    if child == 0:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(moment, lambda *args: os.kill(os.getpid(), signal.SIGKILL))
            save_model_directory(saved, tiny_model(seed=1), CARD)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert tree(saved) == before
    load_model_directory(saved)
    save_model_directory(saved, tiny_model(seed=1), CARD)
    assert tree(saved)["model.safetensors"] != before["model.safetensors"]


def test_a_failing_rename_puts_the_old_model_back(saved, monkeypatch):
    before = tree(saved)
    rename = type(saved).rename

    def fail_for_new(self, target):
        if self.name.endswith(".part"):
            raise OSError("cannot rename")
        return rename(self, target)

    monkeypatch.setattr(type(saved), "rename", fail_for_new)
    with pytest.raises(OSError, match="cannot rename"):
        save_model_directory(saved, tiny_model(seed=1), CARD)
    assert tree(saved) == before
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_everything_is_on_disk_before_it_gets_its_name(tmp_path, model, monkeypatch):
    synced = []
    monkeypatch.setattr("vlcore.hub.whole_folder.sync", lambda path: synced.append((path.name, path.exists())))
    save_model_directory(tmp_path / "model", model, CARD)
    assert all(exists for _, exists in synced)
    names = [name for name, _ in synced]
    files = {"config.yaml", "model.safetensors", "preprocess.json", "letters.json", "README.md", "fingerprint"}
    assert files <= set(names)
    # The new folder comes after its files, and its parent, which holds the new name, last.
    assert names[-2].endswith(".part") and names[-1] == tmp_path.name


def test_a_diverged_model_is_not_saved(tmp_path, model):
    with torch.no_grad():
        model.text_head.projection.weight[0, 0] = float("nan")
    with pytest.raises(ConfigurationError, match=r"text_head\.projection\.weight' has NaN"):
        save_model_directory(tmp_path / "model", model, CARD)
    assert list(tmp_path.iterdir()) == []


def test_a_class_that_could_not_be_loaded_again_is_not_saved(tmp_path, model, monkeypatch):
    monkeypatch.setattr("vlcore.hub.safe_loading.allowed_packages", lambda: {"vlcore"})
    with pytest.raises(ConfigurationError, match=r"tiny_model\.TinyImageEncoder could be saved but never loaded"):
        save_model_directory(tmp_path / "model", model, CARD)
    assert list(tmp_path.iterdir()) == []


def test_an_argument_that_is_no_plain_value_is_not_saved(tmp_path, model):
    model.image_head.hidden_features = torch.tensor(7)
    with pytest.raises(ConfigurationError, match="YAML cannot hold"):
        save_model_directory(tmp_path / "model", model, CARD)
    assert list(tmp_path.iterdir()) == []


def test_preprocessing_is_read_from_its_file_alone(saved):
    stored = json.loads((saved / "preprocess.json").read_text())
    assert stored == json.loads(json.dumps(tiny_model().image_encoder.preprocess.to_dict()))

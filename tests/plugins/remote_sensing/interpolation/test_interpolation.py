"""Weights between two models, the place that is chosen, and the command that writes it."""

from __future__ import annotations

import math

import pytest
import torch
from small_rs_m_clip import make_task
from small_towers import small_data, small_trainer

import vlcore
from vlcore.cli.main import main
from vlcore.data.manifest import open_manifest
from vlcore.errors import ConfigurationError, EvaluationError
from vlcore.hub.model_directory import ModelCard, load_model_directory, save_model_directory
from vlcore_remote_sensing.interpolation.choose import CurvePoint, best_alpha, interpolation_curve
from vlcore_remote_sensing.interpolation.weights import interpolate_weights

pytestmark = pytest.mark.usefixtures("small_towers")


@pytest.fixture
def ends(tiny_manifest, tmp_path):
    """A model, and what it was tuned to."""
    base = make_task().model.eval()
    tuned = make_task(local_scale=(0.2, 0.4), learning_rate=0.05)
    small_trainer(tmp_path, max_epochs=8).fit(tuned, datamodule=small_data(tiny_manifest))
    return base, tuned.model.eval()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_weights_lie_on_the_line_and_the_ends_are_exact(alpha, ends):
    base, tuned = ends
    before = [{name: value.clone() for name, value in end.state_dict().items()} for end in ends]
    between = interpolate_weights(base, tuned, alpha)
    for name, value in between.state_dict().items():
        expected = (1 - alpha) * before[0][name].double() + alpha * before[1][name].double()
        assert torch.allclose(value.double(), expected, atol=1e-7), name
        if alpha in (0.0, 1.0):
            assert torch.equal(value, before[int(alpha)][name])
    for end, kept in zip(ends, before, strict=True):
        assert all(torch.equal(value, kept[name]) for name, value in end.state_dict().items())
    with torch.no_grad():
        between.logit_scale.add_(1)
    assert torch.equal(base.logit_scale, before[0]["logit_scale"])


def test_whole_numbers_come_from_the_nearer_model(ends):
    base, tuned = ends
    for end, count in zip(ends, (3, 8), strict=True):
        end.image_head.register_buffer("count", torch.tensor(count))
    assert int(interpolate_weights(base, tuned, 0.4).image_head.count) == 3
    assert int(interpolate_weights(base, tuned, 0.6).image_head.count) == 8


def test_models_with_nothing_between_them_are_refused(ends):
    base, tuned = ends
    for alpha in (-0.1, 1.1, math.nan):
        with pytest.raises(ConfigurationError, match=r"alpha=.*choose 0 \(the base\) to 1"):
            interpolate_weights(base, tuned, alpha)
    wider = make_task(embedding_size=7).model
    with pytest.raises(ConfigurationError, match=r"'image_head.* has the shape \(4.* in the base and \(7"):
        interpolate_weights(base, wider, 0.5)
    tuned.image_encoder.preprocess = type(tuned.image_encoder.preprocess)(size=(16, 16), resize="squash")
    with pytest.raises(ConfigurationError, match="The image encoders of the two models differ in preprocess"):
        interpolate_weights(base, tuned, 0.5)


def test_the_curve_is_that_of_the_models_at_its_places(ends, tiny_manifest):
    base, tuned = ends
    manifest = open_manifest(tiny_manifest)
    seen = []
    points = interpolation_curve(
        base, tuned, manifest, split="test", alphas=(1, 0, 0.5), device="cpu", done=seen.append
    )
    assert points == seen and [point.alpha for point in points] == [0, 0.5, 1]
    from vlcore.retrieval.evaluate import evaluate
    from vlcore.retrieval.model import Model

    for point, end in zip((points[0], points[2]), ends, strict=True):
        result = evaluate(Model(end, "end", device="cpu"), manifest, split="test", bootstrap=1)
        assert point.mean_recall == result.retrieval["duplicate_tolerant"]["mean_recall"]
        assert point.accuracy == result.zero_shot["accuracy"]
    with pytest.raises(ConfigurationError, match="There are no alphas to try"):
        interpolation_curve(base, tuned, manifest, alphas=())


def test_the_best_place_is_the_one_nearest_to_the_base_among_equals():
    curve = [CurvePoint(0.0, 40.0, 60.0), CurvePoint(0.4, 55.0, 58.0), CurvePoint(0.8, 55.0, 50.0)]
    assert best_alpha(curve) == 0.4
    assert best_alpha(curve, "accuracy") == 0.0
    assert best_alpha([CurvePoint(0.2, None, 1.0), CurvePoint(0.7, None, 2.0)]) == 0.7
    with pytest.raises(EvaluationError, match="The records have no captions, so there is no mean_recall"):
        best_alpha([CurvePoint(0.2, None, 1.0)], "mean_recall")
    with pytest.raises(EvaluationError, match="fewer than two labels, so there is no accuracy"):
        best_alpha([CurvePoint(0.2, 1.0, None)], "accuracy")


def test_the_command_writes_the_chosen_model_and_prints_the_curve(ends, tiny_manifest, tmp_path, capsys):
    for name, end in zip(("base", "tuned"), ends, strict=True):
        save_model_directory(tmp_path / name, end, ModelCard(name))
    command = ["remote-sensing", "interpolate", str(tmp_path / "base"), str(tmp_path / "tuned")]
    command += ["-o", str(tmp_path / "between"), "--manifest", str(tiny_manifest), "--split", "test", "--device", "cpu"]
    assert main([*command, "--alphas", "0", "0.5", "1"]) == 0
    said = capsys.readouterr().out
    loaded = load_model_directory(tmp_path / "between")
    training = loaded.card.training
    curve = [CurvePoint(**{"accuracy": None, **point}) for point in training["curve"]]
    assert training["alpha"] == best_alpha(curve) and len(curve) == 3
    assert training["base"] == vlcore.load(tmp_path / "base").fingerprint
    assert f"at alpha {training['alpha']:g} (fingerprint {loaded.fingerprint[:12]})" in said
    for point in curve:
        assert f"{point.mean_recall:.2f}" in said
    assert said.count("chosen") == 1
    expected = interpolate_weights(*ends, training["alpha"]).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.model.state_dict().items())


def test_mistakes_of_the_command_are_one_message(ends, tiny_manifest, tmp_path, capsys):
    save_model_directory(tmp_path / "base", ends[0], ModelCard("base"))
    command = ["remote-sensing", "interpolate", str(tmp_path / "base"), str(tmp_path / "base")]
    command += ["-o", str(tmp_path / "between"), "--manifest", str(tiny_manifest), "--device", "cpu"]
    assert main([*command, "--split", "test", "--alphas", "2"]) == 2
    assert "alpha=2.0: choose 0 (the base) to 1" in " ".join(capsys.readouterr().err.split())
    assert main([*command, "--split", "val"]) == 2
    assert "No record has the split 'val'" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "between").exists()

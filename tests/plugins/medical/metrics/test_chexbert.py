"""CheXbert from a random checkpoint in the released layout, against the same computed by hand."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, BertModel

from small_bert import save_tower
from vlcore.errors import EvaluationError, ModelDirectoryError
from vlcore_medical.metrics.chexbert import CheXbert
from vlcore_medical.metrics.finding_f1 import finding_f1
from vlcore_medical.reports.findings import CHEXPERT, NO_FINDING

REPORTS = ["a red square .", "everything here is blue\nwhite", "dogs", "the same words for running in snow ."]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tower(tmp_path_factory.mktemp("bert"), "bert")


def weights(bert: Path) -> dict[str, Tensor]:
    """As the authors wrote them: wrapped for several devices, with a buffer of old versions."""
    torch.manual_seed(3)
    state = {f"module.bert.{name}": tensor for name, tensor in BertModel.from_pretrained(bert).state_dict().items()}
    state["module.bert.embeddings.position_ids"] = torch.arange(32)[None]
    for number in range(14):
        layer = nn.Linear(24, 4 if number < 13 else 2)
        state[f"module.linear_heads.{number}.weight"] = layer.weight.detach()
        state[f"module.linear_heads.{number}.bias"] = layer.bias.detach()
    return state


@pytest.fixture
def checkpoint(bert: Path, tmp_path: Path) -> Path:
    path = tmp_path / "chexbert.pth"
    torch.save({"epoch": 7, "model_state_dict": weights(bert)}, path)
    return path


def states(bert: Path) -> list[Tensor]:
    """First state of every report, one by one, without padding."""
    tokenizer, model = AutoTokenizer.from_pretrained(bert), BertModel.from_pretrained(bert).eval()
    with torch.no_grad():
        return [
            model(**tokenizer(" ".join(text.split()), return_tensors="pt")).last_hidden_state[0, 0] for text in REPORTS
        ]


def test_labels_equal_those_by_hand(bert: Path, checkpoint: Path) -> None:
    told = CheXbert.load(checkpoint, bert, "cpu").read(REPORTS)
    state = weights(bert)
    seen = set()
    for status, first in zip(told, states(bert), strict=True):
        for number, name in enumerate((*CHEXPERT, NO_FINDING)):
            head = f"module.linear_heads.{number}"
            place = int((state[f"{head}.weight"] @ first + state[f"{head}.bias"]).argmax())
            assert status[name] == ("not mentioned", "positive", "negative", "uncertain")[place]
            seen.add(status[name])
    assert len(seen) == 4  # otherwise the order of the classes would go untested


def test_similarity_is_the_mean_cosine(bert: Path, checkpoint: Path) -> None:
    model = CheXbert.load(checkpoint, bert, "cpu")
    rows = torch.stack(states(bert))
    assert np.allclose(model.embed(REPORTS), rows.numpy(), atol=1e-5)
    turned = REPORTS[::-1]
    expected = nn.functional.cosine_similarity(rows, rows.flip(0), dim=1).mean()
    assert model.similarity(REPORTS, turned) == pytest.approx(float(expected), abs=1e-5)
    assert model.similarity(REPORTS, REPORTS) == pytest.approx(1)
    with pytest.raises(EvaluationError, match="got 4 and 1"):
        model.similarity(REPORTS, ["a"])


def test_findings_are_scored_by_its_labels(bert: Path, checkpoint: Path) -> None:
    model = CheXbert.load(checkpoint, bert, "cpu")
    assert finding_f1(REPORTS, REPORTS, read=model.read).micro == 1
    told, turned = model.read(REPORTS), REPORTS[::-1]
    for uncertain, counted in (("negative", {"positive"}), ("positive", {"positive", "uncertain"})):
        pairs = [
            (one[name] in counted, other[name] in counted)
            for one, other in zip(told, told[::-1], strict=True)
            for name in CHEXPERT
        ]
        right = sum(one and other for one, other in pairs)
        expected = 2 * right / sum(one + other for one, other in pairs)
        found = finding_f1(REPORTS, turned, uncertain=uncertain, read=model.read)  # type: ignore[arg-type]
        assert found.micro == pytest.approx(expected)


def test_what_does_not_fit_is_told(bert: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    with pytest.raises(ModelDirectoryError, match=r"There is no file .*wrong\.pth"):
        CheXbert.load(path, bert)
    state = weights(bert)
    del state["module.linear_heads.3.bias"]
    state["module.extra"] = torch.zeros(1)
    torch.save({"model_state_dict": state}, path)
    with pytest.raises(ModelDirectoryError, match=r"missing linear_heads\.3\.bias; unexpected extra"):
        CheXbert.load(path, bert)
    with pytest.raises(ModelDirectoryError, match="no folder with config and tokeniser of a BERT"):
        CheXbert.load(path, tmp_path)

    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("harm",)

    path.write_bytes(pickle.dumps(Harm()))
    with pytest.raises(ModelDirectoryError, match="could run code"):
        CheXbert.load(path, bert)

"""The answer head: what its ways of fusion compute."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError
from vlcore_medical.heads.answer import FUSIONS, AnswerHead, Fusion


def head(fusion: Fusion) -> tuple[AnswerHead, Tensor, Tensor]:
    """A head in evaluation mode with inputs for it."""
    torch.manual_seed(0)
    answers = nn.functional.normalize(torch.randn(7, 5), dim=1)
    made = AnswerHead(12, 9, list("abcdefg"), answers, fusion=fusion, components=3, hidden=8)
    image, question = torch.randn(20, 12), torch.randn(20, 9)
    made.fit_statistics(image, question)
    return made.eval(), image, question


@pytest.mark.parametrize("fusion", FUSIONS)
def test_logits_equal_a_loop_over_rows_and_factors(fusion: Fusion) -> None:
    made, image, question = head(fusion)
    logits = made(image, question)
    assert logits.shape == (20, 7)
    for row in range(3):
        asked = (question[row] - question.mean(0)) / question.std(0)
        state = nn.functional.gelu(made.question.weight @ asked + made.question.bias)
        if fusion != "none":
            seen = made.image_projection(made.image(image[row : row + 1]))[0]
            gate = made.gate.weight @ asked + made.gate.bias
            if fusion == "product":
                joint = torch.tanh(seen) * torch.tanh(gate)
            elif fusion == "film":
                joint = nn.functional.gelu(seen * (1 + gate[:8]) + gate[8:])
            else:
                joint = torch.stack(
                    [sum(torch.tanh(seen[4 * h + k]) * torch.tanh(gate[4 * h + k]) for k in range(4)) for h in range(8)]
                )
            state = state + made.correct(joint)
        for answer in range(7):
            own = made.classify.weight[answer] @ state + made.classify.bias[answer]
            expected = own + made.embed(state) @ made.answer_features[answer]
            assert float(logits[row, answer]) == pytest.approx(float(expected), abs=1e-4)


def test_the_blind_head_does_not_see_the_image() -> None:
    made, image, question = head("none")
    assert torch.equal(made(image, question), made(image.flip(0), question))


def test_another_fusion_is_told() -> None:
    with pytest.raises(ConfigurationError, match="fusion='sum': choose one of none, product, bilinear, film"):
        AnswerHead(4, 4, ["no", "yes"], torch.zeros(2, 3), fusion="sum")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="1 answers do not fit 2 features"):
        AnswerHead(4, 4, ["no"], torch.zeros(2, 3))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_head_comes_back_from_its_configuration(fusion: Fusion) -> None:
    made, image, question = head(fusion)
    again = AnswerHead.from_config(made.config())
    again.load_state_dict(made.state_dict())
    assert torch.equal(again.eval()(image, question), made(image, question))
    assert again.predict(image, question) == made.predict(image, question)

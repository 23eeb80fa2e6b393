from copy import deepcopy

import pytest
import torch

from vlcore.errors import ConfigurationError
from vlcore.heads.identity import IdentityHead
from vlcore.heads.linear import LinearHead
from vlcore.heads.residual_mlp import ResidualMLPHead
from vlcore.heads.star_mlp import StarMLPHead
from vlcore.heads.token_projector import TokenProjectorHead

HEADS = [
    LinearHead(6, 4),
    LinearHead(6, 4, bias=False),
    ResidualMLPHead(6, 4, hidden_features=8, dropout=0.1),
    StarMLPHead(6, 4, expansion=2),
]


@pytest.mark.parametrize("head", [*HEADS, IdentityHead(6)], ids=lambda head: type(head).__name__)
def test_config_rebuilds_a_head_that_takes_the_weights(head):
    twin = type(head)(**head.config())
    twin.load_state_dict(head.state_dict())
    features = torch.randn(3, 6)
    torch.testing.assert_close(twin.eval()(features), head.eval()(features), rtol=0, atol=0)
    assert head(features).shape == (3, head.out_features)
    assert twin.config() == head.config()


@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
def test_statistics_are_part_of_the_weights_and_undo_any_scale(head):
    torch.manual_seed(0)
    head = deepcopy(head).double()
    features = torch.randn(50, 6, dtype=torch.float64)
    mean, scale = torch.arange(6) * 10.0 - 20, torch.logspace(-3, 3, 6, dtype=torch.float64)
    twin = type(head)(**head.config()).double()
    twin.load_state_dict(head.state_dict())
    twin.set_statistics(mean, scale)
    torch.testing.assert_close(twin.eval()(features * scale + mean), head.eval()(features))
    assert {"standardise.mean", "standardise.scale"} <= set(twin.state_dict())


@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
def test_every_parameter_learns(head):
    head.zero_grad()
    head.train()(torch.randn(16, 6)).square().mul(torch.arange(1.0, 5)).sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_star_mlp_equals_its_formula_with_clamped_values():
    torch.manual_seed(0)
    head = StarMLPHead(5, 3, expansion=8).double()
    with torch.no_grad():
        head.value.weight[0] *= 1e6  # beyond the clamp
        head.gate.bias += 1.0
    x = torch.randn(7, 5, dtype=torch.float64)
    normalised = (x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    head.requires_grad_(False)
    rows = []
    for row in normalised:
        hidden = []
        for j in range(40):
            gate = min(max(float(head.gate.weight[j] @ row + head.gate.bias[j]), 0.0), 6.0)
            value = min(max(float(head.value.weight[j] @ row + head.value.bias[j]), -1e3), 1e3)
            hidden.append(gate * value)
        rows.append(head.projection.weight @ torch.tensor(hidden, dtype=torch.float64) + head.projection.bias)
    torch.testing.assert_close(head(x), torch.stack(rows))


def test_star_mlp_starts_with_zero_biases_and_the_bound_of_xavier():
    head = StarMLPHead(16, 8)
    for layer in (head.gate, head.value, head.projection):
        bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
        assert layer.bias.abs().max() == 0
        assert bound * 0.9 < layer.weight.abs().max() <= bound
    assert head.gate.out_features == 128


def test_residual_mlp_equals_its_formula():
    torch.manual_seed(0)
    head = ResidualMLPHead(5, 3, hidden_features=4).double().eval()
    x = torch.randn(7, 5, dtype=torch.float64)
    p = x @ head.projection.weight.T + head.projection.bias
    hidden = x @ head.expand.weight.T + head.expand.bias
    gelu = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    total = p + gelu @ head.contract.weight.T + head.contract.bias
    expected = (total - total.mean(1, keepdim=True)) / (total.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(head(x), expected)


def test_residual_mlp_drops_only_in_training():
    head = ResidualMLPHead(50, 8, dropout=0.5)
    features = torch.randn(2, 50)
    assert not torch.equal(head.train()(features), head.train()(features))
    assert torch.equal(head.eval()(features), head.eval()(features))


def test_token_projector_is_the_mean_of_projected_tokens_and_the_projection_of_their_mean():
    torch.manual_seed(0)
    head = TokenProjectorHead(12, 5, token_width=4, hidden_features=6, dropout=0.0).double()
    tokens = torch.randn(2, 3, 4, dtype=torch.float64)
    tokens[1, 2] = 0  # the second text has two tokens

    def project(part, x):
        x = torch.nn.functional.layer_norm(x, (4,), part.norm.weight, part.norm.bias)
        curved = torch.nn.functional.gelu(x @ part.expand.weight.T + part.expand.bias)
        straight = x @ part.straight.weight.T + part.straight.bias
        return straight + curved @ part.contract.weight.T + part.contract.bias

    found = head(tokens.flatten(1))
    for row, count in ((0, 3), (1, 2)):
        real = tokens[row, :count]
        expected = torch.stack([project(head.token, one) for one in real]).mean(0) + project(head.whole, real.mean(0))
        assert torch.allclose(found[row], expected, atol=1e-12)
    again = TokenProjectorHead(**head.config())
    again.load_state_dict(head.state_dict())


def test_token_projector_wants_tokens():
    with pytest.raises(ConfigurationError, match="choose the tower's tokens, such as tokens/starter"):
        TokenProjectorHead(12, 5)
    with pytest.raises(ConfigurationError, match="gives 13 numbers"):
        TokenProjectorHead(13, 5, token_width=4)

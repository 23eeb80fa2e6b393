"""The projection head against its parts, written out."""

from __future__ import annotations

import copy

import torch

from vlcore_remote_sensing.heads.self_distillation_head import SelfDistillationHead


def test_outputs_are_cosines_with_directions():
    torch.manual_seed(0)
    head = SelfDistillationHead(6, outputs=10, hidden_features=8, bottleneck=4)
    features = torch.randn(3, 2, 6)
    first, second, third = (head.layers[place] for place in (0, 2, 4))
    hidden = torch.nn.functional.gelu(first(features))
    hidden = third(torch.nn.functional.gelu(second(hidden)))
    cosines = torch.nn.functional.cosine_similarity(hidden[..., None, :], head.directions, dim=-1)
    assert torch.allclose(head(features), cosines, atol=1e-6)
    assert head(features).shape == (3, 2, 10)


def test_the_length_of_directions_does_not_matter_as_with_weight_normalisation_of_length_one():
    torch.manual_seed(0)
    head = SelfDistillationHead(6, outputs=10, hidden_features=8, bottleneck=4)
    longer = copy.deepcopy(head)
    with torch.no_grad():
        longer.directions.mul_(torch.linspace(0.5, 3, 10)[:, None])
    features = torch.randn(3, 6)
    assert torch.allclose(head(features), longer(features), atol=1e-6)


def test_a_held_last_layer_stays_in_a_step_and_the_rest_learns():
    torch.manual_seed(0)
    head = SelfDistillationHead(6, outputs=10, hidden_features=8, bottleneck=4)
    before = copy.deepcopy(head.state_dict())
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.1)
    head(torch.randn(3, 6)).square().sum().backward()
    head.hold_last_layer()
    optimizer.step()
    after = head.state_dict()
    assert torch.equal(before["directions"], after["directions"])
    assert not torch.equal(before["layers.0.weight"], after["layers.0.weight"])

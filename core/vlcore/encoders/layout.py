"""Where the blocks of a network are: found by the names that architectures give them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from vlcore.errors import ConfigurationError

# Stages that are attributes of their own.
_STAGES = (("layer1", "layer2", "layer3", "layer4"), ("s1", "s2", "s3", "s4"))
# Containers whose members are blocks; several names in one entry follow each other.
_CONTAINERS: tuple[tuple[str, ...], ...] = (
    ("blocks", "cls_attn_blocks"),
    ("blocks",),
    ("stages",),
    ("layers",),
    ("resblocks",),
    ("layer",),
    ("block",),
    ("features",),
)
_WRAPPERS = ("encoder", "transformer", "model", "vision_model", "text_model", "trunk")


def find_blocks(network: nn.Module, name: str) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return the blocks of a network and the layers behind the last one, both in the order of the data.

    Args:
        network: whose children are registered in the order of the data, as all sources here do.
        name: of the tower, for the message.

    Raises:
        ConfigurationError: if no container of blocks is found.
    """
    found = _search(network)
    if found is None:
        children = ", ".join(key for key, _ in network.named_children())
        raise ConfigurationError(
            f"{name}: its blocks are not known (layers: {children}), so it cannot be trained in part. Choose "
            f"trainable 'none' or 'all', or another tower."
        )
    return found


def _search(network: nn.Module) -> tuple[list[nn.Module], list[nn.Module]] | None:
    children = dict(network.named_children())
    for stages in _STAGES:
        if all(name in children for name in stages):
            return [children[name] for name in stages], _after(children, stages[-1])
    for names in _CONTAINERS:
        if all(name in children for name in names):
            blocks: list[nn.Module] = []
            for name in names:
                child = children[name]
                blocks += list(child) if isinstance(child, nn.Sequential | nn.ModuleList) else [child]
            if blocks:
                return blocks, _after(children, names[-1])
    for name in _WRAPPERS:
        if name in children and (found := _search(children[name])) is not None:
            return found[0], [*found[1], *_after(children, name)]
    return None


def _after(children: dict[str, nn.Module], name: str) -> list[nn.Module]:
    names: Sequence[str] = list(children)
    return [children[later] for later in names[names.index(name) + 1 :]]

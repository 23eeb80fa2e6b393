"""Towers of open_clip: CLIP, SigLIP, CoCa, and their descendants for medicine, remote sensing and other domains."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlcore.encoders.base import DualTowers, ImageEncoder, TextEncoder, TextTokenizer
from vlcore.encoders.layout import find_blocks
from vlcore.encoders.open_clip_source import OpenClipSource, open_clip_library, read_source
from vlcore.encoders.prefix_sharing import CausalBlock, encode_ends
from vlcore.encoders.tokenizer import check_vocabulary, load_tokenizer
from vlcore.encoders.weights import load_strict
from vlcore.errors import ConfigurationError
from vlcore.types import EncoderOutput, ImagePreprocess, Trainable


class OpenClipImageEncoder(ImageEncoder):
    """The image tower of an open_clip model, projected into the common space.

    Args:
        model: `embed_dim`, `vision_cfg` and `quick_gelu` of the model's configuration.
        preprocess: that the weights were trained with.
    """

    def __init__(self, model: Mapping[str, Any], preprocess: ImagePreprocess) -> None:
        super().__init__()
        library = open_clip_library()
        self.model = {key: model[key] for key in ("embed_dim", "vision_cfg", "quick_gelu")}
        self.preprocess = preprocess
        self.source = "open_clip"
        vision = {**model["vision_cfg"], "timm_model_pretrained": False}
        self.network: Any = library.model._build_vision_tower(model["embed_dim"], vision, model["quick_gelu"])
        self._gives_tokens = isinstance(self.network, library.transformer.VisionTransformer)
        if self._gives_tokens:
            self.network.output_tokens = True
        self.width = int(model["embed_dim"])

    @classmethod
    def from_config(cls, config: dict[str, Any], preprocess: ImagePreprocess) -> OpenClipImageEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        return cls(config, preprocess)

    def encode(self, pixels: Tensor) -> EncoderOutput:
        """Encode normalised pixels `[B, 3, H, W]` float."""
        if not self._gives_tokens:
            return EncoderOutput(None, self.network(pixels))
        pooled, tokens = self.network(pixels)
        return EncoderOutput(tokens, pooled)

    def blocks(self) -> Sequence[nn.Module]:
        """Transformer layers or convolutional stages."""
        return find_blocks(self.network, self.source)[0]

    def after_blocks(self) -> Sequence[nn.Module]:
        """Final normalisation and pooling."""
        return find_blocks(self.network, self.source)[1]

    def config(self) -> dict[str, Any]:
        """The image part of the model's configuration."""
        return self.model


class OpenClipTextEncoder(TextEncoder):
    """The text tower of an open_clip model, projected into the common space.

    A causal tower (CLIP) is computed at the length of the batch's longest text: what follows the end token cannot
    change it. A tower that attends to padding (SigLIP, CoCa) is given its full length, as it was trained.

    Args:
        model: `embed_dim`, `text_cfg` and `quick_gelu` of the model's configuration, and `text_model`, the
            configuration of transformers where the tower is one of its models (else None).
        tokenizer: made for it.
    """

    shares_prefixes: ClassVar[bool] = True
    network: Any

    def __init__(self, model: Mapping[str, Any], tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.model = {key: model[key] for key in ("embed_dim", "text_cfg", "quick_gelu", "text_model")}
        self.tokenizer = tokenizer
        self.context_length = tokenizer.context_length
        self.source = "open_clip"
        self.network = tower = _text_tower(self.model)
        tower.output_tokens = True
        self.width = int(model["embed_dim"])
        self._masked = model["text_model"] is not None
        self._causal = not self._masked and _reads_end_only(tower)
        check_vocabulary(tokenizer, tower.vocab_size, self.source)

    @classmethod
    def from_config(cls, config: dict[str, Any], tokenizer_folder: Path) -> OpenClipTextEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        return cls(config, load_tokenizer(tokenizer_folder))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> EncoderOutput:
        """Encode ids `[B, L]` int64 with mask `[B, L]`."""
        # Whoever made the batch may have padded with another id.
        ids = input_ids.masked_fill(attention_mask == 0, self.tokenizer.pad_id)
        if self._causal:
            return self._forward_causal(ids)
        if not self._masked:
            ids = F.pad(ids, (0, self.context_length - ids.shape[1]), value=self.tokenizer.pad_id)
        pooled, tokens = self.network(ids)
        return EncoderOutput(tokens, pooled)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Pooled features `[B, D]` alone; for CLIP without gradients, common beginnings are computed once."""
        blocks = _causal_blocks(self.network) if self._causal and not torch.is_grad_enabled() else None
        if not blocks:
            return super().pool(input_ids, attention_mask)
        ids = input_ids.masked_fill(attention_mask == 0, self.tokenizer.pad_id)
        states = encode_ends(ids, self._ends(ids), partial(_embed, self.network), blocks)
        return _project(self.network, self.network.ln_final(states))

    def blocks(self) -> Sequence[nn.Module]:
        """Transformer layers."""
        return find_blocks(self.network, self.source)[0]

    def after_blocks(self) -> Sequence[nn.Module]:
        """Final normalisation and projection."""
        return find_blocks(self.network, self.source)[1]

    def config(self) -> dict[str, Any]:
        """The text part of the model's configuration."""
        return self.model

    def _forward_causal(self, ids: Tensor) -> EncoderOutput:
        tower, longest = self.network, ids.shape[1]
        states = tower.token_embedding(ids) + tower.positional_embedding[:longest]  # [B, L, W]
        states = tower.ln_final(tower.transformer(states, attn_mask=tower.attn_mask[:longest, :longest]))
        ends = states[torch.arange(len(ids), device=ids.device), self._ends(ids)]
        return EncoderOutput(states, _project(tower, ends))

    def _ends(self, ids: Tensor) -> Tensor:
        """Position of the end token, `[B]`: the highest id of a text, or the tower's own end id."""
        found = ids if self.network.pool_type == "argmax" else ids.eq(self.network.eos_id).int()
        return found.argmax(dim=1)


def build_image(argument: str, trainable: Trainable = "none") -> OpenClipImageEncoder:
    """Build the image tower of a pretrained model; see `build_dual` for the arguments and errors."""
    source = read_source(argument)
    return _image_tower(source, argument, trainable)


def build_text(argument: str, trainable: Trainable = "none") -> OpenClipTextEncoder:
    """Build the text tower of a pretrained model; see `build_dual` for the arguments and errors."""
    source = read_source(argument)
    return _text_encoder(source, argument, trainable)


def build_dual(argument: str, trainable: Trainable = "none") -> DualTowers:
    """Build both towers of a pretrained model.

    Args:
        argument: a local folder with open_clip_config.json, open_clip_model.safetensors and, where the model has a
            tokeniser of transformers, tokenizer.json; a hub id, with or without `hf-hub:`; or `model/tag` of
            open_clip's own list, such as `ViT-B-32/laion2b_s34b_b79k`.
        trainable: which part of each tower learns.

    Raises:
        ConfigurationError: if there is no such model, or it cannot be fetched.
        MissingDependencyError: if open_clip is not installed.
        ModelDirectoryError: if a folder is incomplete or does not fit.
    """
    source = read_source(argument)
    return DualTowers(
        _image_tower(source, argument, trainable),
        _text_encoder(source, argument, trainable),
        source.logit_scale,
        source.logit_bias,
    )


def _image_tower(source: OpenClipSource, argument: str, trainable: Trainable) -> OpenClipImageEncoder:
    encoder = OpenClipImageEncoder(source.model, source.preprocess)
    load_strict(encoder.network, source.image_state, source.place)
    encoder.source, encoder.licence = f"open_clip/{argument}", source.licence
    encoder.set_trainable(trainable)
    return encoder.eval()


def _text_encoder(source: OpenClipSource, argument: str, trainable: Trainable) -> OpenClipTextEncoder:
    encoder = OpenClipTextEncoder(source.model, source.tokenizer())
    source.check_end(encoder.network, encoder.tokenizer)
    state = dict(source.text_state)
    # Old releases of transformers saved this table of 0, 1, 2, …
    if "transformer.embeddings.position_ids" not in encoder.network.state_dict():
        state.pop("transformer.embeddings.position_ids", None)
    load_strict(encoder.network, state, source.place)
    encoder.source, encoder.licence = f"open_clip/{argument}", source.licence
    encoder.set_trainable(trainable)
    return encoder.eval()


def _text_tower(model: Mapping[str, Any]) -> Any:
    library = open_clip_library()
    text = dict(model["text_cfg"])
    if model["text_model"] is None:
        tower = library.model._build_text_tower(model["embed_dim"], text, model["quick_gelu"])
        if not isinstance(tower, library.transformer.TextTransformer):
            raise ConfigurationError(f"open_clip builds a {type(tower).__name__}, which is not supported here.")
        return tower
    # open_clip reads this configuration from a folder or the hub; the folder is made here, so no hub is asked.
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(model["text_model"]), encoding="utf-8")
        text |= {"hf_model_name": folder, "hf_model_pretrained": False}
        return library.model._build_text_tower(model["embed_dim"], text, model["quick_gelu"])


def _reads_end_only(tower: Any) -> bool:
    """Whether nothing behind the end token can change the pooled feature."""
    return tower.attn_mask is not None and tower.cls_emb is None and tower.pool_type in ("argmax", "eos")


def _project(tower: Any, states: Tensor) -> Tensor:
    projection = tower.text_projection
    if projection is None:
        return states
    projected: Tensor = projection(states) if isinstance(projection, nn.Linear) else states @ projection
    return projected


def _embed(tower: Any, tokens: Tensor, positions: Tensor) -> Tensor:
    states: Tensor = tower.token_embedding(tokens) + tower.positional_embedding[positions]
    return states


def _causal_blocks(tower: Any) -> list[CausalBlock] | None:
    """The layers in parts, or None where they are not the plain ones."""
    layers = list(tower.transformer.resblocks)
    if any(type(layer).__name__ != "ResidualAttentionBlock" for layer in layers):
        return None
    return [_causal_block(layer) for layer in layers]


def _causal_block(layer: Any) -> CausalBlock:
    attention = layer.attn
    weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    query, key, value = (
        partial(F.linear, weight=weight, bias=bias) for weight, bias in zip(weights, biases, strict=True)
    )
    return CausalBlock(
        attention.num_heads,
        layer.ln_1,
        query,
        key,
        value,
        lambda attended: layer.ls_1(attention.out_proj(attended)),
        layer.ln_2,
        lambda states: layer.ls_2(layer.mlp(states)),
    )

"""A random checkpoint under the released names, and M3AE as plain functions of its tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F

WIDTH, HIDDEN, VOCABULARY, POSITIONS = 128, 192, 30, 34
PATCH, GRID = 8, 3
IMAGE_LAYERS, TEXT_LAYERS, FUSION_LAYERS, DECODER_LAYERS, PIXEL_LAYER = 3, 2, 4, 2, 2
DECODER = 64
HEADS = {"mlm", "mim", "itm"}


def released_state(heads=HEADS, answers=5, seed=0):
    """Every tensor of a public checkpoint, smaller."""
    state = {}

    def linear(name, out, into, bias=True):
        state[f"{name}.weight"] = (out, into)
        if bias:
            state[f"{name}.bias"] = (out,)

    def norm(name, width):
        state[f"{name}.weight"] = state[f"{name}.bias"] = (width,)

    def clip_layer(name, width):
        state[f"{name}.attn.in_proj_weight"], state[f"{name}.attn.in_proj_bias"] = (3 * width, width), (3 * width,)
        linear(f"{name}.attn.out_proj", width, width)
        hidden = HIDDEN if width == WIDTH else 4 * width
        linear(f"{name}.mlp.c_fc", hidden, width)
        linear(f"{name}.mlp.c_proj", width, hidden)
        norm(f"{name}.ln_1", width)
        norm(f"{name}.ln_2", width)

    def bert_layer(name, cross):
        for attention in ["attention", "crossattention"][: 1 + cross]:
            for part in ("query", "key", "value"):
                linear(f"{name}.{attention}.self.{part}", WIDTH, WIDTH)
            linear(f"{name}.{attention}.output.dense", WIDTH, WIDTH)
            norm(f"{name}.{attention}.output.LayerNorm", WIDTH)
        linear(f"{name}.intermediate.dense", HIDDEN, WIDTH)
        linear(f"{name}.output.dense", WIDTH, HIDDEN)
        norm(f"{name}.output.LayerNorm", WIDTH)

    visual = "vision_encoder.visual"
    state[f"{visual}.class_embedding"] = (WIDTH,)
    state[f"{visual}.positional_embedding"] = (1 + GRID**2, WIDTH)
    state[f"{visual}.conv1.weight"] = (WIDTH, 3, PATCH, PATCH)
    norm(f"{visual}.ln_pre", WIDTH)
    norm(f"{visual}.ln_post", WIDTH)
    for number in range(IMAGE_LAYERS):
        clip_layer(f"{visual}.transformer.resblocks.{number}", WIDTH)
    state["vision_encoder.token_embedding.weight"] = (40, 16)
    state["vision_encoder.positional_embedding"] = (7, 16)
    norm("vision_encoder.ln_final", 16)
    embeddings = "language_encoder.embeddings"
    state[f"{embeddings}.word_embeddings.weight"] = (VOCABULARY, WIDTH)
    state[f"{embeddings}.position_embeddings.weight"] = (POSITIONS, WIDTH)
    state[f"{embeddings}.token_type_embeddings.weight"] = (1, WIDTH)
    norm(f"{embeddings}.LayerNorm", WIDTH)
    for number in range(TEXT_LAYERS):
        bert_layer(f"language_encoder.encoder.layer.{number}", cross=False)
    linear("language_encoder.pooler.dense", WIDTH, WIDTH)
    state["modality_type_embeddings.weight"] = (2, WIDTH)
    for side in ("language", "vision"):
        linear(f"multi_modal_{side}_proj", WIDTH, WIDTH)
        linear(f"multi_modal_{side}_pooler.dense", WIDTH, WIDTH)
        for number in range(FUSION_LAYERS):
            bert_layer(f"multi_modal_{side}_layers.{number}", cross=True)
    if "mlm" in heads:
        linear("mlm_head.transform.dense", WIDTH, WIDTH)
        norm("mlm_head.transform.LayerNorm", WIDTH)
        linear("mlm_head.decoder", VOCABULARY, WIDTH, bias=False)
        state["mlm_head.bias"] = (VOCABULARY,)
    if "mim" in heads:
        state["mim_head.mask_token"] = (1, 1, DECODER)
        linear("mim_head.decoder_embed", DECODER, WIDTH)
        state["mim_head.decoder_pos_embed"] = (1, 1 + GRID**2, DECODER)
        for number in range(DECODER_LAYERS):
            clip_layer(f"mim_head.decoder.resblocks.{number}", DECODER)
        norm("mim_head.decoder_norm", DECODER)
        linear("mim_head.decoder_pred", 3 * PATCH**2, DECODER)
    if "itm" in heads:
        linear("itm_head.fc", 2, 2 * WIDTH)
    if "irtr" in heads:
        linear("irtr_head", 1, 2 * WIDTH)
    for head in {"vqa", "cls"} & set(heads):
        linear(f"{head}_head.0", 2 * WIDTH, 2 * WIDTH)
        norm(f"{head}_head.1", 2 * WIDTH)
        linear(f"{head}_head.3", answers, 2 * WIDTH)
    generator = torch.Generator().manual_seed(seed)
    drawn = {name: torch.randn(shape, generator=generator) * 0.15 for name, shape in state.items()}
    # Scales of norms are about 1.
    drawn = {name: value + 1 if value.ndim == 1 and name.endswith("weight") else value for name, value in drawn.items()}
    return {**drawn, f"{embeddings}.position_ids": torch.arange(POSITIONS)[None]}


def as_file(path, state, **extra):
    """A checkpoint as Lightning 1.3 writes it, without the callbacks."""
    settings = {"num_heads": WIDTH // 64, "mim_layer": PIXEL_LAYER, "max_text_len": 16}
    torch.save({"state_dict": state, "hyper_parameters": {"config": settings}, "epoch": 3, **extra}, path)
    return path


class Reference:
    """M3AE of the released tensors, written out with `torch.nn.functional` in float64."""

    def __init__(self, state):
        self.state = {name: value.double() for name, value in state.items()}

    def linear(self, name, x):
        return F.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

    def norm(self, name, x, epsilon):
        mean = x.mean(-1, keepdim=True)
        variance = ((x - mean) ** 2).mean(-1, keepdim=True)
        return (x - mean) / (variance + epsilon) ** 0.5 * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def attend(self, query, key, value, mask):
        heads = []
        for start in range(0, query.shape[-1], 64):
            part = slice(start, start + 64)
            scores = query[..., part] @ key[..., part].transpose(1, 2) / 8
            scores = scores.masked_fill(~mask[:, None, :], float("-inf"))
            heads.append(scores.softmax(-1) @ value[..., part])
        return torch.cat(heads, dim=-1)

    def clip_layer(self, name, x):
        normed = self.norm(f"{name}.ln_1", x, 1e-5)
        joint = normed @ self.state[f"{name}.attn.in_proj_weight"].T + self.state[f"{name}.attn.in_proj_bias"]
        query, key, value = joint.split(x.shape[-1], dim=-1)
        everything = torch.ones(x.shape[:2], dtype=torch.bool)
        x = x + self.linear(f"{name}.attn.out_proj", self.attend(query, key, value, everything))
        hidden = self.linear(f"{name}.mlp.c_fc", self.norm(f"{name}.ln_2", x, 1e-5))
        return x + self.linear(f"{name}.mlp.c_proj", hidden / (1 + torch.exp(-1.702 * hidden)))

    def bert_attention(self, name, x, memory, mask, epsilon):
        parts = [
            self.linear(f"{name}.self.{part}", y) for part, y in (("query", x), ("key", memory), ("value", memory))
        ]
        seen = self.linear(f"{name}.output.dense", self.attend(*parts, mask))
        return self.norm(f"{name}.output.LayerNorm", x + seen, epsilon)

    def bert_layer(self, name, x, mask, epsilon, memory=None, memory_mask=None):
        x = self.bert_attention(f"{name}.attention", x, x, mask, epsilon)
        if memory is not None:
            x = self.bert_attention(f"{name}.crossattention", x, memory, memory_mask, epsilon)
        hidden = self.linear(f"{name}.output.dense", F.gelu(self.linear(f"{name}.intermediate.dense", x)))
        return self.norm(f"{name}.output.LayerNorm", x + hidden, epsilon)

    def image(self, pixels, kept=None):
        visual = "vision_encoder.visual"
        patches = F.conv2d(pixels, self.state[f"{visual}.conv1.weight"], stride=PATCH).flatten(2).transpose(1, 2)
        whole = self.state[f"{visual}.class_embedding"].expand(len(pixels), 1, -1)
        x = torch.cat([whole, patches], dim=1) + self.state[f"{visual}.positional_embedding"]
        if kept is not None:
            x = torch.stack(
                [row[[0, *(1 + number for number in chosen)]] for row, chosen in zip(x, kept.tolist(), strict=True)]
            )
        x = self.norm(f"{visual}.ln_pre", x, 1e-5)
        for number in range(IMAGE_LAYERS):
            x = self.clip_layer(f"{visual}.transformer.resblocks.{number}", x)
        x = self.norm(f"{visual}.ln_post", x, 1e-5)
        return self.linear("multi_modal_vision_proj", x) + self.state["modality_type_embeddings.weight"][1]

    def text(self, ids, mask):
        embeddings = "language_encoder.embeddings"
        # RoBERTa counts from behind its padding index 1.
        places = torch.arange(ids.shape[1]) + 2
        x = (
            self.state[f"{embeddings}.word_embeddings.weight"][ids]
            + self.state[f"{embeddings}.position_embeddings.weight"][places]
            + self.state[f"{embeddings}.token_type_embeddings.weight"][0]
        )
        x = self.norm(f"{embeddings}.LayerNorm", x, 1e-5)
        for number in range(TEXT_LAYERS):
            x = self.bert_layer(f"language_encoder.encoder.layer.{number}", x, mask, 1e-5)
        return self.linear("multi_modal_language_proj", x) + self.state["modality_type_embeddings.weight"][0]

    def fuse(self, text, mask, image, layers=FUSION_LAYERS):
        seen = torch.ones(image.shape[:2], dtype=torch.bool)
        for number in range(layers):
            words, patches = text, image
            text = self.bert_layer(f"multi_modal_language_layers.{number}", words, mask, 1e-12, patches, seen)
            image = self.bert_layer(f"multi_modal_vision_layers.{number}", patches, seen, 1e-12, words, mask)
        return text, image

    def pair(self, text, image):
        words = torch.tanh(self.linear("multi_modal_language_pooler.dense", text[:, 0]))
        patches = torch.tanh(self.linear("multi_modal_vision_pooler.dense", image[:, 0]))
        return torch.cat([words, patches], dim=-1)

    def words(self, text):
        hidden = F.gelu(self.linear("mlm_head.transform.dense", text))
        hidden = self.norm("mlm_head.transform.LayerNorm", hidden, 1e-12)
        return self.linear("mlm_head.decoder", hidden) + self.state["mlm_head.bias"]

    def pixels(self, image, kept):
        seen = self.linear("mim_head.decoder_embed", image)
        x = self.state["mim_head.mask_token"].expand(len(seen), 1 + GRID**2, -1).clone()
        for row, chosen in enumerate(kept.tolist()):
            for place, number in enumerate([0, *(1 + number for number in chosen)]):
                x[row, number] = seen[row, place]
        x = x + self.state["mim_head.decoder_pos_embed"]
        for number in range(DECODER_LAYERS):
            x = self.clip_layer(f"mim_head.decoder.resblocks.{number}", x)
        return self.linear("mim_head.decoder_pred", self.norm("mim_head.decoder_norm", x, 1e-5))[:, 1:]

    def answers(self, pair, head="vqa"):
        hidden = F.gelu(self.norm(f"{head}_head.1", self.linear(f"{head}_head.0", pair), 1e-5))
        return self.linear(f"{head}_head.3", hidden)

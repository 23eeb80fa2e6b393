"""A language model of two layers and a few words, saved as transformers saves one."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = (
    *("Question", ":", "Answer", "what", "is", "this", "where", "a", "an", "airport", "port", "forest", "river"),
    *("yes", "no", "how", "many", "one", "two", "three", "there", "in", "the", "tile", "?", "user", "assistant"),
)


def save_language_model(folder, chat=False, safe=True):
    """Random weights, words as pieces; `chat` gives it a form of conversation."""
    pieces = ["<pad>", "<s>", "</s>", "<unk>", *WORDS]
    plain = Tokenizer(models.WordLevel({word: number for number, word in enumerate(pieces)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    if chat:
        tokenizer.chat_template = "user {{ messages[0]['content'] }} assistant"
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(
        vocab_size=len(pieces), num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=2, **sizes
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    if not safe:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder

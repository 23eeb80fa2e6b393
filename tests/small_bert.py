"""Random text towers of BERT's family, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SIZES = {"hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 40}
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog", "##s", "run", "##ning", "in", "snow", "a", "square", "."),
    *("everything", "here", "is", "red", "green", "blue", "yellow", "purple", "white", "the", "same", "words", "for"),
]


def save_tower(folder: Path, family: str, **options: object) -> Path:
    """A random tower with a tokeniser of few pieces."""
    classes = {
        "bert": (transformers.BertConfig, transformers.BertModel),
        "roberta": (transformers.RobertaConfig, transformers.RobertaModel),
        "distilbert": (transformers.DistilBertConfig, transformers.DistilBertModel),
    }
    config_class, model_class = classes[family]
    sizes = SIZES if family != "distilbert" else {"dim": 24, "n_layers": 4, "n_heads": 3, "hidden_dim": 40}
    positions = 34 if family == "roberta" else 32
    extra = {"pad_token_id": 1} if family == "roberta" else {}
    config = config_class(vocab_size=len(PIECES), max_position_embeddings=positions, **sizes, **extra, **options)
    torch.manual_seed(0)
    model = model_class(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    backend = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, **{f"{key}_token": value for key, value in names.items()}
    ).save_pretrained(folder)
    return folder

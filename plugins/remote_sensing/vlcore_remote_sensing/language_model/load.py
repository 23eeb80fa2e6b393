"""A language model from a local folder, with low-rank adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlcore.errors import ConfigurationError, MissingDependencyError


def load_language_model(folder: Path | str, rank: int = 16, alpha: int = 32, dropout: float = 0.05) -> tuple[Any, Any]:
    """Load a causal language model and its tokeniser, offline, and put adapters on every linear layer.

    Args:
        folder: of `transformers`: `config.json`, `model.safetensors`, tokeniser. No code of it is run.
        rank: of the adapters (LoRA, arXiv 2106.09685); 0 leaves the model as it is.
        alpha: their scale, in units of the rank.
        dropout: before them.

    Returns:
        The model, whose own weights do not learn, and its tokeniser.

    Raises:
        ConfigurationError: if the folder is not there or incomplete, or the rank is negative.
        MissingDependencyError: if adapters are asked for and peft is not installed.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(folder)
    if rank < 0:
        raise ConfigurationError(f"rank={rank}: choose 0 or more.")
    if not (folder / "config.json").is_file():
        raise ConfigurationError(
            f"{folder} is no folder of a language model: it has no config.json. Save one there with save_pretrained."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The language model in {folder} cannot be loaded: {error}. It needs model.safetensors (no .bin) and its "
            f"tokeniser."
        ) from error
    if tokenizer.eos_token_id is None:
        raise ConfigurationError(f"The tokeniser in {folder} has no end of text, so no answer would end.")
    model.requires_grad_(False)
    if rank:
        try:
            from peft import LoraConfig, get_peft_model
        except ImportError as error:
            raise MissingDependencyError("peft", "language_model", "Adapters on a language model") from error
        adapters = LoraConfig(
            r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        return get_peft_model(model, adapters), tokenizer
    return model, tokenizer

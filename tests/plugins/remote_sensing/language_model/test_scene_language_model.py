"""Answers about images: the right loss, the same with padding and without, learnt, saved and loaded."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from random_towers import SIZE, plain_model
from tiny_language_model import save_language_model

from vlcore.errors import ConfigurationError, FingerprintMismatchError, ModelDirectoryError
from vlcore_remote_sensing.language_model.fit import LanguageSettings, fit_language
from vlcore_remote_sensing.language_model.load import load_language_model
from vlcore_remote_sensing.language_model.save import load_learnt, save_learnt
from vlcore_remote_sensing.language_model.scene_language_model import SceneLanguageModel
from vlcore_remote_sensing.semantic_experts.expert_model import expert_head, with_experts
from vlcore_remote_sensing.semantic_experts.knowledge_base import seed_knowledge_base

QUESTIONS = ["what is this ?", "is there a river in the tile ?", "how many ?", "where is the port ?"]
ANSWERS = ["an airport", "no", "three", "in the forest"]


@pytest.fixture(scope="module")
def network():
    base = seed_knowledge_base()
    few = type(base)(base.concepts[:6] + base.concepts[-6:])
    made = with_experts(plain_model(), few)
    torch.manual_seed(3)
    torch.nn.init.normal_(expert_head(made).scale, std=0.3)  # as if trained
    return made


@pytest.fixture(scope="module")
def features(network):
    images = torch.randint(0, 256, (4, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network.image_features(images)


def scene_model(network, folder, rank=4, chat=False):
    if not folder.exists():
        folder.mkdir()
        save_language_model(folder, chat=chat)
    torch.manual_seed(7)
    language_model, tokenizer = load_language_model(folder, rank=rank, dropout=0.0)
    # A copy: tests turn it into float64.
    head = copy.deepcopy(expert_head(network))
    return SceneLanguageModel(head, language_model, tokenizer, hidden_features=48).eval()


@pytest.mark.parametrize("chat", [False, True])
def test_the_loss_is_that_of_each_answer_read_alone(network, features, tmp_path, chat):
    model = scene_model(network, tmp_path / "llm", chat=chat).double()
    features = features.double()
    tokenizer, embed = model.tokenizer, model.language_model.get_input_embeddings()
    total, count = 0.0, 0
    for row, question, answer in zip(features, QUESTIONS, ANSWERS, strict=True):
        prompt = f"user {question} assistant" if chat else f"Question: {question}\nAnswer:"
        ids = ([] if chat else [1]) + tokenizer(prompt, add_special_tokens=False)["input_ids"]
        said = [*tokenizer(answer, add_special_tokens=False)["input_ids"], 2]
        visual = model.visual_tokens(row[None])[0]
        sequence = torch.cat([visual, embed(torch.tensor(ids + said))])[None]
        chances = model.language_model(inputs_embeds=sequence).logits[0].double().log_softmax(-1)
        for place, piece in enumerate(said):
            total -= float(chances[len(visual) + len(ids) + place - 1, piece].detach())
            count += 1
    assert float(model.loss(features, QUESTIONS, ANSWERS).detach()) == pytest.approx(total / count, rel=1e-6)


def test_padding_changes_nothing(network, features, tmp_path):
    model = scene_model(network, tmp_path / "llm").double()
    features = features.double()
    together = model.likelihoods(features, QUESTIONS, ["no", "an airport in the forest"])
    alone = [
        model.likelihoods(features[[row]], [QUESTIONS[row]], ["no", "an airport in the forest"]) for row in range(4)
    ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-10)
    assert model.answer(features, QUESTIONS, 5) == [
        model.answer(features[[row]], [QUESTIONS[row]], 5)[0] for row in range(4)
    ]


def test_an_answer_is_the_most_likely_next_piece_again_and_again(network, features, tmp_path):
    model = scene_model(network, tmp_path / "llm").double()
    question = "what is this ?"
    ids = [1, *model.tokenizer(f"Question: {question}\nAnswer:", add_special_tokens=False)["input_ids"]]
    embed, said = model.language_model.get_input_embeddings(), []
    visual = model.visual_tokens(features[:1].double())
    for _ in range(6):
        sequence = torch.cat([visual[0], embed(torch.tensor(ids + said))])[None]
        piece = int(model.language_model(inputs_embeds=sequence).logits[0, -1].argmax())
        if piece == 2:
            break
        said.append(piece)
    expected = model.tokenizer.decode(said, skip_special_tokens=True).strip()
    assert model.answer(features[:1].double(), [question], 6) == [expected]


def test_it_learns_to_answer_and_to_classify(network, features, tmp_path):
    model = scene_model(network, tmp_path / "llm")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = LanguageSettings(epochs=100, batch_size=4, learning_rate=1e-2)
    # Images of noise look alike to random towers; rows of noise do not.
    features = torch.randn(features.shape, generator=torch.Generator().manual_seed(2)) * 3
    asked, answers = ["what is this ?"] * 4, ["airport", "port", "forest", "river"]
    losses = fit_language(model, features, asked, answers, settings)
    # The words' own random vectors stand still and are short: the loss cannot fall to zero.
    assert losses[-1] < losses[0] - 0.5
    assert model.answer(features, asked) == answers
    chosen = model.likelihoods(features, asked, answers).argmax(1)
    assert chosen.tolist() == [0, 1, 2, 3]
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert all(name.startswith("projector.") or "lora_" in name for name in changed)
    assert any("lora_" in name for name in changed)


def test_without_adapters_the_projector_alone_learns(network, features, tmp_path):
    model = scene_model(network, tmp_path / "llm", rank=0)
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning
    assert all(name.startswith("projector.") for name in learning)


def test_a_run_is_the_same_with_the_same_seed(network, features, tmp_path):
    settings = LanguageSettings(epochs=2, batch_size=2)
    runs = [
        fit_language(scene_model(network, tmp_path / "llm"), features, QUESTIONS, ANSWERS, settings, seed=seed)
        for seed in (0, 0, 1)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_what_was_learnt_is_saved_and_loaded(network, features, tmp_path):
    model = scene_model(network, tmp_path / "llm")
    fit_language(model, features, QUESTIONS, ANSWERS, LanguageSettings(epochs=2, batch_size=2, learning_rate=1e-2))
    save_learnt(model, tmp_path / "learnt", "fingerprint")
    again = scene_model(network, tmp_path / "llm")
    wanted = model.likelihoods(features, QUESTIONS, ["no", "three"])
    assert not torch.equal(again.likelihoods(features, QUESTIONS, ["no", "three"]), wanted)
    load_learnt(again, tmp_path / "learnt", "fingerprint")
    assert torch.equal(again.likelihoods(features, QUESTIONS, ["no", "three"]), wanted)
    with pytest.raises(FingerprintMismatchError, match="another image model"):
        load_learnt(again, tmp_path / "learnt", "another")
    with pytest.raises(ModelDirectoryError, match="Use the same language model and rank"):
        load_learnt(scene_model(network, tmp_path / "llm", rank=2), tmp_path / "learnt", "fingerprint")
    with pytest.raises(ModelDirectoryError, match=r"has no learnt.safetensors"):
        load_learnt(again, tmp_path, "fingerprint")


def test_folders_that_are_no_safe_language_model_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"has no config.json"):
        load_language_model(tmp_path)
    (tmp_path / "pickled").mkdir()
    with pytest.raises(ConfigurationError, match=r"cannot be loaded.*no .bin"):
        load_language_model(save_language_model(tmp_path / "pickled", safe=False))
    with pytest.raises(ConfigurationError, match="rank=-1"):
        load_language_model(tmp_path / "pickled", rank=-1)


def test_lists_of_other_lengths_are_told(network, features, tmp_path):
    model = scene_model(network, tmp_path / "llm")
    with pytest.raises(ConfigurationError, match="There are 4 images, 4 questions and 1 answers"):
        model.loss(features, QUESTIONS, ["no"])
    with pytest.raises(ConfigurationError, match="There are 4 images, 1 questions and 1 answers"):
        fit_language(model, features, ["what ?"], ["no"])
    assert math.isfinite(float(model.loss(features, QUESTIONS, ANSWERS).detach()))

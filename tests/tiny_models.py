"""Tiny models with trained tokenizers, saved to disk so that the real loading code runs."""

from __future__ import annotations

from pathlib import Path

TEXTS = [
    "Given a query, which of the following passages is the most relevant one to the query?",
    "Passage A: the flea lives for a year. Passage B: concrete floors cost little.",
    "Does the passage answer the query? Answer 'Yes' or 'No'",
    "Please write a question based on this passage. Output only the passage label",
    "[1] > [2] > [3] system user assistant RankGPT identifiers 0 1 2 3 4 5 6 7 8 9",
    "The quick brown fox jumps over the lazy dog while rivers carve deep valleys.",
    *(f"Passage: {label} Passage {label}: [{label}]" for label in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "Answer only with 'true' or 'false': true, false. Is it true or false?",
]
CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def save_tokenizer(folder: Path, chat: bool) -> int:
    """Train and save a byte-level BPE tokenizer; returns its size."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    special = ["<pad>", "</s>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    trained.train_from_iterator(TEXTS, vocab_size=400, special_tokens=special)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        pad_token="<pad>",
        eos_token="<|end|>" if chat else "</s>",
    )
    if chat:
        tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def save_llama(folder: Path, context: int = 1024) -> Path:
    """A decoder-only chat model with grouped heads, head_dim ≠ width / heads, untied head."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    size = save_tokenizer(folder, chat=True)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    # Left to chance it would hardly ever name a label or a number.
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for token in range(size):
        text = tokenizer.decode([token]).strip()
        model.lm_head.weight.data[token] *= 20 if text in {*"ABC"} else 10 if text.isdigit() else 1
    model.save_pretrained(folder)
    return folder


def save_qwen2(folder: Path) -> Path:
    """A decoder-only model with biases on queries, keys and values, and a tied head."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    size = save_tokenizer(folder, chat=True)
    torch.manual_seed(1)
    config = Qwen2Config(
        vocab_size=size,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def save_qwen3_5(folder: Path) -> Path:
    """A hybrid: gated delta nets, with gated attention in every fourth layer."""
    import torch
    from transformers import Qwen3_5ForCausalLM, Qwen3_5TextConfig

    size = save_tokenizer(folder, chat=True)
    torch.manual_seed(3)
    config = Qwen3_5TextConfig(
        vocab_size=size,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    Qwen3_5ForCausalLM(config).save_pretrained(folder)
    return folder


def save_t5gemma(folder: Path) -> Path:
    """Gemma's layers as an encoder and a decoder."""
    import torch
    from transformers import T5GemmaConfig, T5GemmaForConditionalGeneration

    size = save_tokenizer(folder, chat=False)
    torch.manual_seed(0)
    part = {
        "vocab_size": size,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "initializer_range": 0.2,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    config = T5GemmaConfig(
        encoder=part, decoder=part, vocab_size=size, decoder_start_token_id=1, bos_token_id=1
    )
    T5GemmaForConditionalGeneration(config).save_pretrained(folder)
    return folder


def save_t5(folder: Path) -> Path:
    """An encoder–decoder model with gated feed-forward layers."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    size = save_tokenizer(folder, chat=False)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=size,
        d_model=48,
        d_kv=16,
        d_ff=80,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        initializer_factor=1.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def save_cross_encoder(folder: Path) -> Path:
    """A BERT that scores pairs of texts, whose tokenizer numbers the two segments."""
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import (
        AutoTokenizer,
        BertConfig,
        BertForSequenceClassification,
        PreTrainedTokenizerFast,
    )

    size = save_tokenizer(folder, chat=False)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    special = [(name, tokenizer.convert_tokens_to_ids(name)) for name in ("<|user|>", "</s>")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|user|> $A </s>", pair="<|user|> $A </s> $B:1 </s>:1", special_tokens=special
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=96,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=size,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        num_labels=1,
        pad_token_id=0,
        initializer_range=0.3,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def save_decoder_classifier(folder: Path) -> Path:
    """A decoder-only model that scores pairs of texts at their last token."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    size = save_tokenizer(folder, chat=True)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        num_labels=1,
        pad_token_id=None,
        initializer_range=0.3,
    )
    LlamaForSequenceClassification(config).save_pretrained(folder)
    return folder

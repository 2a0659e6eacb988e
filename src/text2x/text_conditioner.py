"""Prompts to conditions: the frozen sentence encoder MiniLM, whose results are kept.

Shapes: B batch, L text tokens, D text width, V vector width, A augmentation labels. Masks: True where there is a token.
The condition of an item depends on its prompt, style and augmentation only, bit for bit on the CPU: not on its batch.
"""

from __future__ import annotations

import difflib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.networks.sentence_encoder import find_minilm, load_sentence_encoder

CACHE_BYTES = 768 * 2**20  # about 50,000 captions of 10 tokens
ENCODED_TOGETHER = 32  # prompts; more is not faster on a CPU


@dataclass(frozen=True)
class MiniLMConfig:
    """The frozen sentence encoder all-MiniLM-L6-v2, and what of it the network is given."""

    max_tokens: int = 32  # with the two marks of begin and end
    styles: tuple[str, ...] = ()  # one-hot in the vector
    augmentations: int = 0  # labels of non-leaky augmentation in the vector
    context: bool = True  # token states
    vector: bool = True  # pooled sentence embedding
    folder: str | None = None  # with model.safetensors and tokenizer.json; None: installed package, Hugging Face cache


class TextConditioner:
    """Prompts to token states and one vector, by the frozen MiniLM; each prompt is encoded once."""

    def __init__(self, config: MiniLMConfig, device: torch.device | str = "cpu") -> None:
        from tokenizers import Tokenizer

        if not 4 <= config.max_tokens <= 512:
            raise InputError(f"max_tokens is {config.max_tokens}; MiniLM takes 4 to 512")
        folder = find_minilm(config.folder)
        self.config = config
        self.encoder = load_sentence_encoder(folder / "model.safetensors").to(device)
        self.device = torch.device(device)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._cache: OrderedDict[str, tuple[Tensor, Tensor]] = OrderedDict()  # states [length, D], pooled [D]
        self._cache_bytes = 0

    @property
    def context_width(self) -> int:
        """D, or 0 when the context is switched off."""
        return self.encoder.config.width if self.config.context else 0

    @property
    def vector_size(self) -> int:
        """V, or 0 when there is no vector."""
        pooled = self.encoder.config.width if self.config.vector else 0
        return pooled + len(self.config.styles) + self.config.augmentations

    def __call__(
        self,
        prompts: Sequence[str],
        styles: Sequence[str | None] | None = None,
        augmentations: Tensor | None = None,
    ) -> Conditioning:
        """Context [B, max_tokens, 384], its mask, and vector [B, V] = sentence, style one-hot, augmentation labels."""
        encoded = self._encoded(prompts)
        context = context_mask = None
        if self.config.context:
            context = torch.zeros(len(prompts), self.config.max_tokens, self.context_width)
            context_mask = torch.zeros(len(prompts), self.config.max_tokens, dtype=torch.bool)
            for i, (states, _) in enumerate(encoded):
                context[i, : len(states)] = states
                context_mask[i, : len(states)] = True
        parts = []
        if self.config.vector and encoded:
            # a unit vector of D numbers has variance 1 / D
            parts.append(torch.stack([pooled for _, pooled in encoded]) * math.sqrt(self.encoder.config.width))
        parts += label_vectors(len(prompts), self.config.styles, styles, self.config.augmentations, augmentations)
        return Conditioning(context, context_mask, torch.cat(parts, 1) if self.vector_size and parts else None)

    def truncated(self, prompt: str) -> str | None:
        """The end of the prompt beyond max_tokens, or None."""
        offsets = [(begin, end) for begin, end in self._tokenizer.encode(prompt, add_special_tokens=False).offsets]
        room = self.config.max_tokens - 2
        return None if len(offsets) <= room else prompt[offsets[room][0] :]

    def precompute(self, prompts: Sequence[str], on_progress: Callable[[int, int], None] | None = None) -> None:
        """Encode prompts ahead, as far as the cache holds; `on_progress` gets the number done and the total."""
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._cache]
        for begin in range(0, len(missing), 16 * ENCODED_TOGETHER):
            part = missing[begin : begin + 16 * ENCODED_TOGETHER]
            for prompt, value in self._encode(part).items():
                self._keep(prompt, value)
            if on_progress is not None:
                on_progress(min(begin + len(part), len(missing)), len(missing))

    def _encoded(self, prompts: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        found = {}
        for prompt in prompts:
            if prompt in self._cache:
                self._cache.move_to_end(prompt)
                found[prompt] = self._cache[prompt]
        fresh = self._encode([prompt for prompt in dict.fromkeys(prompts) if prompt not in found])
        for prompt, value in fresh.items():
            self._keep(prompt, value)
        found.update(fresh)
        return [found[prompt] for prompt in prompts]

    def _keep(self, prompt: str, value: tuple[Tensor, Tensor]) -> None:
        self._cache[prompt] = value
        self._cache_bytes += sum(part.nbytes for part in value)
        while self._cache_bytes > CACHE_BYTES and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._cache_bytes -= sum(part.nbytes for part in dropped)

    @torch.no_grad()
    def _encode(self, prompts: Sequence[str]) -> dict[str, tuple[Tensor, Tensor]]:
        """Token states and pooled vector of each prompt, from batches of equal padded length.

        A length is padded to a multiple of 4, which depends on the prompt alone: with such lengths float32
        products came out bit-equal at every batch size and thread count tried, with others they did not.
        """
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(prompts))]
        if any(len(ids) > self.config.max_tokens for ids in tokens):
            tokens = [cut(ids, self.config.max_tokens) for ids in tokens]
        groups: dict[int, list[int]] = {}
        for i, ids in enumerate(tokens):
            groups.setdefault(-(-len(ids) // 4) * 4, []).append(i)
        encoded = {}
        for length, members in groups.items():
            for begin in range(0, len(members), ENCODED_TOGETHER):
                chosen = members[begin : begin + ENCODED_TOGETHER]
                ids = torch.tensor([tokens[i] + [0] * (length - len(tokens[i])) for i in chosen])  # [B, L]
                mask = torch.arange(length) < torch.tensor([[len(tokens[i])] for i in chosen])
                states, pooled = self.encoder(ids.to(self.device), mask.to(self.device))
                for i, state, vector in zip(chosen, states.cpu(), pooled.cpu(), strict=True):
                    encoded[prompts[i]] = (state[: len(tokens[i])].clone(), vector.clone())
        return encoded


def build_conditioner(config: MiniLMConfig, device: torch.device | str = "cpu") -> TextConditioner:
    """The conditioner that a config describes."""
    return TextConditioner(config, device)


def cut(ids: list[int], max_tokens: int) -> list[int]:
    """The first tokens and the end mark."""
    return ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], ids[-1]]


def label_vectors(
    count: int,
    known_styles: Sequence[str],
    styles: Sequence[str | None] | None,
    num_augmentations: int,
    augmentations: Tensor | None,
) -> list[Tensor]:
    """Style one-hot [B, len(known_styles)] (zeros: unspecified) and augmentation labels [B, A] (zeros: none)."""
    one_hot = torch.zeros(count, len(known_styles))
    if styles is not None:
        if len(styles) != count:
            raise ValueError(f"{len(styles)} styles for {count} prompts")
        for i, style in enumerate(styles):
            if style is not None:
                one_hot[i, style_index(style, known_styles)] = 1.0
    if augmentations is None:
        augmentations = torch.zeros(count, num_augmentations)
    elif augmentations.shape != (count, num_augmentations):
        raise ValueError(f"augmentations are {tuple(augmentations.shape)}, expected {(count, num_augmentations)}")
    return [one_hot, augmentations.to("cpu", torch.float32)]


def style_index(style: str, known_styles: Sequence[str]) -> int:
    """The place of a style's name; InputError names near matches and the whole list."""
    if style in known_styles:
        return known_styles.index(style)
    if not known_styles:
        raise InputError(f"unknown style {style!r}: this model has no styles")
    near = difflib.get_close_matches(style, known_styles, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise InputError(f"unknown style {style!r}; {hint}styles are {', '.join(known_styles)}")

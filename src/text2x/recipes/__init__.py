"""Recipes by name, one file a system of the field; `running` trains them. Nothing heavy is loaded until one is made."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from text2x.acoustics import AcousticRecipe
    from text2x.adversarial import GANRecipe
    from text2x.autoencoding import AutoencoderRecipe
    from text2x.coding import CodecRecipe
    from text2x.priors import PriorRecipe
    from text2x.recipe import GuideRecipe, Recipe
    from text2x.sound_adversarial import SoundGANRecipe
    from text2x.sound_diffusion import SoundDiffusionRecipe
    from text2x.token_models import TokenRecipe
    from text2x.video_adversarial import VideoGANRecipe
    from text2x.video_recipe import VideoRecipe, VideoUpsamplerRecipe
    from text2x.vocoding import VocoderRecipe

    ImageRecipe = Recipe | GANRecipe | GuideRecipe | AutoencoderRecipe | PriorRecipe
    SoundRecipe = VocoderRecipe | AcousticRecipe | CodecRecipe | TokenRecipe | SoundDiffusionRecipe | SoundGANRecipe
    AnyRecipe = ImageRecipe | SoundRecipe | VideoRecipe | VideoUpsamplerRecipe | VideoGANRecipe


def _made(file: str, name: str) -> Any:
    """Call the function `name` of the recipe file."""
    return getattr(importlib.import_module(f"text2x.recipes.{file}"), name)()


RECIPES: Mapping[str, Callable[[], AnyRecipe]] = {
    "emoji": partial(_made, "emoji", "emoji"),
    "upsampler": partial(_made, "emoji", "upsampler"),
    "emoji-upsampler": partial(_made, "emoji", "emoji_upsampler"),
    "vanilla": partial(_made, "vanilla", "vanilla"),
    "dit": partial(_made, "dit", "dit"),
    "glide": partial(_made, "glide", "glide"),
    "glide-upsampler": partial(_made, "glide", "glide_upsampler"),
    "imagen": partial(_made, "imagen", "imagen"),
    "imagen-upsampler": partial(_made, "imagen", "imagen_upsampler"),
    "imagen-upsampler-2": partial(_made, "imagen", "imagen_upsampler_2"),
    "gan": partial(_made, "gan", "gan"),
    "emoji-gan": partial(_made, "gan", "emoji_gan"),
    "voice": partial(_made, "speech", "voice"),
    "voice-flow": partial(_made, "speech", "voice_flow"),
    "voice-gan": partial(_made, "speech", "voice_gan"),
    "voice-indic": partial(_made, "speech", "voice_indic"),
    "vocoder": partial(_made, "vocoder", "vocoder"),
    "source-vocoder": partial(_made, "vocoder", "source_vocoder"),
    "hifigan": partial(_made, "vocoder", "hifigan"),
    "codec": partial(_made, "codec", "codec"),
    "codec-kl": partial(_made, "codec", "codec_kl"),
    "audiogen": partial(_made, "audiogen", "audiogen"),
    "musicgen": partial(_made, "musicgen", "musicgen"),
    "sound-flow": partial(_made, "sound_flow", "sound_flow"),
    "music-flow": partial(_made, "sound_flow", "music_flow"),
    "sound-mel": partial(_made, "sound_flow", "sound_mel"),
    "music-mel": partial(_made, "sound_flow", "music_mel"),
    "sound-gan": partial(_made, "sound_gan", "sound_gan"),
    "make-a-video": partial(_made, "make_a_video", "make_a_video"),
    "lumiere": partial(_made, "lumiere", "lumiere"),
    "lumiere-upsampler": partial(_made, "lumiere_upsampler", "lumiere_upsampler"),
    "stable-video-diffusion": partial(_made, "stable_video_diffusion", "stable_video_diffusion"),
    "sora": partial(_made, "sora", "sora"),
    "video-gan": partial(_made, "video_gan", "video_gan"),
    "classifier": partial(_made, "guides", "classifier"),
    "clip": partial(_made, "guides", "clip"),
    "judge": partial(_made, "guides", "judge"),
    "autoencoder": partial(_made, "latent", "autoencoder"),
    "ldm": partial(_made, "latent", "ldm"),
    "ldm-v": partial(_made, "latent", "ldm_v"),
    "latent-dit": partial(_made, "latent", "latent_dit"),
    "dalle2": partial(_made, "dalle2", "dalle2"),
    "dalle2-clip": partial(_made, "dalle2", "dalle2_clip"),
    "dalle2-prior": partial(_made, "dalle2", "dalle2_prior"),
    "dalle2-prior-ar": partial(_made, "dalle2", "dalle2_prior_ar"),
    "dalle2-upsampler": partial(_made, "dalle2", "dalle2_upsampler"),
    "dalle2-upsampler-2": partial(_made, "dalle2", "dalle2_upsampler_2"),
    "debug": partial(_made, "debug", "debug"),
    "debug-vanilla": partial(_made, "debug", "debug_vanilla"),
    "debug-dit": partial(_made, "debug", "debug_dit"),
    "debug-bytes": partial(_made, "debug", "debug_bytes"),
    "debug-glide": partial(_made, "glide", "debug_glide"),
    "debug-glide-upsampler": partial(_made, "glide", "debug_glide_upsampler"),
    "debug-imagen": partial(_made, "imagen", "debug_imagen"),
    "debug-imagen-upsampler": partial(_made, "imagen", "debug_imagen_upsampler"),
    "debug-imagen-upsampler-2": partial(_made, "imagen", "debug_imagen_upsampler_2"),
    "debug-autoencoder": partial(_made, "latent", "debug_autoencoder"),
    "debug-ldm": partial(_made, "latent", "debug_ldm"),
    "debug-dalle2": partial(_made, "dalle2", "debug_dalle2"),
    "debug-dalle2-clip": partial(_made, "dalle2", "debug_dalle2_clip"),
    "debug-dalle2-prior": partial(_made, "dalle2", "debug_dalle2_prior"),
    "debug-dalle2-prior-ar": partial(_made, "dalle2", "debug_dalle2_prior_ar"),
    "debug-gan": partial(_made, "gan", "debug_gan"),
    "debug-voice": partial(_made, "speech", "debug_voice"),
    "debug-voice-flow": partial(_made, "speech", "debug_voice_flow"),
    "debug-voice-gan": partial(_made, "speech", "debug_voice_gan"),
    "debug-vocoder": partial(_made, "vocoder", "debug_vocoder"),
    "debug-codec": partial(_made, "codec", "debug_codec"),
    "debug-codec-kl": partial(_made, "codec", "debug_codec_kl"),
    "debug-audiogen": partial(_made, "audiogen", "debug_audiogen"),
    "debug-musicgen": partial(_made, "musicgen", "debug_musicgen"),
    "debug-sound-flow": partial(_made, "sound_flow", "debug_sound_flow"),
    "debug-sound-mel": partial(_made, "sound_flow", "debug_sound_mel"),
    "debug-sound-gan": partial(_made, "sound_gan", "debug_sound_gan"),
    "debug-make-a-video": partial(_made, "make_a_video", "debug_make_a_video"),
    "debug-lumiere": partial(_made, "lumiere", "debug_lumiere"),
    "debug-lumiere-upsampler": partial(_made, "lumiere_upsampler", "debug_lumiere_upsampler"),
    "debug-stable-video-diffusion": partial(_made, "stable_video_diffusion", "debug_stable_video_diffusion"),
    "debug-sora": partial(_made, "sora", "debug_sora"),
    "debug-video-gan": partial(_made, "video_gan", "debug_video_gan"),
    "debug-classifier": partial(_made, "guides", "debug_classifier"),
    "debug-clip": partial(_made, "guides", "debug_clip"),
}

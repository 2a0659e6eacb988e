"""The judge of sounds: what it learns from, that it learns, that it is kept, and the notes that are heard in music."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.audio import Audio
from text2x.errors import InputError
from text2x.metrics.sound_judge import SoundJudge, class_accuracy, commonest, labels_of, reserved, sound_judge
from text2x.metrics.transcribing import notes_of, piece_overlap, tokens_of
from tiny_labels import CONFIG, LABELS, RATE, labelled_sounds

pytestmark = pytest.mark.medium
CLIPS = labelled_sounds()


@pytest.fixture(scope="module")
def judge() -> SoundJudge:
    return sound_judge(CLIPS, CONFIG)


def test_it_learns_from_a_part_of_the_training_part_alone() -> None:
    learned, kept = reserved(CLIPS)
    assert sorted([*learned, *kept]) == CLIPS.split("train").tolist()
    assert 0 < len(kept) < len(learned)
    groups = [{CLIPS.clips[index].group for index in each} for each in (learned, kept, CLIPS.split("held-out"))]
    assert not groups[0] & groups[1] and not groups[1] & groups[2]


def test_it_names_what_it_has_not_heard_and_says_so_for_unknown_labels(judge: SoundJudge) -> None:
    indexes = CLIPS.split("held-out")
    labels = [labels_of(CLIPS)[index] for index in indexes]
    sounds = [CLIPS.audio(int(index)) for index in indexes]
    features, likely = judge.listen(sounds)
    assert features.shape == (len(sounds), 8) and np.allclose(likely.sum(1), 1)
    groups = [str(index) for index in indexes]
    found = class_accuracy(judge, likely, labels, groups)
    assert found.value > 0.8 > commonest(judge, labels).value and found.n == len(sounds)
    mixed = class_accuracy(judge, likely, ["whistle", *labels[1:]], groups)
    assert mixed.n == len(sounds) - 1 and "1 sounds of unknown labels left out" in mixed.note
    with pytest.raises(InputError, match="knows none of the labels of 2 sounds"):
        class_accuracy(judge, likely[:2], ["whistle", "bark"], ["a", "b"])


def test_a_sound_is_heard_alike_whatever_its_level_its_rate_and_its_company(judge: SoundJudge) -> None:
    sound = CLIPS.audio(0)
    alone = judge.listen([sound])[0][0]
    assert np.allclose(judge.listen([sound.gain(-20), CLIPS.audio(1)])[0][0], alone, atol=0.05)
    assert judge.listen([sound.resample(16_000)])[1][0].argmax() == judge.listen([sound])[1][0].argmax()
    heard = judge.listen([Audio(np.zeros(100), RATE), Audio(np.zeros(9 * RATE), RATE)])[0]
    assert np.isfinite(heard).all()


def test_it_is_trained_once_and_read_afterwards(judge: SoundJudge, tmp_path: Path) -> None:
    first = sound_judge(CLIPS, CONFIG, tmp_path)
    (path,) = tmp_path.iterdir()
    changed = path.stat().st_mtime_ns
    again = sound_judge(CLIPS, CONFIG, tmp_path)
    assert path.stat().st_mtime_ns == changed and again.labels == tuple(sorted(LABELS))
    for one in (first, again):
        assert all(torch.equal(a, b) for a, b in zip(one.network.state_dict().values(),
                                                     judge.network.state_dict().values(), strict=True))  # fmt: skip


def test_a_set_with_one_label_has_no_judge() -> None:
    clips = labelled_sounds(30)
    alike = type(clips)(clips.name, RATE, [clip for clip in clips.clips if clip.label == "low"], clips.stored)
    with pytest.raises(InputError, match="has 1 labels"):
        sound_judge(alike, CONFIG)


def melody(pitches: list[int], beat: float = 0.4, rate: int = 16_000) -> torch.Tensor:
    """Notes one after the other with three partials each."""
    times = torch.arange(round(beat * rate)) / rate
    waves = []
    for pitch in pitches:
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        tone = sum(torch.sin(2 * torch.pi * hertz * k * times) / k for k in (1, 2, 3))
        waves.append(tone * torch.exp(-4 * times) * (times / 0.005).clamp_max(1))
    return 0.3 * torch.cat(waves)


def test_notes_are_heard_and_a_copy_in_another_key_and_tempo_is_found() -> None:
    pitches = [60, 64, 67, 72, 71, 67, 64, 62, 60, 67]
    found, begins = notes_of(melody(pitches), 16_000)
    assert found == pitches and np.allclose(begins, 0.4 * np.arange(10), atol=0.06)
    copy = tokens_of(melody([each + 3 for each in pitches], beat=0.3), 16_000)
    other = tokens_of(melody([55, 57, 55, 54, 57, 60, 59, 62, 64, 52]), 16_000)
    own = tokens_of(melody(pitches), 16_000)
    assert piece_overlap([copy], [other, own]).value == 1 and piece_overlap([other], [own]).value == 0
    assert piece_overlap([own, other], [own, other], own=True).value == 0
    assert notes_of(torch.zeros(16_000), 16_000) == ([], [])

"""Evaluating a model: what is asked of it, what it is measured by, and the report; of pictures, clips, sounds."""

from text2x.evaluating.asking import Asked, Subject, asked_of, data_set, drawn, subject_of
from text2x.evaluating.clip_asking import ClipSubject, asked_of_clips, clip_set, clip_subject, drawn_clips
from text2x.evaluating.clip_measuring import ClipPlan, ClipReport, clip_size, evaluate_clips
from text2x.evaluating.clip_report import write_clip_report
from text2x.evaluating.instruments import Instruments, clip_instruments, instruments_of, real_parts
from text2x.evaluating.measuring import EvaluationPlan, Report, evaluate_model, size_of
from text2x.evaluating.report import write_report
from text2x.evaluating.sound_asking import SoundSubject, sound_folder, sound_set, sound_subject
from text2x.evaluating.sound_measuring import SoundPlan, SoundReport, evaluate_sounds, sound_instruments
from text2x.evaluating.sound_report import write_sound_report

__all__ = [
    "Asked", "ClipPlan", "ClipReport", "ClipSubject", "EvaluationPlan", "Instruments", "Report", "Subject", "asked_of",
    "asked_of_clips", "clip_instruments", "clip_set", "clip_size", "clip_subject", "data_set", "drawn", "drawn_clips",
    "evaluate_clips", "evaluate_model", "instruments_of", "real_parts", "size_of", "subject_of", "write_clip_report",
    "write_report", "SoundPlan", "SoundReport", "SoundSubject", "evaluate_sounds", "sound_folder", "sound_instruments",
    "sound_set", "sound_subject", "write_sound_report",
]  # fmt: skip

"""Evaluating a model: what is asked of it, what it is measured by, and the report. Pictures are RGBA in [-1, 1]."""

from text2x.evaluating.asking import Asked, Subject, asked_of, data_set, drawn, subject_of
from text2x.evaluating.instruments import Instruments, instruments_of, real_parts
from text2x.evaluating.measuring import EvaluationPlan, Report, evaluate_model, size_of
from text2x.evaluating.report import write_report

__all__ = [
    "Asked", "EvaluationPlan", "Instruments", "Report", "Subject", "asked_of", "data_set", "drawn", "evaluate_model",
    "instruments_of", "real_parts", "size_of", "subject_of", "write_report",
]  # fmt: skip

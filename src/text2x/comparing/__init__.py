"""Comparing methods: the same data, the same time or operations, the same prompts and seeds, and a verdict a claim."""

from text2x.comparing.budgets import Budget, budget_of
from text2x.comparing.claims import Claim, ComparisonSet, Method
from text2x.comparing.report import write_comparison
from text2x.comparing.running import Comparison, compare, rendered
from text2x.comparing.sets import SETS, chosen

__all__ = [
    "SETS", "Budget", "Claim", "Comparison", "ComparisonSet", "Method", "budget_of", "chosen", "compare", "rendered",
    "write_comparison",
]  # fmt: skip

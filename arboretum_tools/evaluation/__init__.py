"""Predictions against a split, as long-tailed papers report them."""

from __future__ import annotations

from arboretum_tools.evaluation.comparison import Comparison, Difference, compare_predictions
from arboretum_tools.evaluation.evaluation import Evaluation, Measures, RankAccuracy, evaluate
from arboretum_tools.evaluation.measures.intervals import Estimate
from arboretum_tools.evaluation.measures.pairs import PairAccuracy
from arboretum_tools.evaluation.predictions import PredictionsError
from arboretum_tools.evaluation.runs import Runs, Spread, summarize_runs

__all__ = [
    "Comparison",
    "Difference",
    "Estimate",
    "Evaluation",
    "Measures",
    "PairAccuracy",
    "PredictionsError",
    "RankAccuracy",
    "Runs",
    "Spread",
    "compare_predictions",
    "evaluate",
    "summarize_runs",
]

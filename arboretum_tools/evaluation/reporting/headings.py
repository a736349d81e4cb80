"""What measures are called in tables and figures; in code and JSON they have the names of their fields."""

from __future__ import annotations

from collections.abc import Sequence

_HEADINGS = {
    "class_balanced": "class-balanced",
    "macro_f1": "macro-F1",
    "auroc": "AUROC, known against unknown classes",
    "oscr": "OSCR",
    "calibration_error": "expected calibration error",
}

_AT_K = "hierarchical_distance_"
_ASKED = "asked_"


def heading(name: str) -> str:
    """The heading of a measure; a name that is none of ours stays as it is.

    >>> heading("macro_f1"), heading("hierarchical_distance_5"), heading("worst_class"), heading("many")
    ('macro-F1', 'hierarchical distance at 5', 'worst class', 'many')
    """
    if name.startswith(_AT_K):
        return f"hierarchical distance at {name.removeprefix(_AT_K)}"
    if name.startswith(_ASKED):
        return f"{name.removeprefix(_ASKED)}, asked at that rank"
    return _HEADINGS.get(name) or name.replace("_", " ")


def model_name(names: Sequence[str]) -> str:
    """How a report names a model by the files of its runs; without a word where one is in memory.

    >>> model_name(["a.npz"]), model_name(["a.npz", "b.npz"])
    ('a.npz', '2 runs: a.npz, …')
    """
    if len(names) == 1:
        return names[0]
    return f"{len(names)} runs" + (f": {names[0]}, …" if names[0] else "")

"""What measures are called in tables and figures; in code and JSON they have the names of their fields."""

from __future__ import annotations

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

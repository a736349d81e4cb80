"""A README.md for folders that `datasets.load_dataset` would otherwise take for something else.

Without it `inat-json` gives train and val under each other's names, because both lie in one folder, and `csv`
one column, because its tables are separated by tabs. `configs` of the front matter say which files are which
part (https://huggingface.co/docs/hub/datasets-manual-configuration).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arboretum_tools.exporting.base import SPLIT_NAMES, Source

README = "README.md"


def write_configs(folder: Path, source: Source, files: Mapping[str, str], about: str, **options: Any) -> None:
    """Writes README.md.

    Args:
        folder: of the export.
        source: gives the name.
        files: pattern of the files of each part.
        about: what the reader should know, Markdown.
        **options: of the builder that `datasets` chooses by the files.
    """
    import yaml  # type: ignore[import-untyped]

    data_files = [{"split": SPLIT_NAMES[part], "path": pattern} for part, pattern in files.items()]
    front = {"configs": [{"config_name": "default", "data_files": data_files, **options}]}
    text = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    name = " ".join(source.split.name.split())
    (folder / README).write_text(f"---\n{text}---\n\n# {name}\n\n{about}\n", encoding="utf-8")

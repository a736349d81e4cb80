"""The ten captions that CLIP training on Arboretum reads, for one class.

The types and their texts are those of `gen_img_txt_pair.py` in the Arboretum repository
(https://github.com/baskargroup/Arboretum); a type is also the suffix of its member in a WebDataset
sample (`taxonTag_com` is `<key>.taxonTag_com.txt`).

What differs from upstream, on purpose: upstream writes `None`, `nan` and empty names into the text. Here
a rank that the class lacks is left out together with the word for it, and where there is no common name
a caption takes its form without one. No caption ever holds a double space or a control character. A class
that is a life stage of a species says so (`a photo of Luna Moth larva.`): without it the stages of a species
would have the same captions, and zero-shot evaluation could not tell them apart.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from arboretum_metadata.vocab import LIFE_STAGE_RANK, RANKS
from arboretum_tools.errors import BadInputError, SplitError, UsageError
from arboretum_tools.system.regular_files import regular
from arboretum_tools.wording import one_line

CaptionType = Literal[
    "com",
    "common_name",
    "sci",
    "sci_com",
    "scientific_name",
    "taxon",
    "taxonTag",
    "taxonTag_com",
    "taxon_com",
    "taxonomic_name",
]

#: Arboretum's loader picks one of these at random (`--text_type random`); all five must be in every sample.
ARBORETUM_CAPTIONS: tuple[CaptionType, ...] = ("sci", "com", "taxon", "sci_com", "taxon_com")

#: The caption that stands in the plain member `txt`.
DEFAULT_CAPTION: CaptionType = "sci_com"

# Texts that upstream tables hold where they hold nothing.
_NOTHING = frozenset({"", "none", "nan", "null", "<na>", "n/a"})


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one class, each on one line and free of control characters.

    Attributes:
        scientific_name: never empty.
        common_name: None where the class has none.
        ranks: (rank, name) of the ranks that the class has, broadest first; `species` is the epithet.
        life_stage: of a class that is a stage of a species; None of any other.
    """

    scientific_name: str
    common_name: str | None
    ranks: tuple[tuple[str, str], ...]
    life_stage: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Names:
        """The names in one row of a split's `classes.parquet`.

        Raises:
            SplitError: the row has no scientific name, so that nothing can be said of its photos.
        """
        scientific_name = _clean(row["scientific_name"])
        if scientific_name is None:
            raise SplitError(
                f"class {row.get('label')} of the split has no scientific name",
                hint="Make the split again with `arboretum make-split`.",
            )
        ranks = ((rank, _clean(row.get(rank))) for rank in RANKS)
        return cls(
            scientific_name=scientific_name,
            common_name=_clean(row.get("common_name")),
            ranks=tuple((rank, name) for rank, name in ranks if name is not None),
            life_stage=_clean(row["class_key"].rpartition("|")[2])
            if row.get("rank") == LIFE_STAGE_RANK
            else None,
        )

    @property
    def scientific(self) -> str:
        """The scientific name, and the stage: `Actias luna larva`."""
        return _words(self.scientific_name, self.life_stage)

    @property
    def common(self) -> str:
        """The common name, or the scientific one where there is none, and the stage: `Luna Moth larva`."""
        return _words(self.common_name or self.scientific_name, self.life_stage)


def captions(names: Names) -> dict[CaptionType, str]:
    """All ten captions of a class, in the order of `CAPTION_TYPES`."""
    return {kind: form(names) for kind, form in _FORMS.items()}


def _clean(text: object) -> str | None:
    """`text` on one line with single spaces, or None where it says nothing."""
    if not isinstance(text, str):
        return None
    # Control, format, surrogate and private-use characters are "not printable", as are all spaces but
    # U+0020; all of them part words.
    words = "".join(character if character.isprintable() else " " for character in text).split()
    cleaned = " ".join(words)
    return None if cleaned.lower() in _NOTHING else cleaned


def _a_photo_of(text: str) -> str:
    return f"a photo of {text}."


def _lineage(names: Names) -> str:
    # A class without any rank still has its scientific name.
    lineage = " ".join(name for _, name in names.ranks) or names.scientific_name
    return _words(lineage, names.life_stage)


def _tagged_lineage(names: Names) -> str:
    tagged = " ".join(f"{rank} {name}" for rank, name in names.ranks) or names.scientific_name
    return _words(tagged, names.life_stage and f"{LIFE_STAGE_RANK} {names.life_stage}")


def _words(*words: str | None) -> str:
    return " ".join(text for text in words if text)


def _with_common_name(text: str, names: Names) -> str:
    return f"{text} with common name {names.common_name}" if names.common_name else text


_FORMS: dict[CaptionType, Callable[[Names], str]] = {
    "com": lambda names: _a_photo_of(names.common),
    "common_name": lambda names: f"{names.common}.",
    "sci": lambda names: _a_photo_of(names.scientific),
    "sci_com": lambda names: _a_photo_of(_with_common_name(names.scientific, names)),
    "scientific_name": lambda names: f"{names.scientific}.",
    "taxon": lambda names: _a_photo_of(_lineage(names)),
    "taxonTag": lambda names: _a_photo_of(_tagged_lineage(names)),
    "taxonTag_com": lambda names: _a_photo_of(_with_common_name(_tagged_lineage(names), names)),
    "taxon_com": lambda names: _a_photo_of(_with_common_name(_lineage(names), names)),
    "taxonomic_name": lambda names: f"{_lineage(names)}.",
}

#: All ten, in alphabetical order.
CAPTION_TYPES: tuple[CaptionType, ...] = tuple(_FORMS)

#: What a template may name.
TEMPLATE_FIELDS = ("scientific_name", "common_name", *RANKS, "life_stage")

# A suffix in a tar: what comes after the key's dot, so no further dot; readers lower-case it.
_TEMPLATE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Templates:
    """Captions of one's own: `$common_name, a bird of the family $family`.

    Each has one form or several; a class takes the first whose every name it has, and the `sci_com` caption
    where it has the names of none. So no caption is ever empty or has a hole.

    Attributes:
        forms: by name of the caption, 1 or more forms in the language of `string.Template`.
    """

    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lowered = [name.lower() for name in self.forms]
        for name, forms in self.forms.items():
            if not _TEMPLATE_NAME.fullmatch(name) or lowered.count(name.lower()) > 1:
                raise UsageError(
                    f"{name!r} cannot be the name of a caption",
                    hint="Give a letter and at most 39 letters, digits or _; none twice.",
                )
            if not forms:
                raise UsageError(f"the caption {name} has no form")
            for form in forms:
                _check_form(name, form)

    @classmethod
    def read(cls, path: Path) -> Templates:
        """The templates of a TOML file: `name = "form"` or `name = ["form", "another"]` a line.

        Raises:
            BadInputError: it cannot be read, or names no caption.
            UsageError: it says something else.
        """
        try:
            payload = tomllib.loads(regular(path).read_text("utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise BadInputError(f"the caption templates {path} cannot be read: {one_line(error)}") from error
        if not payload:
            raise BadInputError(f"{path} names no caption", hint='Write, for example, txt = "$common_name".')
        forms = {name: (value,) if isinstance(value, str) else value for name, value in payload.items()}
        for name, value in forms.items():
            if not isinstance(value, list | tuple) or not all(isinstance(form, str) for form in value):
                raise UsageError(
                    f"{path}: {name} is neither a text nor a list of texts",
                    hint='Write, for example, txt = ["a photo of $common_name.", "a photo of $genus."].',
                )
        return cls({name: tuple(value) for name, value in forms.items()})

    def captions(self, names: Names) -> dict[str, str]:
        """These captions of a class, by name."""
        known = dict(names.ranks) | {"scientific_name": names.scientific_name}
        more = {"common_name": names.common_name, "life_stage": names.life_stage}
        known |= {name: text for name, text in more.items() if text is not None}
        return {name: _first_that_fits(forms, known, names) for name, forms in self.forms.items()}


def _check_form(name: str, form: str) -> None:
    template = string.Template(form)
    if not template.is_valid():
        raise UsageError(
            f"the caption {name} has a $ that begins no name: {form!r}", hint="Write $$ for a $."
        )
    for asked in template.get_identifiers():
        if asked not in TEMPLATE_FIELDS:
            raise UsageError(
                f"the caption {name} names ${asked}, which no class has",
                hint=f"There are {', '.join(f'${known}' for known in TEMPLATE_FIELDS)}.",
            )
    if _clean(form) is None:
        raise UsageError(f"the caption {name} says nothing")


def _first_that_fits(forms: tuple[str, ...], known: Mapping[str, str], names: Names) -> str:
    for form in forms:
        template = string.Template(form)
        if all(asked in known for asked in template.get_identifiers()):
            # White space of the form itself is put in order as that of names is.
            return _clean(template.substitute(known)) or captions(names)[DEFAULT_CAPTION]
    return captions(names)[DEFAULT_CAPTION]

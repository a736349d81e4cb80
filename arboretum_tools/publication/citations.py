"""What whoever uses an export is asked to cite: the papers of the metadata, as BibTeX and as CFF.

One list for the dataset card, Croissant, the datasheet and CITATION.cff, so that they never differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_AUTHORS = (
    "Yang, Chih-Hsuan",
    "Feuer, Benjamin",
    "Jubery, Zaki",
    "Deng, Zi K.",
    "Nakkab, Andre",
    "Hasan, Md Zahid",
    "Chiranjeevi, Shivani",
    "Marshall, Kelly",
    "Baishnab, Nirmal",
    "Singh, Asheesh K.",
    "Singh, Arti",
    "Sarkar, Soumik",
    "Merchant, Nirav",
    "Hegde, Chinmay",
    "Ganapathysubramanian, Baskar",
)


# What BibTeX or TeX would take for something else than itself.
_TEX = {character: f"\\{character}" for character in "{}&%$#_"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True, slots=True)
class Author:
    """Who is cited for a publication: a person, or an organisation.

    Attributes:
        family: the name of a person's family, or that of an organisation.
        given: a person's given names; "" for an organisation.
    """

    family: str
    given: str = ""

    @classmethod
    def of(cls, name: str) -> Author:
        """That of "Family, Given"; a name without a comma is an organisation's."""
        family, _, given = (part.strip() for part in name.partition(","))
        return cls(family, given)

    @property
    def cff(self) -> dict[str, str]:
        """As an author of a CITATION.cff."""
        if not self.given:
            return {"name": self.family}
        return {"family-names": self.family, "given-names": self.given}

    @property
    def croissant(self) -> dict[str, str]:
        """As a creator in a croissant.json."""
        if not self.given:
            return {"@type": "sc:Organization", "name": self.family}
        return {
            "@type": "sc:Person",
            "name": f"{self.family}, {self.given}",
            "familyName": self.family,
            "givenName": self.given,
        }

    @property
    def bibtex(self) -> str:
        """As one of the names of a BibTeX entry; braces keep that of an organisation whole."""
        if not self.given:
            return f"{{{_tex(self.family)}}}"
        return f"{_tex(self.family)}, {_tex(self.given)}"


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper to cite.

    Attributes:
        key: of its BibTeX entry.
        title: of the paper.
        venue: where it appeared; None for a preprint.
        year: of that.
        arxiv: its number at arXiv.
    """

    key: str
    title: str
    venue: str | None
    year: int
    arxiv: str

    @property
    def bibtex(self) -> str:
        """Its BibTeX entry."""
        return _entry("inproceedings" if self.venue else "misc", self.key, self._fields())

    def _fields(self) -> dict[str, str]:
        return {
            "title": self.title,
            "author": " and ".join(_AUTHORS),
            **({"booktitle": self.venue} if self.venue else {}),
            "year": str(self.year),
            "eprint": self.arxiv,
            "archivePrefix": "arXiv",
        }

    @property
    def cff(self) -> dict[str, Any]:
        """The same as a reference of a CITATION.cff."""
        names = [author.split(", ") for author in _AUTHORS]
        about: dict[str, Any] = {
            "type": "conference-paper" if self.venue else "article",
            "title": self.title,
            "authors": [{"family-names": family, "given-names": given} for family, given in names],
            "year": self.year,
            "url": f"https://arxiv.org/abs/{self.arxiv}",
        }
        if self.venue:
            about |= {"collection-title": self.venue, "conference": {"name": self.venue}}
        else:
            about |= {"journal": f"arXiv preprint arXiv:{self.arxiv}"}
        return about


#: One paper under the title of its first version, by which the released metadata are known, and that of the
#: conference.
PAPERS = (
    Paper(
        key="yang2024arboretum",
        title="Arboretum: A Large Multimodal Dataset Enabling AI for Biodiversity",
        venue=None,
        year=2024,
        arxiv="2406.17720",
    ),
    Paper(
        key="yang2024biotrove",
        title="BioTrove: A Large Curated Image Dataset Enabling AI for Biodiversity",
        venue="Advances in Neural Information Processing Systems 37, Datasets and Benchmarks Track",
        year=2024,
        arxiv="2406.17720",
    ),
)


def bibtex() -> str:
    """The BibTeX entries of all papers."""
    return "\n\n".join(paper.bibtex for paper in PAPERS)


def own_bibtex(title: str, authors: Iterable[str], doi: str | None, split_sha256: str | None) -> str:
    """The BibTeX entry of a publication itself. It has no year: what is written depends on no clock.

    Args:
        title: of the publication.
        authors: "Family, Given", or organisations.
        doi: None where none was given.
        split_sha256: of what is published.
    """
    key = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "split"
    fields = {
        "title": f"{{{_tex(title)}}}",
        "author": " and ".join(Author.of(name).bibtex for name in authors),
        **({"doi": doi} if doi else {}),
        "note": f"Data set, split\\_sha256 {split_sha256}",
    }
    return _entry("misc", key, fields)


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = ",\n".join(f"  {name:<13} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}\n}}"


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)

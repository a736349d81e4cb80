"""What whoever uses an export is asked to cite: the papers of the metadata, as BibTeX and as CFF.

One list for the dataset card, Croissant, the datasheet and CITATION.cff, so that they never differ.
"""

from __future__ import annotations

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
        fields = {
            "title": self.title,
            "author": " and ".join(_AUTHORS),
            **({"booktitle": self.venue} if self.venue else {}),
            "year": str(self.year),
            "eprint": self.arxiv,
            "archivePrefix": "arXiv",
        }
        kind = "inproceedings" if self.venue else "misc"
        lines = ",\n".join(f"  {name:<13} = {{{value}}}" for name, value in fields.items())
        return f"@{kind}{{{self.key},\n{lines}\n}}"

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

"""Names to taxa: what a user may write for a taxon, and how several taxa of one name are told apart.

Pure: the catalogue looks the candidates up, this module decides between them.

A term is `Aves`, `Turdus migratorius`, `American Robin` (any case, one trailing s), `birds`, an iNaturalist
taxon id such as `3`; with its rank where a name means several taxa, `genus:Morus`; with a broader taxon,
`Plantae>Laelia` or `Tortricidae>Mesotes`; or with both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from arboretum_metadata.vocab import COMMON_NAMES, GROUPS, RANKS
from arboretum_tools.errors import AmbiguousTaxonError, UnknownTaxonError, UsageError
from arboretum_tools.wording import counted

# How near a name must be to be suggested, 0 to 100 (rapidfuzz's ratio), and how many are.
_NEAR = 72.0
_SUGGESTIONS = 5


@dataclass(frozen=True, slots=True)
class Taxon:
    """One taxon of a catalogue.

    Attributes:
        rank: one of the seven ranks.
        name: scientific name; for a species genus and epithet.
        kingdom: set only where another kingdom has a taxon of this rank and name; else None, so that rows
            which lack a kingdom still belong to their clade.
        family: set only of a genus of whose name its kingdom has another one.
    """

    rank: str
    name: str
    kingdom: str | None = None
    family: str | None = None

    @property
    def term(self) -> str:
        """The shortest term that always means this taxon; what recipes store."""
        term, above = f"{self.rank}:{self.name}", self.family or self.kingdom
        return f"{above}>{term}" if above else term

    @property
    def english(self) -> str:
        """The taxon in words."""
        above = self.family or self.kingdom
        return f"{self.rank} {self.name}" + (f" ({above})" if above else "")


@dataclass(frozen=True, slots=True)
class Term:
    """What the user wrote, taken apart.

    Attributes:
        text: as written.
        name: the name itself, white space folded.
        rank: the rank that it must have, or None.
        parent: a broader taxon that it must belong to, or None.
    """

    text: str
    name: str
    rank: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A taxon that a name may mean.

    Attributes:
        rank: one of the seven ranks.
        name: scientific name; for a species genus and epithet.
        lineage: the names above it, broadest first, without those that the catalogue lacks.
        kingdom: its kingdom, None where the catalogue has none.
        photos: rows of the catalogue.
        classes: species classes among them.
        family: of a genus of whose name its kingdom has several; else None.
        shared: whether the catalogue has another taxon of its rank and name.
    """

    rank: str
    name: str
    lineage: tuple[str, ...]
    kingdom: str | None
    photos: int
    classes: int
    family: str | None = None
    shared: bool = False


class Known(NamedTuple):
    """A name that a catalogue can answer, for suggestions; a tuple, as there are some 340,000.

    Attributes:
        name: scientific or everyday.
        rank: of the taxon that it means.
        taxon: scientific name of that taxon.
    """

    name: str
    rank: str
    taxon: str


def parse_term(text: str) -> Term:
    """Takes a term apart.

    Raises:
        UsageError: it is empty, or names a rank that there is not.
    """
    rest = text
    parent, separator, after = rest.partition(">")
    if separator:
        rest = after
    else:
        parent = ""
    rank, separator, after = rest.partition(":")
    if separator:
        rest = after
        rank = rank.strip().lower()
        if rank not in RANKS:
            raise UsageError(f"there is no rank {rank!r} ({text!r}); the ranks are {', '.join(RANKS)}")
    else:
        rank = ""
    name = " ".join(rest.split())
    if not name:
        raise UsageError(f"{text!r} names no taxon")
    return Term(text, name, rank or None, " ".join(parent.split()) or None)


def group_of(name: str) -> Taxon | None:
    """The taxon above species that an everyday name such as `birds` or `owls` means, if it means one.

    The Arboretum groups come first; case does not matter, nor a trailing s.
    """
    requested = name.casefold()
    for group in GROUPS.values():
        if requested in group.common_names:
            return Taxon(group.rank, group.name)
    forms = {requested, requested.removesuffix("s"), f"{requested}s"}
    for (rank, taxon), names in COMMON_NAMES.items():
        if forms.intersection(known.casefold() for known in names):
            return Taxon(rank, taxon)
    return None


def decide(term: Term, candidates: Sequence[Candidate], names: Iterable[Known]) -> Taxon:
    """The one taxon that a term means.

    Args:
        term: what the user wrote.
        candidates: the taxa of that name, of any rank and parent.
        names: all names below the term's parent, for suggestions; read only if there is no candidate.

    Raises:
        UnknownTaxonError: none fits.
        AmbiguousTaxonError: several fit.
    """
    fitting = [c for c in candidates if term.rank in (None, c.rank) and _below(c, term.parent)]
    if not fitting:
        if candidates:
            found = "; ".join(f"{c.rank} {c.name} {_describe(c)}" for c in candidates)
            raise UnknownTaxonError(term.text, hint=f"The catalogue has it as {found}.")
        raise UnknownTaxonError(
            term.text,
            suggestions=suggest(term, names),
            hint="Names may be scientific (any rank) or common, in any case. `arboretum taxa` shows "
            "what this catalogue holds.",
        )
    if len(fitting) > 1:
        raise AmbiguousTaxonError(
            term.text,
            candidates=[_line(c, fitting) for c in sorted(fitting, key=lambda c: (-c.photos, c.name))],
            hint="Name the one that you mean as it stands at the head of its line, in quotes.",
        )
    chosen = fitting[0]
    return Taxon(chosen.rank, chosen.name, chosen.kingdom if chosen.shared else None, chosen.family)


def suggest(term: Term, names: Iterable[Known]) -> list[str]:
    """Terms near to the one that was written, best first, at most five.

    Where the user named a rank or a parent, so do the suggestions: each may be given in place of the term.
    """
    from rapidfuzz import fuzz, process, utils

    fitting = [known for known in names if term.rank in (None, known.rank)]
    parts = [known.name for known in fitting]
    # "dragonflies and damselflies" is near to "dragonfly" as well.
    for known in [known for known in fitting if " and " in known.name]:
        pieces = known.name.split(" and ")
        parts += pieces
        fitting += [known] * len(pieces)
    found = process.extract(
        term.name,
        parts,
        scorer=fuzz.ratio,
        processor=utils.default_process,
        score_cutoff=_NEAR,
        limit=None,
    )
    # In an order of their own, that of `names` being none: only those that are near are ever sorted.
    order = sorted({(-score, part, *fitting[position]) for part, score, position in found})
    near: dict[tuple[str, str], str] = {}
    for *_, name, rank, taxon in order[: 4 * _SUGGESTIONS]:
        near.setdefault((rank, taxon), name)  # "bird" and "birds" are one suggestion
    before = (f"{term.parent}>" if term.parent else "") + (f"{term.rank}:" if term.rank else "")
    return [f"{before}{name}" for name in near.values()][:_SUGGESTIONS]


def everyday_names() -> Iterator[tuple[Taxon, str]]:
    """Every everyday name that `group_of` knows, with its taxon."""
    for group in GROUPS.values():
        for name in group.common_names:
            yield Taxon(group.rank, group.name), name
    for (rank, taxon), names in COMMON_NAMES.items():
        for name in names:
            yield Taxon(rank, taxon), name


def _below(candidate: Candidate, parent: str | None) -> bool:
    if parent is None:
        return True
    everyday = group_of(parent)
    requested = {parent.casefold(), everyday.name.casefold() if everyday else parent.casefold()}
    return not requested.isdisjoint(name.casefold() for name in candidate.lineage)


def _line(candidate: Candidate, fitting: Sequence[Candidate]) -> str:
    by_rank = sum(c.rank == candidate.rank for c in fitting) == 1
    term = f"{candidate.rank}:{candidate.name}"
    if not by_rank:
        same_name = [c for c in fitting if c.rank == candidate.rank and c.name == candidate.name]
        if len(same_name) > 1:
            above = candidate.family or (candidate.lineage[0] if candidate.lineage else "?")
            term = f"{above}>{term}"
    return f"{term}  {_describe(candidate)}"


def _describe(candidate: Candidate) -> str:
    where = " > ".join(candidate.lineage) or "no lineage"
    photos = counted(candidate.photos, "photo")
    return f"({where}; {photos}{f' of {candidate.classes:,} species' if candidate.rank != 'species' else ''})"

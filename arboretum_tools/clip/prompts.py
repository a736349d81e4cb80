"""The sentences that stand for a class, or for a taxon of a rank, in zero-shot classification."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arboretum_metadata.vocab import RANKS
from arboretum_tools.errors import UsageError
from arboretum_tools.taxa.captions import CAPTION_TYPES, Names, Templates, captions
from arboretum_tools.wording import did_you_mean

#: Values of the option `templates` that are no file.
OPENAI, CAPTIONS = "openai", "captions"

#: A sentence around a name.
Template = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Prompts:
    """How the sentences of a class are made; every class has the same number of them.

    Attributes:
        types: the caption types that name it.
        templates: sentences around each of these names; none = the captions as they are.
        own: captions of one's own, instead of all that.
    """

    types: tuple[str, ...]
    templates: tuple[Template, ...] = ()
    own: Templates | None = None

    @classmethod
    def read(cls, types: Iterable[str], templates: str | Path, openai: Sequence[Template]) -> Prompts:
        """What the options `text` and `templates` mean.

        Args:
            types: of captions.
            templates: `openai`, `captions` or a TOML file.
            openai: the templates of CLIP.

        Raises:
            BadInputError: the file cannot be read.
            UsageError: an unknown type, or a file that says something else.
        """
        for one in types:
            if one not in CAPTION_TYPES:
                raise UsageError(
                    f"{one!r} is not a caption type; there are {', '.join(CAPTION_TYPES)}",
                    hint=did_you_mean(one, tuple(CAPTION_TYPES)),
                )
        if templates in (OPENAI, CAPTIONS):
            return cls(tuple(types), tuple(openai) if templates == OPENAI else ())
        if not Path(templates).is_file():
            raise UsageError(
                f"templates are {OPENAI}, {CAPTIONS} or a file, and there is no file {templates}",
                hint=did_you_mean(str(templates), (OPENAI, CAPTIONS)),
            )
        return cls((), own=Templates.read(Path(templates)))

    def of(self, names: Names) -> list[str]:
        """The sentences for one class.

        >>> bird = Names("Turdus merula", "Common Blackbird", (("genus", "Turdus"), ("species", "merula")))
        >>> Prompts(("com", "taxon")).of(bird)
        ['a photo of Common Blackbird.', 'a photo of Turdus merula.']
        >>> Prompts(("com",), (lambda name: f"a drawing of a {name}.",)).of(bird)
        ['a drawing of a Common Blackbird.']
        """
        if self.own is not None:
            return list(self.own.captions(names).values())
        texts = {str(kind): text for kind, text in captions(names).items()}
        if not self.templates:
            return [texts[kind] for kind in self.types]
        return [template(_name(texts[kind])) for kind in self.types for template in self.templates]


def _name(caption: str) -> str:
    """What a caption calls the class, without the sentence around it."""
    return caption.removeprefix("a photo of ").removesuffix(".")


def taxa_of(rank: str, classes: Iterable[Mapping[str, Any]]) -> dict[str, Names]:
    """The taxa of a rank that the classes belong to, by name, in the order of the classes.

    A genus has no common name here: that of a class is its species'.

    Raises:
        UsageError: no class has the rank.
    """
    found: dict[str, Names] = {}
    for row in classes:
        name = row["scientific_name"] if rank == "species" else row[rank]
        if name and name not in found:
            of_class = dataclasses.replace(Names.of(row), life_stage=None)
            order = list(RANKS)
            above = order[: order.index(rank) + 1]
            found[name] = (
                of_class
                if rank == "species"
                else dataclasses.replace(
                    of_class,
                    scientific_name=name,
                    common_name=None,
                    ranks=tuple(one for one in of_class.ranks if one[0] in above),
                )
            )
    if not found:
        raise UsageError(f"no class of the split has a {rank}", hint="Leave this rank out of --rank.")
    return found

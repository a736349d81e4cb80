"""Every error that the toolkit raises on purpose.

    ArboretumError                     exit code
     ├── BadInputError                 3   what was given cannot be used
     │    ├── CatalogError                 a catalogue that is missing, empty, or not a catalogue
     │    ├── SelectionError               a filter that the catalogue cannot answer
     │    ├── RecipeError                  a split recipe that contradicts itself
     │    ├── InfeasibleSplitError         a split that the selection cannot carry
     │    ├── SplitError                   not a split folder
     │    ├── StoreError                   not an image store, or one in use
     │    ├── MissingPhotosError           photos of a split that the store does not hold
     │    ├── ExportError                  an export that cannot be made as asked
     │    ├── TrainingError                a run that cannot begin or go on
     │    ├── TargetExistsError            a target that holds something else
     │    ├── OutOfSpaceError              a disk too full for what was asked
     │    ├── NotWritableError             a place where nothing can be written
     │    └── ProcessDiedError             processes of a run that are killed again and again
     ├── UsageError                    2   an invalid value
     ├── TaxonError                    5
     │    ├── UnknownTaxonError            no taxon of that name
     │    ├── AmbiguousTaxonError          several taxa of that name
     │    └── SeveralTaxaError             several names of which that is so
     ├── TooManyFailuresError          4   finished, with more failures than allowed
     └── VerificationError             6   bytes or promises that do not hold

The base is not a ValueError or OSError, so that code which retries or ignores those never swallows one
of ours. A class that a caller would expect as a builtin inherits that builtin as well. Every message
says what happened, where, what was left unchanged, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class ArboretumError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        exit_code: what the command line exits with.
        hint: what to do next, a sentence; "" where nothing can be said.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class BadInputError(ArboretumError):
    """What was given cannot be used."""

    exit_code = 3


class CatalogError(BadInputError):
    """A catalogue that is missing, is empty, or is not a catalogue.

    Attributes:
        path: the folder or file at fault.
    """

    def __init__(self, message: str, *, path: Path | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class SelectionError(BadInputError):
    """A filter that this catalogue cannot answer."""


class RecipeError(BadInputError):
    """A split recipe whose parts contradict each other."""


class InfeasibleSplitError(BadInputError):
    """A split that the selection cannot carry.

    Attributes:
        largest_ratio: the largest imbalance ratio that two classes could carry; None if not even two
            classes are eligible.
    """

    def __init__(self, message: str, *, largest_ratio: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.largest_ratio = largest_ratio


class SplitError(BadInputError):
    """A folder that is not a split, or one whose files do not agree."""


class StoreError(BadInputError):
    """A folder that is not an image store, one made with other settings, or one in use."""


class MissingPhotosError(BadInputError):
    """Photos that the image store does not hold.

    Attributes:
        by_status: number of missing photos by their state in the store (`pending` = never tried).
    """

    def __init__(self, message: str, *, by_status: dict[str, int], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.by_status = by_status


class ExportError(BadInputError):
    """An export that cannot be made as asked."""


class TrainingError(BadInputError):
    """A training run that cannot begin or go on."""


class TargetExistsError(BadInputError, FileExistsError):
    """The target holds something else; nothing was written."""


class OutOfSpaceError(BadInputError, OSError):
    """The disk has less room than is needed, or ran full."""


class NotWritableError(BadInputError, OSError):
    """A place where nothing can be written: not permitted, read-only, a file where a folder must be."""


class ProcessDiedError(BadInputError):
    """Processes that do a part of the work are killed again and again, by a machine short of memory, say."""


class UsageError(ArboretumError, ValueError):
    """An invalid value, such as a ratio of 0."""

    exit_code = 2


class TaxonError(ArboretumError, LookupError):
    """A name that does not lead to exactly one taxon."""

    exit_code = 5


class UnknownTaxonError(TaxonError):
    """No taxon of that name in the catalogue.

    Attributes:
        name: as it was given.
        suggestions: near names that the catalogue holds, best first.
    """

    def __init__(self, name: str, *, suggestions: Sequence[str] = (), hint: str = "") -> None:
        message = f"no taxon called {name!r} in this catalogue"
        if suggestions:
            message += f"; did you mean {', '.join(suggestions)}?"
        super().__init__(message, hint=hint)
        self.name = name
        self.suggestions = tuple(suggestions)


class AmbiguousTaxonError(TaxonError):
    """Several taxa of that name.

    Attributes:
        name: as it was given.
        candidates: one line each: how to name it, its lineage, its photo count.
    """

    def __init__(self, name: str, *, candidates: Sequence[str], hint: str = "") -> None:
        lines = "\n".join(f"  {candidate}" for candidate in candidates)
        super().__init__(f"{name!r} names {len(candidates)} taxa:\n{lines}", hint=hint)
        self.name = name
        self.candidates = tuple(candidates)


class SeveralTaxaError(TaxonError):
    """Several names that do not lead to exactly one taxon each.

    Attributes:
        errors: one for each of them, in the order in which they were given.
    """

    def __init__(self, errors: Sequence[TaxonError]) -> None:
        hints = dict.fromkeys(error.hint for error in errors if error.hint)
        super().__init__("\n".join(error.message for error in errors), hint="\n".join(hints))
        self.errors = tuple(errors)


class TooManyFailuresError(ArboretumError):
    """A download that finished with more failures than `max_failure_rate` allows; what came is kept."""

    exit_code = 4


class VerificationError(ArboretumError):
    """Stored bytes that do not match their hash, or a promise that does not hold."""

    exit_code = 6

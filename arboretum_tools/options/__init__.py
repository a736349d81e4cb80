"""An option, declared once: the type, default, bounds and help of a field of a frozen dataclass.

A stage of the toolkit (what to select, how to download, how to split, ...) has one such dataclass. Each field
that a user may set carries an `Option` in its annotation:

    connections: Annotated[int, Option("Photos fetched at the same time.", least=1, most=256)] = 32

From it come the keyword arguments of the public function (`takes`), the flags of the command line, the keys
of recipe files, the reference pages, and the error for a bad value (`check`).
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import numbers
import operator
import re
import textwrap
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Any,
    Concatenate,
    ParamSpec,
    Protocol,
    SupportsIndex,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from arboretum_tools.errors import UsageError
from arboretum_tools.wording import did_you_mean

_P = ParamSpec("_P")
_What = TypeVar("_What")
_Other = TypeVar("_Other")
_Third = TypeVar("_Third")
_Options = TypeVar("_Options")
_Result = TypeVar("_Result")
_Made = TypeVar("_Made", covariant=True)


@dataclass(frozen=True, slots=True)
class Option:
    """What is known of an option besides its name, type and default.

    Attributes:
        help: what it does, in sentences; other options are written as flags (`--size`).
        metavar: stands for its value in the help of the command line.
        flag: its flag, without dashes; default the field's name with dashes.
        short: a second flag of one letter.
        choices: the values it takes, where they are a closed list; compared without case.
        spellings: values of the list by other spellings of theirs, in lower case.
        noun: what a value is called in errors; default the field's name with spaces.
        least: the smallest number it takes.
        most: the largest number it takes.
        many: whether it takes several values; `commas` says whether one text may hold several.
        commas: whether a comma separates values.
        text: whether the command line hands it over as text, whatever its type.
        default: how the default reads where the value does not say it.
        required: whether the command line asks for it.
        recipe: whether it may stand in a recipe file.
        taxa: whether a value is a taxon, which shells complete from the catalogue.
        on_command_line: what is true of the flag and not of the argument, added to its help.
    """

    help: str
    metavar: str | None = None
    flag: str | None = None
    short: str | None = None
    choices: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)
    noun: str | None = None
    least: float | None = None
    most: float | None = None
    many: bool = False
    commas: bool = True
    text: bool = False
    default: str | None = None
    required: bool = False
    recipe: bool = True
    taxa: bool = False
    on_command_line: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """A field of a stage's dataclass that carries an Option.

    Attributes:
        name: of the field and of the keyword argument.
        kinds: the types that its value may have, None left out.
        option: what is known of it.
        value: its default.
    """

    name: str
    kinds: tuple[Any, ...]
    option: Option
    value: Any

    @property
    def flag(self) -> str:
        """The flag of the command line, dashes included."""
        return f"--{self.option.flag or self.name.replace('_', '-')}"

    @property
    def key(self) -> str:
        """The key of recipe files: the flag without its dashes."""
        return self.flag.removeprefix("--")

    @property
    def noun(self) -> str:
        """What a value is called."""
        return self.option.noun or self.name.replace("_", " ")

    def checked(self, value: Any) -> Any:
        """A value in its form: in the spelling of its list, several as a tuple.

        Raises:
            UsageError: it is of another type, outside its closed list, or out of bounds.
        """
        option = self.option
        if option.many and option.commas:
            value = several(value, self.key)
        elif option.many and isinstance(value, str):
            # One of several, and not as many as it has letters.
            value = (value,)
        if option.choices:
            return tuple(self._known(one) for one in value) if option.many else self._known(value)
        if set(self.kinds) <= {int, float, bool, str}:
            value = _of_kind(self, value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            # Written so that NaN is refused too.
            low, high = option.least, option.most
            if not ((low is None or value >= low) and (high is None or value <= high)):
                raise UsageError(f"{self.key} must be {_bounds(low, high)}, not {value}")
        return value

    def _known(self, value: Any) -> str:
        choices, text = self.option.choices, str(value).strip().casefold()
        known = dict(self.option.spellings) | {one.casefold(): one for one in choices}
        if text.replace("_", "-") in known or text in known:
            return known.get(text) or known[text.replace("_", "-")]
        raise UsageError(
            f"unknown {self.noun} {value!r}; known: {', '.join(choices)}",
            hint=did_you_mean(text, known),
        )

    @property
    def default_text(self) -> str | None:
        """The default as people read it; None where leaving the option out says nothing more."""
        if self.option.default is not None:
            return self.option.default or None
        if isinstance(self.value, bool) or self.value in (None, (), "", dataclasses.MISSING):
            return None
        if isinstance(self.value, tuple):
            return ",".join(map(str, self.value))
        return f"{self.value:g}" if isinstance(self.value, float) else str(self.value)


def declared(stage: type) -> tuple[Declared, ...]:
    """The options of a stage: its own in the order of its fields, then those of the stage that it extends."""
    return _declared(stage)


@functools.cache
def _declared(stage: Any) -> tuple[Declared, ...]:
    hints = get_type_hints(stage, include_extras=True)
    found = []
    for one in _own_first(stage):
        hint = hints[one.name]
        if get_origin(hint) is not Annotated:
            continue
        inner, *marks = get_args(hint)
        option = next((mark for mark in marks if isinstance(mark, Option)), None)
        if option is not None:
            union = get_origin(inner) in (Union, types.UnionType)
            kinds = tuple(kind for kind in (get_args(inner) if union else (inner,)) if kind is not type(None))
            found.append(Declared(one.name, kinds, option, one.default))
    return tuple(found)


def _own_first(stage: type) -> list[dataclasses.Field[Any]]:
    fields = {field.name: field for field in dataclasses.fields(stage)}
    names = [name for kind in stage.__mro__ for name in inspect.get_annotations(kind) if name in fields]
    return [fields[name] for name in dict.fromkeys(names)]


def check(options: Any) -> None:
    """Brings the values of a stage into their form; called by its `__post_init__`.

    Values of closed lists get the spelling of the list, several values become a tuple, each once.

    Raises:
        UsageError: a value is of another type, outside its closed list, or out of bounds.
    """
    for entry in declared(type(options)):
        value = getattr(options, entry.name)
        if value is not None:
            object.__setattr__(options, entry.name, entry.checked(value))


def _of_kind(entry: Declared, value: Any) -> Any:
    name = entry.key
    if bool in entry.kinds and not isinstance(value, bool):
        raise UsageError(f"{name} is true or false, not {value!r}")
    if int in entry.kinds or float in entry.kinds:
        # Numbers of numpy become Python's, so that they can be written down.
        if not isinstance(value, bool):
            if float in entry.kinds and isinstance(value, numbers.Real):
                return float(value)
            if float not in entry.kinds and isinstance(value, SupportsIndex):
                return operator.index(value)
        kind = "number" if float in entry.kinds else "whole number"
        raise UsageError(f"{name} is a {kind}, not {value!r}")
    if entry.kinds == (str,) and not isinstance(value, str):
        raise UsageError(f"{name} is text, not {value!r}")
    return value


def _bounds(least: float | None, most: float | None) -> str:
    if most is None:
        return f"{least:g} or more"
    return f"{most:,g} or less" if least is None else f"{least:g} to {most:,g}"


def several(values: str | Iterable[str], name: str) -> tuple[str, ...]:
    """One value or several, each possibly a list with commas, in the order given, each once.

    Raises:
        UsageError: what was given is blank. A variable that a script forgot to set must not mean everything.
    """
    given = [values] if isinstance(values, str) else list(values)
    if wrong := [value for value in given if not isinstance(value, str)]:
        raise UsageError(f"{name} takes text, not {wrong[0]!r}")
    parts = [part.strip() for value in given for part in value.split(",")]
    if given and not any(parts):
        raise UsageError(f"{name} is given without a value", hint="Leave it out to take all.")
    return tuple(dict.fromkeys(part for part in parts if part))


class _Takes(Protocol[_P, _Made]):
    """Gives a function of up to three things and options of a stage the fields of the stage as arguments."""

    @overload
    def __call__(self, function: Callable[[_Made], _Result]) -> Callable[_P, _Result]: ...

    @overload
    def __call__(
        self, function: Callable[[_What, _Made], _Result]
    ) -> Callable[Concatenate[_What, _P], _Result]: ...

    @overload
    def __call__(
        self, function: Callable[[_What, _Other, _Made], _Result]
    ) -> Callable[Concatenate[_What, _Other, _P], _Result]: ...

    @overload
    def __call__(
        self, function: Callable[[_What, _Other, _Third, _Made], _Result]
    ) -> Callable[Concatenate[_What, _Other, _Third, _P], _Result]: ...


def takes(stage: Callable[_P, _Options]) -> _Takes[_P, _Options]:
    """Gives a function of up to three things and the options of a stage the fields of the stage as arguments.

    Type checkers see them, as do `help` and `inspect.signature`. In the docstring, the line
    `options: {options}` becomes what `Args:` says of each.
    """
    assert isinstance(stage, type)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        *things, _ = inspect.signature(function).parameters.values()
        known = inspect.signature(stage).parameters

        @functools.wraps(function)
        def called(*given: Any, **options: Any) -> Any:
            for name in options:
                if name not in known:
                    raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}")
            return function(*given[: len(things)], stage(*given[len(things) :], **options))

        hints = get_type_hints(stage, include_extras=True)
        parameters = inspect.signature(stage).parameters
        shown = [
            parameters[field.name].replace(annotation=_plain(hints[field.name]))
            for field in _own_first(stage)
        ]
        signature = inspect.Signature([*things, *shown], return_annotation=function.__annotations__["return"])
        called.__signature__ = signature  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in (*things, *shown)}
        called.__annotations__["return"] = signature.return_annotation
        called.__doc__ = re.sub(
            r"( *)options: \{options\}", lambda match: documented(stage, match[1]), function.__doc__ or ""
        )
        return called

    return decorate


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def documented(stage: type, indent: str = "") -> str:
    """What `Args:` of a docstring says of the options of a stage: an entry for each, in indented lines."""
    lines = []
    for entry in declared(stage):
        text = in_python(entry.option.help)
        text = text[0].lower() + text[1:] if text[:2].istitle() else text
        if entry.value is True:
            text = f"False = {text}"
        default = f" Default {entry.default_text}." if entry.default_text is not None else ""
        lines += textwrap.wrap(
            f"{entry.name}: {text}{default}",
            106,
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def in_python(text: str) -> str:
    """The help of an option with other options named as arguments, not as flags."""
    return re.sub(r"--([a-z][a-z-]*)", lambda match: f"`{match[1].replace('-', '_')}`", text)

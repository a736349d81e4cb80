"""Flags out of the options that the library declares.

A command names the stages whose options are its flags:

    @takes(options=DownloadArguments, run=DownloadRun)
    def download(options: Given, run: DownloadRun) -> None:

Typer reads one parameter for each option. For a parameter `Given` the command gets those that were given, by
their names in Python; for one of the stage's own type a value of it. Options that no function of the library
takes stand in a dataclass beside their command.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_args, get_type_hints

import typer

from arboretum_cli.flags.completion import completion
from arboretum_tools.options import Declared, check, declared

#: The options that were given, by the names of the keyword arguments of the public function.
Given: TypeAlias = dict[str, Any]

Command: TypeAlias = Callable[..., None]


def takes(*, only: tuple[str, ...] | None = None, **stages: type) -> Callable[[Command], Command]:
    """Replaces parameters of a command by the flags of a stage each.

    Args:
        only: the options that this command has a flag for, where they are not all.
        stages: the dataclass whose options stand for the parameter of that name.
    """

    def decorate(command: Command) -> Command:
        parameters: list[inspect.Parameter] = []
        of_stage: dict[str, list[Declared]] = {}
        typed: dict[str, type] = {}
        for parameter in own_parameters(command):
            stage = stages.get(parameter.name)
            if stage is None:
                parameters.append(parameter)
                continue
            options = [entry for entry in declared(stage) if only is None or entry.name in only]
            of_stage[parameter.name] = options
            if parameter.annotation != Given:
                typed[parameter.name] = stage
            parameters += [_parameter(entry) for entry in options]

        def called(**values: Any) -> None:
            found: dict[str, Any] = {
                stage: {
                    # A flag without a value says the opposite of the default.
                    entry.name: not entry.value if entry.kinds == (bool,) else value
                    for entry in options
                    if _is_given(value := values.pop(entry.name))
                }
                for stage, options in of_stage.items()
            }
            for name, stage in typed.items():
                found[name] = stage(**found[name])
                check(found[name])
            command(**found, **values)

        taken = in_place_of(command, called, parameters)
        taken.stages = (*stages_of(command), *stages.values())  # type: ignore[attr-defined]
        return taken

    return decorate


def stages_of(command: Command) -> tuple[type, ...]:
    """The stages whose options are flags of a command, innermost first."""
    return getattr(command, "stages", ())


def own_parameters(command: Command) -> list[inspect.Parameter]:
    """The parameters of a command as Typer reads them: by name, their annotations evaluated."""
    hints = get_type_hints(command, include_extras=True)
    return [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
    ]


def in_place_of(command: Command, called: Command, parameters: Sequence[inspect.Parameter]) -> Command:
    """Makes one function look like a command to Typer: its name and help, and these parameters."""
    called.__name__, called.__doc__, called.__module__ = command.__name__, command.__doc__, command.__module__
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.stages = stages_of(command)  # type: ignore[attr-defined]
    return called


def repeated(arguments: Sequence[str], flag: str) -> list[str]:
    """Arguments in which a flag that takes several values stands before each of them.

    Shells and people write `--against b0 b1 b2`, of which a parser of options takes b0 alone and leaves the
    others to the arguments, where they mean something else. Here a flag has all that stands between it and
    the next option.

    >>> repeated(["evaluate", "birds", "a", "--against", "b0", "b1", "--json"], "--against")
    ['evaluate', 'birds', 'a', '--against', 'b0', '--against', 'b1', '--json']
    """
    found: list[str] = []
    inside, first = False, False
    for one in arguments:
        if one.startswith("-"):
            inside = one == flag or one.startswith(f"{flag}=")
            first = one == flag
        elif inside and not first:
            found.append(flag)
        else:
            first = False
        found.append(one)
    return found


def _is_given(value: Any) -> bool:
    """Whether a flag was typed; a 0 is a value, though Python calls it equal to False."""
    return value is not None and value is not False and value != []


def _parameter(entry: Declared) -> inspect.Parameter:
    names = [entry.flag, *([f"-{entry.option.short}"] if entry.option.short else [])]
    text = " ".join(filter(None, (entry.option.help, entry.option.on_command_line)))
    if entry.default_text is not None:
        text += f" [default: {entry.default_text}]"
    kind = _kind(entry)
    option = typer.Option(
        *names,
        help=text,
        metavar=entry.option.metavar,
        show_default=False,
        autocompletion=completion(entry),
        parser=_NUMBERS.get(kind),
    )
    default: Any = False if kind is bool else None
    if entry.option.required:
        default = ...  # Typer's sign of what must be given.
    return inspect.Parameter(
        entry.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind if default in (False, ...) else kind | None, option],
    )


def _kind(entry: Declared) -> Any:
    """The type that Typer parses a flag into."""
    if entry.kinds == (bool,):
        return bool
    one: type = str
    if not entry.option.text:
        inner = [one for kind in entry.kinds for one in get_args(kind)] if entry.option.many else []
        kinds = (*entry.kinds, *inner)
        one = next((kind for kind in (Path, float, int) if kind in kinds), str)
    return list[one] if entry.option.many else one  # type: ignore[valid-type]


def _whole(text: str) -> int:
    try:
        return int(text.removesuffix(".0"))
    except ValueError:
        raise typer.BadParameter(f"{text!r:.60} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r:.60} is not a number") from None


# Typer speaks of integers that it is "unable to parse", and does not say what was typed.
_NUMBERS: dict[Any, Callable[[str], Any]] = {int: _whole, float: _number}

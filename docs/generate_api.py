"""The page of the public names: signatures as `help` shows them, docstrings as the code has them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from typing import Any

import griffe

import arboretum_tools
from arboretum_tools.events import OnEvent

HEAD = """# Python API

Every public name of `arboretum_tools`, with its arguments, results and errors. [Python](python.md) shows them
at work and says which one to take. The examples run in the tests, in a folder with the bundled sample as
`catalog/`, its photos in `images/` and the split `splits/aves-lt100`.
"""


def page() -> str:
    """The whole page: functions first, then the classes of their results."""
    names = [name for name in arboretum_tools.__all__ if not name.startswith("_")]
    functions = [name for name in names if inspect.isfunction(getattr(arboretum_tools, name))]
    parts = [HEAD, "## Functions\n", *(_function(name, getattr(arboretum_tools, name)) for name in functions)]
    parts += ["## Classes\n", *(_class(n, getattr(arboretum_tools, n)) for n in names if n not in functions)]
    return "\n".join(parts)


def _function(name: str, function: Any, heading: str = "###") -> str:
    signature = inspect.signature(function)
    text = f"{heading} {name}\n\n```text\n{_signature(name, signature)}\n```\n\n"
    return text + _docstring(function, signature)


def _class(name: str, kind: type) -> str:
    text = f"### {name}\n\n{_docstring(kind, None)}"
    if dataclasses.is_dataclass(kind) and "Attributes:" not in (kind.__doc__ or ""):
        fields = (f"`{field.name}`" for field in dataclasses.fields(kind) if not field.name.startswith("_"))
        text += f"Attributes: {', '.join(fields)}.\n\n"
    for member_name, member in vars(kind).items():
        if member_name.startswith("_"):
            continue
        if isinstance(member, (classmethod, staticmethod)):
            member = member.__func__
        if inspect.isfunction(member):
            text += _function(f"{name}.{member_name}", member, "####") + "\n"
        elif getattr(member, "__doc__", None) and _is_property(member):
            text += f"#### {name}.{member_name}\n\n{_docstring(member, None)}\n"
    return text


def _is_property(member: Any) -> bool:
    return isinstance(member, property) or type(member).__name__ == "cached_property"


def _signature(name: str, signature: inspect.Signature) -> str:
    shown = signature.replace(
        parameters=[
            parameter.replace(annotation=inspect.Parameter.empty, default=_default(parameter.default))
            for parameter in signature.parameters.values()
            if parameter.name not in ("self", "cls")
        ],
        return_annotation=inspect.Signature.empty,
    )
    line = f"{name}{shown}"
    if len(line) <= 96:
        return line
    parts = [str(parameter) for parameter in shown.parameters.values()]
    first_keyword = next(
        (i for i, p in enumerate(shown.parameters.values()) if p.kind is inspect.Parameter.KEYWORD_ONLY), None
    )
    if first_keyword is not None:
        parts.insert(first_keyword, "*")
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


class _Named:
    """A default that is shown by its name, not by where it lies in memory."""

    def __init__(self, named: Any) -> None:
        self._name = named.__name__

    def __repr__(self) -> str:
        return str(self._name)


def _default(value: Any) -> Any:
    is_empty = value is inspect.Parameter.empty
    return _Named(value) if hasattr(value, "__name__") and not is_empty else value


def _docstring(documented: Any, signature: inspect.Signature | None) -> str:
    docstring = griffe.Docstring(inspect.getdoc(documented) or "")
    text = ""
    for section in docstring.parse("google", warnings=False):
        match section.kind.value:
            case "text":
                text += _fenced(section.value) + "\n\n"
            case "parameters":
                text += "Arguments:\n\n" + "".join(_argument(a, signature) for a in section.value) + "\n"
            case "attributes":
                text += (
                    "Attributes:\n\n" + "".join(_item(a.name, a.description) for a in section.value) + "\n"
                )
            case "raises":
                text += "Raises:\n\n" + "".join(_item(a.annotation, a.description) for a in section.value)
                text += "\n"
            case "returns" | "yields":
                said = " ".join(" ".join(filter(None, (a.name, a.description))) for a in section.value)
                text += f"{section.kind.value.capitalize()}: {_line(said)}\n\n"
            case "examples":
                text += "".join(f"```pycon\n{value}\n```\n\n" for _, value in section.value)
            case other:
                raise ValueError(f"a docstring section {other!r} that the page has no form for")
    return text


def _argument(argument: Any, signature: inspect.Signature | None) -> str:
    parameter = signature.parameters.get(argument.name) if signature else None
    kind = "" if parameter is None else _kind(parameter.annotation)
    return _item(argument.name, argument.description, kind)


def _kind(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    if annotation == OnEvent:
        return "OnEvent"
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text.strip("'"))


def _item(name: Any, description: str, kind: str = "") -> str:
    of_kind = f" (`{kind}`)" if kind else ""
    return f"- `{name}`{of_kind}: {_line(description)}\n"


def _line(text: str) -> str:
    return " ".join(text.split())


def _fenced(text: str) -> str:
    """Examples and indented blocks, set as code."""
    blocks = []
    for block in text.strip().split("\n\n"):
        if block.startswith(("    ", ">>>")):
            block = textwrap.dedent(block)
        if block.startswith(">>>"):
            blocks.append(f"```pycon\n{block}\n```")
        else:
            blocks.append(block)
    return "\n\n".join(blocks)

"""Writes the pages that are made from the code: one a command, the Python API and the data dictionary.

    python docs/generate.py            writes them
    python docs/generate.py --check    exits 1, naming them, if a page is not what it would write

The pages are committed, so that they can be read without building anything; the tests run the check.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import generate_api
import typer

from arboretum_cli.main import COMMANDS, app
from arboretum_cli.main import GROUPS as COMMAND_GROUPS
from arboretum_metadata.schema import TABLES, Column, Table
from arboretum_metadata.vocab import GROUPS, LICENSE_PRESETS, LICENSES, LIFE_STAGES, PHOTO_SIZES, RANKS

DOCS = Path(__file__).parent
_ROOT: Any = typer.main.get_command(app)
HEAD = "<!-- Written by docs/generate.py: change the code, not this page. -->\n\n"


def pages() -> dict[Path, str]:
    """Every generated page and its text."""
    found = {Path("reference/commands/index.md"): _overview(), Path("data-dictionary.md"): _dictionary()}
    found[Path("reference/api.md")] = generate_api.page()
    for name in COMMANDS:
        found[Path(f"reference/commands/{name}.md")] = _command(name)
    for name in COMMAND_GROUPS:
        found[Path(f"reference/commands/{name}.md")] = _group(name)
    return {path: HEAD + text for path, text in found.items()}


def _overview() -> str:
    rows = "\n".join(f"| [`arboretum {name}`]({name}.md) | {line} |" for name, (_, line) in COMMANDS.items())
    rows += "".join(
        f"\n| [`arboretum {name}`]({name}.md) | {line} |" for name, (_, _, line) in COMMAND_GROUPS.items()
    )
    return f"""# Commands

Every command is a thin shell over one public function; its page names the Python twin. Results go to
stdout (`--json` for machines, errors included), everything else to stderr: a progress bar on a terminal, one
line every 30 seconds elsewhere, neither with `--quiet`. What is typed with every command can stand in
[arboretum.toml](config.md).

| command | does |
|---|---|
{rows}

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | internal error: a defect of arboretum |
| 2 | usage: an unknown option, or an invalid value |
| 3 | bad input or configuration; nothing was changed |
| 4 | finished, with more failures than `--max-failure-rate` allows; what came is kept |
| 5 | unknown or ambiguous taxon |
| 6 | verification failed |
| 130, 143 | interrupted by Ctrl-C or SIGTERM; the state is kept, and the same command goes on from there |
| 141 | the reader of the output (`head`, say) closed it |

## Environment

| variable | meaning |
|---|---|
| `ARBORETUM_CATALOG` | the catalogue, where `--catalog` is not given |
| `ARBORETUM_ORIGIN` | the server to ask for photos instead of the image hosts, as `--origin` |
| `ARBORETUM_MEMORY_LIMIT` | what queries may use before they spill to disk; default 2GB |
| `ARBORETUM_STATE` | where byte budgets of hosts are kept; default `~/.local/state/arboretum-tools` |
| `XDG_CONFIG_HOME` | where the user's `arboretum/arboretum.toml` lies; default `~/.config` |
| `NO_COLOR` | set to anything: no colours |
| `ARBORETUM_DEBUG` | set to anything: internal errors show their traceback |
| `TMPDIR` | where queries spill |
| `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` | the proxy of downloads, and hosts asked without it |
| `SSL_CERT_FILE`, `SSL_CERT_DIR` | certificates that are trusted, instead of the system's |
| `HF_ENDPOINT`, `HF_TOKEN` | hub and token of `catalog pull` |
"""


def _command(name: str) -> str:
    return f"# arboretum {name}\n\n" + _manual(_ROOT.commands[name], f"arboretum {name}")


def _group(group_name: str) -> str:
    group = _ROOT.commands[group_name]
    parts = [f"# arboretum {group_name}\n\n{_prose(group)}"]
    for name in COMMAND_GROUPS[group_name][1]:
        command = f"arboretum {group_name} {name}"
        parts.append(f"## {command}\n\n" + _manual(group.commands[name], command, under=name))
    return "\n".join(parts)


def _manual(command: Any, name: str, under: str = "") -> str:
    """The help of a command, each option with an anchor of its own."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    usage = " ".join([name, "[OPTIONS]", *(_metavar(p) for p in arguments)])
    text = f"```text\n{usage}\n```\n\n{_prose(command)}"
    level = "###" if under else "##"
    if arguments:
        text += f"{level} Arguments\n\n" + "".join(_entry(p, _metavar(p), under) for p in arguments)
    if options:
        text += f"{level} Options\n\n" + "".join(
            _entry(p, ", ".join(sorted(p.opts, key=len)) + _value(p), under) for p in options
        )
    return text


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    if argument.nargs == -1 and not name.endswith("..."):
        name += "..."
    return name if argument.required else f"[{name}]"


def _value(option: Any) -> str:
    if option.is_flag:
        return ""
    return f" {option.metavar or option.type.name.upper()}"


def _entry(parameter: Any, shown: str, under: str) -> str:
    anchor = "-".join(filter(None, (under, max(parameter.opts, key=len).lstrip("-").lower())))
    text, _, default = (parameter.help or "").partition(" [default: ")
    needed = " Required." if parameter.required else ""
    if not default and parameter.default not in (None, False, "", []) and not callable(parameter.default):
        default = f"{parameter.default}]"
    if default.rstrip("]"):
        needed = f" Default: {_text(default[:-1])}."
    return f'<a id="{anchor}"></a>**`{shown}`**<br>{_text(text)}{needed}\n\n'


def _text(text: str | None) -> str:
    """Help as Markdown: nothing in it is markup but its flags."""
    return _flags(re.sub(r"([<>*_\[\]])", r"\\\1", " ".join((text or "").split())))


def _flags(text: str) -> str:
    """Flags as code, but for those that stand in code already."""
    pieces = text.split("`")
    pieces[::2] = [re.sub(r"(?<![\w-])(--[a-z][a-z-]*)", r"`\1`", piece) for piece in pieces[::2]]
    return "`".join(pieces)


def _prose(command: Any) -> str:
    """The text of a help page; what it keeps unwrapped is a block of commands."""
    text = ""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if not paragraph.startswith("\b"):
            text += f"{_flags(' '.join(paragraph.split()))}\n\n"
            continue
        title, _, lines = paragraph.removeprefix("\b\n").partition("\n")
        text += f"{title}\n\n```text\n{textwrap.dedent(lines)}\n```\n\n"
    return text


def _dictionary() -> str:
    parts = [
        "# Data dictionary\n\nEvery file that the toolkit reads or writes. Parquet files that it writes "
        "say in their schema metadata, under the key `arboretum`, which version wrote them and from what; "
        "nothing in a split or an export tells a time, a host, a user or an absolute path.\n"
    ]
    parts += [_table(table) for table in TABLES.values()]
    parts.append(
        (DOCS / "includes" / "files-not-parquet.md").read_text("utf-8").partition("\n")[2].strip() + "\n"
    )
    parts.append(_vocabularies())
    return "\n".join(parts)


def _table(table: Table) -> str:
    rows = "\n".join(_row(column) for column in table.columns)
    return (
        f"## {table.name[0].upper()}{table.name[1:]}\n\n`{table.path}`\n\n{table.meaning} Order of rows: "
        f"{table.order}.\n\n"
        f"| column | type | unit | null | meaning |\n|---|---|---|---|---|\n{rows}\n"
    )


def _row(column: Column) -> str:
    also = f" Also read as {', '.join(f'`{name}`' for name in column.also)}." if column.also else ""
    null = "yes" if column.nullable else "no"
    meaning = column.meaning.replace("|", "\\|")
    return f"| `{column.name}` | {column.type} | {column.unit} | {null} | {meaning}{also} |"


def _vocabularies() -> str:
    ranks = "\n".join(f"| {rank.name} | {rank.level} |" for rank in RANKS.values())
    groups = "\n".join(f"| {g.name} | {g.rank} | {', '.join(g.common_names)} |" for g in GROUPS.values())
    stages = "\n".join(f"| {stage.name} | {stage.inat_value_id} |" for stage in LIFE_STAGES.values())
    licences = "\n".join(
        f"| [{x.name}]({x.url}) | {x.title} | {_yes(x.attribution)} | {_yes(x.commercial)} "
        f"| {_yes(x.derivatives)} | {_yes(x.share_alike)} |"
        for x in LICENSES.values()
    )
    presets = "\n".join(f"- `{name}`: {', '.join(names)}" for name, names in LICENSE_PRESETS.items())
    sizes = "\n".join(f"| {name} | {edge} |" for name, edge in PHOTO_SIZES.items())
    return f"""## Vocabularies

The files under `metadata/arboretum_metadata/data/` name their sources.

### Ranks

| rank | iNaturalist's rank_level |
|---|---|
{ranks}

### Groups of Arboretum

| group | rank | also called |
|---|---|---|
{groups}

### Life stages

| life stage | iNaturalist's number of the value |
|---|---|
{stages}

### Licences

| licence | in words | name the author | commercial use | changed copies | same licence for them |
|---|---|---|---|---|---|
{licences}

Sets of licences for `--license`; a photo without a known licence passes none:

{presets}

### Photo sizes

| size | long edge in pixels |
|---|---|
{sizes}
"""


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def main() -> None:
    """Writes the pages, or checks them."""
    stale = [path for path, text in pages().items() if not _is(DOCS / path, text)]
    if "--check" in sys.argv[1:]:
        sys.exit(
            f"not as the code says, run python docs/generate.py: {', '.join(map(str, stale))}" if stale else 0
        )
    for path, text in pages().items():
        (DOCS / path).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / path).write_text(text, encoding="utf-8")
    print(f"{len(stale)} pages changed")


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text("utf-8") == text


if __name__ == "__main__":
    main()

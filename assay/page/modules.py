"""Many small ES modules made into one script, for a page that must load nothing.

Each module becomes a function that returns what it exports, in the order of the imports. Only what
our own modules use is understood, and everything else is refused, so that nothing is left out in
silence:

    import { a, b as c } from "./x.js";      export function f() …   export async function f() …
    import * as x from "./x.js";             export class C …        export const NAME = …
    export { a, b } from "./x.js";           export { a, b };        export * from "./x.js";

An import is a statement of its own at the start of a line, as the house writes them. No module may
import itself, over others either: its exports would not exist yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from assay.errors import FormatError

_NAME = r"[A-Za-z_$][A-Za-z0-9_$]*"
_IMPORT = re.compile(
    rf"^(?P<word>import|export)\s*(?:\{{(?P<names>[^}}]*)\}}|\*(?:\s*as\s+(?P<space>{_NAME}))?)"
    r'\s*from\s*"(?P<path>[^"\n]+)";[ \t]*$',
    re.MULTILINE,
)
_EXPORT = re.compile(
    rf"^export (?P<kind>(?:async )?function\*?|class|const) (?P<name>{_NAME})\b", re.MULTILINE
)
_LIST = re.compile(r"^export\s*\{(?P<names>[^}]*)\};[ \t]*$", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b", re.MULTILINE)
_RENAMED = re.compile(rf"(?P<name>{_NAME})(?:\s+as\s+(?P<other>{_NAME}))?")
_ENDS_A_SCRIPT = re.compile(r"</script|<!--", re.IGNORECASE)


def join_modules(sources: Mapping[str, str], entry: str) -> str:
    """Return one script that does what the module `entry` does.

    `sources` maps a path with slashes, such as `assay/note.js`, to the text of that module; those
    that `entry` does not reach are left out.

    Raises:
        FormatError: a module that is not there, one that imports itself, or syntax that is not
            among the above; the path names the module.
    """
    names = {path: f"m{number}" for number, path in enumerate(_order(sources, entry))}
    parts = [_wrapped(path, sources[path], names) for path in names]
    script = '"use strict";\n' + "".join(parts)
    if _ENDS_A_SCRIPT.search(script):
        raise FormatError("would end the script that it is put in", entry)
    return script


def _order(sources: Mapping[str, str], entry: str) -> list[str]:
    """Return the modules that `entry` needs, each behind those that it imports."""
    done: list[str] = []
    open_: list[str] = []

    def visit(path: str) -> None:
        if path in done:
            return
        if path in open_:
            raise FormatError(f"imports itself: {' > '.join([*open_, path])}", path)
        if path not in sources:
            raise FormatError(
                f"is not there, and {open_[-1] if open_ else 'the page'} needs it", path
            )
        open_.append(path)
        for match in _IMPORT.finditer(sources[path]):
            visit(_resolve(path, match["path"]))
        open_.pop()
        done.append(path)

    visit(entry)
    return done


def _resolve(path: str, target: str) -> str:
    """Return the path of the module that `target` means in the module `path`."""
    if not target.startswith(("./", "../")):
        raise FormatError(f"imports {target!r}, which is no path", path)
    folders = path.split("/")[:-1]
    for part in target.split("/"):
        if part == ".." and folders:
            folders.pop()
        elif part == "..":
            raise FormatError(f"imports {target!r}, which is outside", path)
        elif part != ".":
            folders.append(part)
    return "/".join(folders)


def _wrapped(path: str, source: str, names: Mapping[str, str]) -> str:
    """Return the module as a function that is called at once and returns its exports."""
    exports: list[str] = []

    def imported(match: re.Match[str]) -> str:
        module = names[_resolve(path, match["path"])]
        if match["word"] == "import":
            if match["space"]:
                return f"const {match['space']} = {module};"
            pairs = ", ".join(_pair(name, other) for name, other in _renamed(match["names"], path))
            return f"const {{ {pairs} }} = {module};"
        if match["names"] is None:
            exports.append(f"...{module}")
        else:
            again = _renamed(match["names"], path)
            exports.extend(f"{other or name}: {module}.{name}" for name, other in again)
        return ""

    def exported(match: re.Match[str]) -> str:
        exports.append(match["name"])
        return f"{match['kind']} {match['name']}"

    def listed(match: re.Match[str]) -> str:
        exports.extend(
            f"{other}: {name}" if other else name for name, other in _renamed(match["names"], path)
        )
        return ""

    text = _LIST.sub(listed, _EXPORT.sub(exported, _IMPORT.sub(imported, source)))
    left = _LEFT.search(text)
    if left:
        line = text[left.start() :].split("\n", 1)[0]
        raise FormatError(f"cannot be put into a page: {line!r}", path)
    value = f"return {{ {', '.join(exports)} }};"
    return f"// {path}\nconst {names[path]} = (() => {{\n{text}\n{value}\n}})();\n"


def _renamed(names: str, path: str) -> Iterator[tuple[str, str | None]]:
    for item in names.split(","):
        text = item.strip()
        if not text:
            continue
        match = _RENAMED.fullmatch(text)
        if match is None:
            raise FormatError(f"cannot be put into a page: {text!r}", path)
        yield match["name"], match["other"]


def _pair(name: str, other: str | None) -> str:
    return f"{name}: {other}" if other else name

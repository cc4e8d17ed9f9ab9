"""YAML as nodes with lines, and a reader that collects every problem of a file instead of stopping at the first.

No object is ever constructed from the text: scalars stay text and are read by what their key asks for, so that `NO` is a country,
`12:30` a time and `2026-12-24` a date.
"""

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import yaml
from yaml.reader import ReaderError

MAX_NODES = 200_000
MAX_REPEATED = 50_000
MAX_DEPTH = 100
MAX_NAME = 200
MAX_TEXT = 1000
TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels, or holds itself by an alias; write the values out"
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
T = TypeVar("T")


class Problem(NamedTuple):
    """One thing that is wrong: `FILE:LINE: PATH: message`."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        path = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in self.path)
        return f"{self.file}:{self.line}: {path}: {self.message}"


class Entry(NamedTuple):
    """A value of a mapping with its place: the path of its key, the key's line, the file."""

    node: yaml.Node
    path: str
    line: int
    file: str


def parse(file: str, text: str, problems: list[Problem], least: str = "version: 1") -> yaml.Node | None:
    """The root of a document; None with a problem where there is none. Aliases are bounded, so that no bomb expands.

    `least` is what the smallest document has. The marks of its nodes name `file`, so that sections of several files can be
    put together.
    """
    roots = parse_all(file, text, problems, has_one=True)
    if roots is None:
        return None
    if not roots:
        problems.append(Problem(file, 1, "$", f"is empty; write at least {least}"))
        return None
    return roots[0]


def parse_all(file: str, text: str, problems: list[Problem], has_one: bool = False) -> list[yaml.Node] | None:
    """The roots of all documents in a text, with `has_one` of the only one; None with a problem where it is no YAML."""
    roots: list[yaml.Node] = []
    try:
        loader = _Loader(_with_spaces(text))
        loader.name = file
        if has_one:
            root = loader.get_single_node()
            roots = [] if root is None else [root]
        else:
            while loader.check_node():
                root = loader.get_node()
                roots.extend([] if root is None else [root])
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:  # the last two: "\\UFFFFFFFF"
        line, what = _why_no_yaml(error, text)
        problems.append(Problem(file, line, "$", what))
        return None
    for root in roots:
        if (fault := _fault_of(root)) is not None:
            problems.append(Problem(file, fault[0], "$", fault[1]))
            return None
    return roots


class _Loader(yaml.SafeLoader):
    """Stops early at deep brackets, at which PyYAML takes seconds before it gives up."""

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        if self.flow_level > MAX_DEPTH:
            raise RecursionError
        super().fetch_flow_collection_start(token_class)


def _with_spaces(text: str) -> str:
    """JSON may be indented with tabs, YAML may not. Inside of JSON's texts there is never a bare tab."""
    if "\t" not in text or not text.lstrip("\ufeff \t\r\n").startswith("{"):
        return text
    try:
        json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def _why_no_yaml(error: Exception, text: str) -> tuple[int, str]:
    if isinstance(error, RecursionError):
        return 1, TOO_DEEP
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return line, f"is no YAML: it has the control character U+{ord(text[error.position]):04X}; take it out"
    if not isinstance(error, yaml.YAMLError):
        return 1, "is no YAML: an escape (\\U…) that is no character; write the character itself"
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else 1
    what = str(getattr(error, "problem", None) or str(error).partition("\n")[0])
    if "another document" in what:
        return line, "has a second document (---); write one document a file"
    if "'\\t'" in what:
        return line, "is no YAML: a line is indented with a tab; write spaces"
    return line, f"is no YAML: {what}; write valid YAML"


def _fault_of(root: yaml.Node) -> tuple[int, str] | None:
    """Line and message, where a document is too large, too deep or has texts that are none. Heals JSON's surrogates."""
    count, stack = 0, [(root, 0)]
    seen: set[int] = set()
    while stack:
        node, depth = stack.pop()
        count += 1
        seen.add(id(node))
        if depth > MAX_DEPTH:
            return line_of(root), TOO_DEEP
        if count - len(seen) > MAX_REPEATED or count > MAX_NODES:
            what = "its aliases make it too large" if count - len(seen) > MAX_REPEATED else "is too large"
            return line_of(root), f"{what} (more than {MAX_NODES} values, {MAX_REPEATED} by aliases); write less in it"
        if isinstance(node, yaml.MappingNode):
            stack.extend((part, depth + 1) for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend((part, depth + 1) for part in node.value)
        elif _SURROGATE.search(node.value):
            try:
                node.value = node.value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
            except UnicodeDecodeError:
                return line_of(node), f"{shown(node)} has half a character (a lone surrogate); write the whole one"
    return None


def line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def shown(node: yaml.Node) -> str:
    """A value as a message shows it."""
    if isinstance(node, yaml.ScalarNode):
        text = str(node.value)
        return repr(text if len(text) <= 60 else text[:57] + "...")
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"


def nearest(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5) if len(word) <= MAX_NAME else []
    return f"did you mean {found[0]!r}? " if found else ""


def below(path: str, key: str) -> str:
    return key if path in ("", "$") else f"{path}.{key}"


class Reader:
    """Reads nodes and notes what is wrong. A method that cannot give a value gives None, after noting why."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def bad(self, entry: Entry, message: str, line: int | None = None) -> None:
        self.problems.append(Problem(entry.file, entry.line if line is None else line, entry.path, message))

    def mapping(
        self, entry: Entry, known: Collection[str] | None, what: str, any_text: bool = False
    ) -> dict[str, Entry] | None:
        """Its values by key. `known` None allows every name, `any_text` any text. Unknown and repeated keys are noted."""
        if is_null(entry.node):
            return {}
        if not isinstance(entry.node, yaml.MappingNode):
            self.bad(entry, f"is {shown(entry.node)}; write {what}")
            return None
        found: dict[str, Entry] = {}
        for key, value in entry.node.value:
            here = entry._replace(file=key.start_mark.name)
            if not isinstance(key, yaml.ScalarNode) or (not any_text and (why := _why_no_name(key))):
                why = "that is no text; write a name" if not isinstance(key, yaml.ScalarNode) else why
                self.bad(here, f"has a key {why}", line_of(key))
                continue
            name = str(key.value)
            one = Entry(value, below(entry.path, name), line_of(key), here.file)
            if name in found:
                first = found[name]
                place = f"line {first.line}" if first.file == one.file else f"{first.file}:{first.line}"
                self.bad(one, f"is defined twice, first in {place}; keep one of them")
            elif known is not None and name not in known:
                self.bad(one, f"unknown key; {nearest(name, known)}it may be one of: {', '.join(sorted(known))}")
            else:
                found[name] = one
        return found

    def sequence(self, entry: Entry, what: str, allow_one: bool = False) -> list[Entry] | None:
        if isinstance(entry.node, yaml.SequenceNode):
            return [
                Entry(node, f"{entry.path}[{index}]", line_of(node), entry.file)
                for index, node in enumerate(entry.node.value)
            ]
        if allow_one and isinstance(entry.node, (yaml.ScalarNode, yaml.MappingNode)):
            return [entry]
        self.bad(entry, f"is {shown(entry.node)}; write {what}")
        return None

    def text(self, entry: Entry, what: str) -> str | None:
        if not isinstance(entry.node, yaml.ScalarNode) or is_null(entry.node) or not entry.node.value:
            self.bad(entry, f"is {'nothing' if is_null(entry.node) else shown(entry.node)}; write {what}")
            return None
        text = str(entry.node.value)
        if len(text) > MAX_TEXT or _CONTROL.search(text):
            why = (
                f"has more than {MAX_TEXT} characters"
                if len(text) > MAX_TEXT
                else "has a line break or control character"
            )
            self.bad(entry, f"{shown(entry.node)} {why}; write {what}")
            return None
        return text

    def word(self, entry: Entry, words: Collection[str]) -> str | None:
        text = self.text(entry, f"one of: {', '.join(words)}")
        if text is None or text in words:
            return text
        self.bad(entry, f"{text!r} is unknown; {nearest(text, words)}write one of: {', '.join(words)}")
        return None

    def parsed(self, entry: Entry, parse: Callable[[str], T], what: str) -> T | None:
        """The text read by `parse`, whose ValueError says what is wrong and what to write instead."""
        text = self.text(entry, what)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.bad(entry, str(error))
            return None

    def texts(self, entry: Entry, what: str) -> list[Entry] | None:
        """A text or a list of texts."""
        found = self.sequence(entry, what, allow_one=True)
        if found is None:
            return None
        return [one for one in found if self.text(one, what) is not None]


def scalar(node: yaml.ScalarNode) -> Any:
    """A plain number or true/false as such, everything else as text."""
    text = str(node.value)
    if node.style is None:
        if text in ("true", "True", "TRUE"):
            return True
        if text in ("false", "False", "FALSE"):
            return False
        try:
            return int(text) if text.lstrip("+-").isdigit() else float(text) if _is_decimal(text) else text
        except ValueError:
            return text
    return text


def _is_decimal(text: str) -> bool:
    whole, dot, rest = text.lstrip("+-").partition(".")
    return bool(dot) and whole.isdigit() and rest.isdigit() and text.isascii()


def _why_no_name(key: yaml.ScalarNode) -> str:
    if is_null(key) or not key.value:
        return "that is nothing; write a name (in quotes, where it is a word like null)"
    if key.tag == "tag:yaml.org,2002:merge":
        return "<<, which is not read; write the keys out"
    if len(key.value) > MAX_NAME:
        return f"of more than {MAX_NAME} characters, {shown(key)}; write a shorter one"
    return f"with a line break or control character, {shown(key)}; take it out" if _CONTROL.search(key.value) else ""


def values(found: dict[str, Entry] | None) -> Iterator[tuple[str, Entry]]:
    yield from (found or {}).items()

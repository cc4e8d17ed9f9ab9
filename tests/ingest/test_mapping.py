import gzip
import json
import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from slastream.core.events import TicketEvent
from slastream.errors import PolicyError
from slastream.ingest.mapping import compile_mapping, load_mapping
from slastream.ingest.mapping_rows import Refusal
from slastream.wire.events import decode_event

REPOSITORY = Path(__file__).resolve().parents[2]
UCI_FILE = REPOSITORY.parent / "shared" / "data" / "uci_incidents" / "incident_event_log_until_2016-04.csv.xz"

TICKET: dict[str, Any] = {"ticket_id": {"column": "id"}, "occurred_at": {"column": "at"}}


class Imported:
    """What an import of one file gave: events as objects, refusals without the folder of the file."""

    def __init__(self, folder: Path, mapping: dict[str, Any] | str, content: str | bytes, name: str) -> None:
        file = folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        text = mapping if isinstance(mapping, str) else yaml.safe_dump(mapping)
        refused: list[Any] = []
        self.lines = list(compile_mapping(text).run([str(file)], refused.append))
        self.events = [json.loads(line) for line in self.lines]
        self.refused = [str(r).removeprefix(f"{folder}/") for r in refused]
        for line in self.lines:
            decode_event(line)

    def texts(self, *path: str) -> list[Any]:
        found = []
        for event in self.events:
            for key in path:
                event = event.get(key, {})
            found.append(event)
        return found


def unexpected(refusal: Refusal) -> None:
    pytest.fail(str(refusal))


@pytest.fixture
def imported(tmp_path: Path) -> Any:
    def run(mapping: dict[str, Any] | str, content: str | bytes, name: str = "rows.csv") -> Imported:
        return Imported(tmp_path, mapping, content, name)

    return run


def rows(*lines: str, header: str = "id,at,x") -> str:
    return "".join(line + "\n" for line in (header, *lines))


def ticket(**attributes: Any) -> dict[str, Any]:
    return {"event": {**TICKET, "ticket": attributes}}


# ---- values


def test_a_row_becomes_an_event_of_constants_and_columns(imported: Any) -> None:
    mapping = {
        "event": {
            **TICKET,
            "sequence": {"column": "n"},
            "source": "desk",
            "type": "changed",
            "ticket": {
                "status": {"column": "s", "map": {"Neu": "new"}},
                "priority": 1,
                "fields": {"floor": 3, "n": {"column": "n"}},
            },
        }
    }
    result = imported(mapping, rows("T1,2026-03-02T10:05:00Z,Neu,7", header="id,at,s,n"))
    assert result.refused == []
    assert result.events == [
        {
            "ticket_id": "T1",
            "occurred_at": "2026-03-02T10:05:00Z",
            "sequence": 7,
            "source": "desk",
            "type": "changed",
            "ticket": {"status": "new", "priority": "1", "fields": {"floor": 3, "n": "7"}},
        }
    ]


def test_what_is_missing_is_left_out_and_so_is_an_object_without_fields(imported: Any) -> None:
    mapping = {**ticket(priority={"column": "x"}, fields={"f": {"column": "x"}}), "missing": ["?", ""]}
    result = imported(
        mapping, rows("T1,2026-03-02T10:05:00Z,?", "T2,2026-03-02T10:05:00Z,", "T3,2026-03-02T10:05:00Z,-")
    )
    assert result.texts("ticket") == [{}, {}, {"priority": "-", "fields": {"f": "-"}}]


def test_by_default_only_the_empty_text_is_missing(imported: Any) -> None:
    result = imported(ticket(priority={"column": "x"}), rows("T1,2026-03-02,?", "T1,2026-03-02,"))
    assert result.texts("ticket") == [{"priority": "?"}, {}]


def test_a_default_is_for_what_is_missing_or_not_named_by_the_map(imported: Any) -> None:
    value = {"column": "x", "map": {"1 - Critical": "P1"}, "default": "P3"}
    result = imported(
        ticket(priority=value), rows(*(f"T1,2026-03-02,{x}" for x in ("1 - Critical", "1 - critical", "")))
    )
    assert result.texts("ticket", "priority") == ["P1", "P3", "P3"]
    assert result.refused == []


def test_null_clears_an_attribute(imported: Any) -> None:
    value = {"column": "x", "map": {"nobody": None, "ann": "ann"}, "default": None}
    result = imported(ticket(assignee=value), rows("T1,2026-03-02,nobody", "T1,2026-03-02,ann", "T1,2026-03-02,"))
    assert result.texts("ticket") == [{"assignee": None}, {"assignee": "ann"}, {"assignee": None}]


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("sequence", "7", 7),
        ("sequence", "-3.0", -3),
        ("source", "7", "7"),
        ("event_id", "e1", "e1"),
    ],
)
def test_a_text_is_converted_to_the_type_of_its_field(imported: Any, field: str, text: str, value: Any) -> None:
    result = imported({"event": {**TICKET, field: {"column": "x"}}}, rows(f"T1,2026-03-02,{text}"))
    assert result.texts(field) == [value]


def test_numbers_booleans_and_durations_are_converted_in_every_kind_of_event(imported: Any) -> None:
    counts = {
        "service": "mail",
        "occurred_at": {"column": "at"},
        "interval": "60s",
        "counts": {"good": {"column": "x"}, "total": 10},
        "latency_ms": {"le": {100: {"column": "x"}, "inf": 10}},
    }
    maintenance = {
        "maintenance_id": {"column": "id"},
        "service": "mail",
        "occurred_at": "2026-03-01T08:00:00Z",
        "start": {"column": "at"},
        "end": "2026-03-05T00:00:00Z",
        "withdrawn": "no",
        "revision": {"column": "x"},
    }
    message = {**TICKET, "type": "message", "message": {"author": "agent", "public": {"column": "x"}}}
    rated = {**TICKET, "type": "rated", "rating": {"score": {"column": "x"}, "scale": "2.5"}}
    result = imported({"events": [counts, maintenance, message, rated]}, rows("M1,2026-03-02,1"))
    assert result.refused == []
    assert result.events == [
        {
            "service": "mail",
            "occurred_at": "2026-03-02T00:00:00Z",
            "interval": "60s",
            "counts": {"good": 1, "total": 10},
            "latency_ms": {"le": {"100": 1, "inf": 10}},
        },
        {
            "maintenance_id": "M1",
            "service": "mail",
            "occurred_at": "2026-03-01T08:00:00Z",
            "start": "2026-03-02T00:00:00Z",
            "end": "2026-03-05T00:00:00Z",
            "withdrawn": False,
            "revision": 1,
        },
        {
            "ticket_id": "M1",
            "occurred_at": "2026-03-02T00:00:00Z",
            "type": "message",
            "message": {"author": "agent", "public": True},
        },
        {
            "ticket_id": "M1",
            "occurred_at": "2026-03-02T00:00:00Z",
            "type": "rated",
            "rating": {"score": 1, "scale": 2.5},
        },
    ]


def test_a_text_in_tags_is_a_list_of_one(imported: Any) -> None:
    result = imported(
        {"events": [ticket(tags={"column": "x"})["event"], ticket(tags=["a", "b"])["event"]]}, rows("T,2026-03-02,vip")
    )
    assert result.texts("ticket", "tags") == [["vip"], ["a", "b"]]


# ---- instants


@pytest.mark.parametrize(
    ("parse", "text", "instant"),
    [
        (None, "2026-03-02T10:05:00", "2026-03-02T10:05:00Z"),
        (None, "2026-03-02 10:05:00", "2026-03-02T10:05:00Z"),
        (None, "2026-03-02T10:05", "2026-03-02T10:05:00Z"),
        (None, "2026-03-02", "2026-03-02T00:00:00Z"),
        (None, "2026-03-02T10:05:00.1234569+01:00", "2026-03-02T09:05:00.123456Z"),
        (None, "2026-03-02t10:05:00z", "2026-03-02T10:05:00Z"),
        ("%d/%m/%Y %H:%M", "2/3/2026 9:05", "2026-03-02T09:05:00Z"),
        ("%d/%m/%Y  %H:%M", "2/3/2026 9:05", "2026-03-02T09:05:00Z"),
        ("%Y%m%d%H%M%S", "20260302090507", "2026-03-02T09:05:07Z"),
        ("%b %d, %Y %I:%M %p", "Mar 02, 2026 09:05 PM", "2026-03-02T21:05:00Z"),
        ("%d.%m.%y %H:%M:%S.%f", "02.03.26 09:05:07.25", "2026-03-02T09:05:07.25Z"),
        ("%Y-%m-%d %H:%M:%S %z", "2026-03-02 09:05:07 -0500", "2026-03-02T14:05:07Z"),
        ("epoch_s", "1772445900", "2026-03-02T10:05:00Z"),
        ("epoch_s", "1772445900.0000019", "2026-03-02T10:05:00.000001Z"),
        ("epoch_ms", "1772445900123", "2026-03-02T10:05:00.123Z"),
        ("epoch_ms", "-1", "1969-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_parsed_as_the_mapping_says(imported: Any, parse: str | None, text: str, instant: str) -> None:
    value = {"column": "x"} | ({} if parse is None else {"parse": parse})
    result = imported({"event": {"ticket_id": "T", "occurred_at": value}}, rows(f'T,,"{text}"'))
    assert result.refused == []
    assert result.texts("occurred_at") == [instant]


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (None, "yesterday"),
        (None, "2026-02-30 10:00"),
        (None, "2026-03-02x10:00"),
        (None, "2026-W10-1"),
        ("%d/%m/%Y %H:%M", "31/2/2026 10:00"),
        ("%d/%m/%Y %H:%M", "1/2/2026 24:00"),
        ("%d/%m/%Y %H:%M", "1/2/26 10:00"),
        ("%d/%m/%Y", "1/2/2026 10:00"),
        ("epoch_s", "soon"),
        ("epoch_s", "1e12"),
        ("epoch_s", "999999999999999"),
        ("epoch_ms", ""),
    ],
)
def test_a_text_that_cannot_be_parsed_is_refused(imported: Any, parse: str | None, text: str) -> None:
    value = {"column": "x"} | ({} if parse is None else {"parse": parse})
    result = imported({"event": {"ticket_id": "T", "occurred_at": value}}, rows(f"T,,{text}"))
    assert result.events == []
    assert len(result.refused) == 1
    assert result.refused[0].startswith("rows.csv:2: x: ")


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        ("Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29T00:59:59Z"),
        ("Europe/Berlin", "2026-03-29 02:00:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29 02:59:59.999999", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),
        ("Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25T02:00:00Z"),
        ("America/New_York", "2026-03-08 02:30:00", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01 01:30:00", "2026-11-01T05:30:00Z"),
        ("Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30T10:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-03T15:30:00Z"),
    ],
)
def test_a_local_time_that_does_not_exist_is_the_end_of_the_gap_and_one_that_occurs_twice_the_first(
    imported: Any, zone: str, local: str, instant: str
) -> None:
    result = imported({"timezone": zone, "event": TICKET}, rows(f"T,{local},"))
    assert result.texts("occurred_at") == [instant]


def test_an_offset_in_the_text_wins_over_the_time_zone(imported: Any) -> None:
    result = imported({"timezone": "Asia/Tokyo", "event": TICKET}, rows("T,2026-03-02T10:00:00+01:00,"))
    assert result.texts("occurred_at") == ["2026-03-02T09:00:00Z"]


# ---- several events, `when`, order


def test_several_events_of_a_row_each_have_their_condition(imported: Any) -> None:
    opened = {"ticket_id": {"column": "id"}, "occurred_at": {"column": "opened"}, "type": "created"}
    closed = {
        "when": {"closed": {"exists": True}},
        "ticket_id": {"column": "id"},
        "occurred_at": {"column": "closed"},
        "ticket": {"status": "closed"},
    }
    content = rows("A,2026-03-02,2026-03-04", "B,2026-03-03,", header="id,opened,closed")
    result = imported({"events": [opened, closed]}, content)
    assert [(e["ticket_id"], e["occurred_at"][:10]) for e in result.events] == [
        ("A", "2026-03-02"),
        ("A", "2026-03-04"),
        ("B", "2026-03-03"),
    ]


@pytest.mark.parametrize(
    ("when", "kept"),
    [
        ({"x": "a"}, ["a"]),
        ({"x": ["a", 10]}, ["a", "10"]),
        ({"x": True}, ["true"]),
        ({"x": {"not": "a"}}, ["b", "10", "9.5", "true", ""]),
        ({"x": {"not": ["a", "b"]}}, ["10", "9.5", "true", ""]),
        ({"not": {"x": "a"}}, ["b", "10", "9.5", "true", ""]),
        ({"x": {"exists": False}}, [""]),
        ({"x": {"glob": "[ab]"}}, ["a", "b"]),
        ({"x": {"gte": 9.5}}, ["10", "9.5"]),
        ({"x": {"gt": 9.5, "lte": 10}}, ["10"]),
        ({"x": {"lt": 10}}, ["9.5"]),
        ({"any": [{"x": "a"}, {"x": "b"}]}, ["a", "b"]),
        ({"all": [{"x": ["a", "b"]}, {"not": {"x": "b"}}]}, ["a"]),
        ({"x": ["a", "b"], "id": "T"}, ["a", "b"]),
        ({}, ["a", "b", "10", "9.5", "true", ""]),
    ],
)
def test_a_condition_looks_at_the_columns_as_text(imported: Any, when: dict[str, Any], kept: list[str]) -> None:
    texts = ["a", "b", "10", "9.5", "true", ""]
    mapping = {"event": {"when": when, **TICKET, "source": {"column": "x", "default": ""}}}
    result = imported(mapping, rows(*(f"T,2026-03-02,{x}" for x in texts)))
    assert result.texts("source") == kept


@pytest.mark.parametrize(
    ("sort_by", "order"),
    [
        ([], ["b", "a", "c", "d"]),
        (["at"], ["a", "c", "b", "d"]),
        (["n"], ["d", "c", "b", "a"]),
        (["n", "x"], ["d", "c", "a", "b"]),
        (["x"], ["d", "a", "c", "b"]),
        ("x", ["d", "a", "c", "b"]),
        (["@row"], ["b", "a", "c", "d"]),
    ],
)
def test_events_are_ordered_by_instants_and_numbers_as_values_and_by_the_rest_as_text(
    imported: Any, sort_by: list[str], order: list[str]
) -> None:
    content = rows("b,10/3/2026,10,z", "a,9/3/2026,010,B", "c,09/3/2026,9,a", "d,1/4/2026,-1,A", header="id,at,n,x")
    mapping = {
        "sort_by": sort_by,
        "event": {"ticket_id": {"column": "id"}, "occurred_at": {"column": "at", "parse": "%d/%m/%Y"}},
    }
    assert imported(mapping, content).texts("ticket_id") == order


def test_more_rows_than_are_numbered_with_one_digit_keep_their_order(imported: Any) -> None:
    mapping = {"sort_by": ["@row"], "event": {**TICKET, "sequence": {"column": "@row"}}}
    result = imported(mapping, rows(*["T,2026-03-02,"] * 12))
    assert result.texts("sequence") == list(range(1, 13))


def test_events_of_several_files_are_sorted_together(tmp_path: Path) -> None:
    for name, at in (("a", "2026-03-03"), ("b", "2026-03-02")):
        (tmp_path / f"{name}.csv").write_text(rows(f"{name},{at},"))
    mapping = compile_mapping(yaml.safe_dump({"sort_by": ["at"], "event": TICKET}))
    lines = mapping.run([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], unexpected)
    assert [json.loads(line)["ticket_id"] for line in lines] == ["b", "a"]


# ---- rows that are refused


def test_a_refused_row_is_named_with_its_line_and_column_and_the_others_are_written(imported: Any) -> None:
    mapping = {
        "event": {**TICKET, "sequence": {"column": "n"}, "ticket": {"status": {"column": "s", "map": {"Open": "open"}}}}
    }
    content = rows(
        "T1,2026-03-02,Open,1",
        ",2026-03-02,Open,2",
        '"T\n3",2026-03-02,Gone,3',
        "T4,,Open,4",
        "T5,2026-03-02,Open,many",
        "T6,2026-03-02,Open",
        "T7,2026-03-02,Open,99999999999999999999",
        "T8,2026-03-02,Open,8",
        header="id,at,s,n",
    )
    result = imported(mapping, content)
    assert result.texts("ticket_id") == ["T1", "T8"]
    assert [line.rsplit(";", 1)[0] for line in result.refused] == [
        "rows.csv:3: id: is missing",
        "rows.csv:4: s: is 'Gone', which `map` does not name",
        "rows.csv:6: at: is missing",
        "rows.csv:7: n: is 'many'",
        "rows.csv:8: $: has 3 cells",
        "rows.csv:9: n: is '99999999999999999999'",
    ]


def test_an_event_that_its_reader_would_refuse_is_refused(imported: Any) -> None:
    counts = {
        "service": "m",
        "occurred_at": {"column": "at"},
        "counts": {"good": {"column": "id"}, "total": {"column": "x"}},
    }
    result = imported({"event": counts}, rows("5,2026-03-02,4", "5,2026-03-02,", "5,2026-03-02,5"))
    assert len(result.events) == 1
    assert [line.split(": ")[:2] for line in result.refused] == [["rows.csv:2", "x"], ["rows.csv:3", "x"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [("ticket_id", "x" * 513), ("type", "renamed"), ("sequence", "1.5"), ("event_id", "é" * 513)],
)
def test_a_value_that_its_field_cannot_hold_is_refused(imported: Any, field: str, value: str) -> None:
    result = imported({"event": {**TICKET, field: {"column": "x"}}}, rows(f"T,2026-03-02,{value}"))
    assert result.events == []
    assert result.refused[0].startswith("rows.csv:2: x: ")


def test_a_refused_event_does_not_take_the_others_of_its_row_with_it(imported: Any) -> None:
    second = {"ticket_id": "S", "occurred_at": {"column": "x"}}
    result = imported({"events": [TICKET, second]}, rows("T,2026-03-02,never"))
    assert result.texts("ticket_id") == ["T"]
    assert len(result.refused) == 1


def test_bytes_that_are_not_in_the_encoding_refuse_their_row_only(imported: Any) -> None:
    result = imported(ticket(title={"column": "x"}), "id,at,x\nT1,2026-03-02,ä\n".encode() + b"T2,2026-03-02,\xe4\n")
    assert result.texts("ticket", "title") == ["ä"]
    assert result.refused[0].startswith("rows.csv:3: x: has bytes that are not in the `encoding`")


# ---- files


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
def test_other_encodings_are_read(imported: Any, encoding: str) -> None:
    mapping = {**ticket(title={"column": "x"}), "encoding": encoding}
    table, line = rows("T,2026-03-02,ä€"), '{"id": "T", "at": "2026-03-02", "x": "ä€"}'
    for form, text in (("csv", table), ("jsonl", line + "\n"), ("json", line)):
        assert imported({**mapping, "format": form}, text.encode(encoding)).texts("ticket", "title") == ["ä€"]


def test_a_byte_order_mark_is_not_part_of_the_first_column(imported: Any) -> None:
    assert imported({"event": TICKET}, b"\xef\xbb\xbf" + rows("T,2026-03-02,").encode()).texts("ticket_id") == ["T"]


@pytest.mark.parametrize(("ending", "packer"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_packed_table_is_read(imported: Any, ending: str, packer: Any) -> None:
    assert imported({"event": TICKET}, packer(rows("T,2026-03-02,").encode()), f"r.csv{ending}").texts("ticket_id") == [
        "T"
    ]


def test_cells_may_be_quoted_and_lines_blank_and_of_windows(imported: Any) -> None:
    content = 'id,at,x\r\n\r\n"T,1",2026-03-02,"two\r\nlines"\r\nT2,2026-03-02,bad\r\n'
    mapping = {"event": {**TICKET, "source": {"column": "x"}, "sequence": {"column": "@row"}}}
    result = imported(mapping, content)
    assert result.texts("ticket_id") == ["T,1", "T2"]
    assert result.texts("source") == ["two\r\nlines", "bad"]
    assert result.texts("sequence") == [1, 2]


def test_another_delimiter_can_be_named(imported: Any) -> None:
    assert imported({"delimiter": ";", "event": TICKET}, "id;at\nT;2026-03-02\n").texts("ticket_id") == ["T"]


JSON_ROWS: list[Any] = [
    {"id": 1, "at": 1772445900, "fields": {"status": {"name": "Open"}, "n": 1.5}, "labels": ["a", "b"], "a.b": True},
    7,
    {"id": "2", "at": None, "fields": None},
    {
        "id": "3",
        "at": 1772445900,
        "fields": {"status": {"name": ["Open"]}},
        "labels": [],
        "a": {"b": False},
        "by": [{"name": "x"}],
    },
]
JSON_MAPPING = {
    "event": {
        "ticket_id": {"column": "id"},
        "occurred_at": {"column": "at", "parse": "epoch_s"},
        "sequence": {"column": "@row"},
        "ticket": {
            "status_name": {"column": "fields.status.name"},
            "tags": {"column": "labels"},
            "fields": {"n": {"column": "fields.n"}, "ab": {"column": "a.b"}, "by": {"column": "by.0.name"}},
        },
    }
}
JSON_EVENT = {
    "ticket_id": "1",
    "occurred_at": "2026-03-02T10:05:00Z",
    "sequence": 1,
    "ticket": {"status_name": "Open", "tags": ["a", "b"], "fields": {"n": 1.5, "ab": True}},
}


def test_json_rows_are_read_by_dotted_paths_and_keep_their_types_in_fields(imported: Any) -> None:
    result = imported({"format": "json", **JSON_MAPPING}, json.dumps(JSON_ROWS, indent=1), "rows.json")
    assert result.events == [JSON_EVENT]
    text = json.dumps(JSON_ROWS, indent=1).split("\n")
    lines = [
        text.index(" 7,") + 1,
        next(i for i, t in enumerate(text) if '"2"' in t),
        next(i for i, t in enumerate(text) if '"3"' in t),
    ]
    assert [line.split(": ")[:2] for line in result.refused] == [
        [f"rows.json:{lines[0]}", "$"],
        [f"rows.json:{lines[1]}", "at"],
        [f"rows.json:{lines[2]}", "fields.status.name"],
    ]


def test_json_lines_are_rows(imported: Any) -> None:
    content = "\n".join(map(json.dumps, JSON_ROWS)) + "\n\n{broken\n"
    result = imported({"format": "jsonl", **JSON_MAPPING}, content, "rows.jsonl")
    assert result.events == [JSON_EVENT]
    assert [line.split(": ")[:2] for line in result.refused] == [
        ["rows.jsonl:2", "$"],
        ["rows.jsonl:3", "at"],
        ["rows.jsonl:4", "fields.status.name"],
        ["rows.jsonl:6", "$"],
    ]


def test_one_json_object_is_one_row(imported: Any) -> None:
    assert imported({"format": "json", "event": TICKET}, '{"id": "T", "at": "2026-03-02"}').texts("ticket_id") == ["T"]


def test_a_condition_on_a_json_list_holds_for_one_of_its_values(imported: Any) -> None:
    content = "".join(
        json.dumps({"id": i, "at": "2026-03-02", "x": x}) + "\n" for i, x in enumerate([["a", 1], [], "a", None, 1])
    )
    mapping = {"format": "jsonl", "event": {"when": {"x": 1}, **TICKET}}
    assert imported(mapping, content).texts("ticket_id") == ["0", "4"]


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_a_column_that_a_file_lacks_stops_before_any_output(tmp_path: Path, form: str) -> None:
    good = {
        "csv": rows("T,2026-03-02,"),
        "json": '[{"id":"T","at":"2026-03-02"}]',
        "jsonl": '{"id":"T","at":"2026-03-02"}\n',
    }
    bad = {
        "csv": rows("T,2026-03-02,", header="id,att,x"),
        "json": '[{"id":"T","att":""}]',
        "jsonl": '{"id":"T","att":""}\n' * 3,
    }
    (tmp_path / "good").write_text(good[form])
    (tmp_path / "bad").write_text(bad[form])
    mapping = compile_mapping(yaml.safe_dump({"format": form, "event": TICKET}))
    with pytest.raises(PolicyError, match=r"bad:1: at: is no column of the file; did you mean 'att'\?"):
        mapping.run([str(tmp_path / "good"), str(tmp_path / "bad")], unexpected)


@pytest.mark.parametrize(
    "mapping", [{"sort_by": ["gone"], "event": TICKET}, {"event": {**TICKET, "when": {"gone": 1}}}]
)
def test_the_columns_of_the_order_and_of_conditions_must_exist_too(imported: Any, mapping: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="gone: is no column"):
        imported(mapping, rows("T,2026-03-02,"))


def test_a_column_that_stands_twice_in_the_header_cannot_be_used(imported: Any) -> None:
    with pytest.raises(PolicyError, match="at: stands 2 times"):
        imported({"event": TICKET}, rows("T,2026-03-02,2026-03-03", header="id,at,at"))
    assert imported({"event": TICKET}, rows("T,2026-03-02,1,2", header="id,at,x,x")).texts("ticket_id") == ["T"]


@pytest.mark.parametrize(("form", "content"), [("csv", ""), ("json", "[{]"), ("json", "")])
def test_a_file_that_is_no_table_is_named(imported: Any, form: str, content: str) -> None:
    with pytest.raises(PolicyError, match=r"rows\.csv:1: \$: "):
        imported({"format": form, "event": TICKET}, content)


def test_a_file_without_rows_gives_no_events(imported: Any) -> None:
    assert imported({"event": TICKET}, rows()).events == []
    assert imported({"format": "json", "event": TICKET}, "[]").events == []
    assert imported({"format": "jsonl", "event": TICKET}, "\n").events == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for mapping in (compile_mapping(yaml.safe_dump({"event": TICKET})), load_mapping("native")):
        with pytest.raises(PolicyError, match=r"absent\.csv"):
            mapping.run([str(tmp_path / "absent.csv")], unexpected)
    with pytest.raises(PolicyError, match=r"absent\.yaml"):
        load_mapping(str(tmp_path / "absent.yaml"))


# ---- `native`


def native(folder: Path, name: str, content: str) -> tuple[list[bytes], list[str]]:
    (folder / name).write_text(content)
    refused: list[Any] = []
    lines = list(load_mapping("native").run([str(folder / name)], refused.append))
    return lines, [f"{r.line} {r.column}" for r in refused]


def test_events_pass_a_native_import_unchanged_and_others_are_refused(tmp_path: Path) -> None:
    good = '{"ticket_id": "T", "occurred_at": "2026-03-02T10:00:00Z"}'
    bad = '{"ticket_id": "T", "occurred_at": "2026-03-02T10:00:00"}'
    tick = '{"type": "tick", "at": "2026-03-02T10:00:00Z"}'
    assert native(tmp_path, "e.jsonl", "\n".join((good, bad, tick, "x", good))) == (
        [good.encode()] * 2,
        ["2 occurred_at", "4 $"],
    )
    lines, refused = native(tmp_path, "e.json", f"[{good},\n{bad},\n{tick}]")
    assert (len(lines), refused) == (1, ["2 occurred_at"])


# ---- mapping files that cannot be used


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        compile_mapping(text, "m.yaml")
    return str(caught.value).split("\n")


def test_every_problem_of_a_mapping_is_reported_at_once_with_line_and_path() -> None:
    found = problems(
        """formt: csv
encoding: utf-99
timezone: Europe/Berln
sort_by: {at: 1}
event:
  ticket_id: {colum: id}
  ocurred_at: {column: at}
  sequence: many
  type: renamed
  ticket:
    status: {column: s, map: {New: nw, Old: closed}, default: opn}
    priority: [P1]
    colour: red
    created_at: {column: at, parse: "%d/%q"}
    fields: {a: {b: {column: c}}}
  message: agent
"""
    )
    places = [line.split(": ")[0:2] for line in found]
    assert places == [
        ["m.yaml:1", "formt"],
        ["m.yaml:2", "encoding"],
        ["m.yaml:3", "timezone"],
        ["m.yaml:4", "sort_by"],
        ["m.yaml:5", "event"],
        ["m.yaml:6", "event.ticket_id.colum"],
        ["m.yaml:6", "event.ticket_id"],
        ["m.yaml:7", "event.ocurred_at"],
        ["m.yaml:8", "event.sequence"],
        ["m.yaml:9", "event.type"],
        ["m.yaml:11", "event.ticket.status.default"],
        ["m.yaml:11", "event.ticket.status.map.New"],
        ["m.yaml:12", "event.ticket.priority"],
        ["m.yaml:13", "event.ticket.colour"],
        ["m.yaml:14", "event.ticket.created_at.parse"],
        ["m.yaml:15", "event.ticket.fields.a.b"],
        ["m.yaml:15", "event.ticket.fields.a"],
        ["m.yaml:16", "event.message"],
    ]
    assert all(";" in line for line in found)
    assert "did you mean 'format'?" in found[0]
    assert "did you mean 'occurred_at'?" in found[7]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "m.yaml:1: $"),
        ("- a", "m.yaml:1: $"),
        ("a: [", "m.yaml:1: $"),
        ("format: csv\n\t- x", "m.yaml:2: $"),
        ("event: {}\nevents: []", "m.yaml:2: events"),
        ("format: csv", "m.yaml:1: $"),
        ("events: {}", "m.yaml:1: events"),
        ("events:\n- ticket_id: x", "m.yaml:2: events[0]"),
        ("event:\n  source: x", "m.yaml:1: event"),
        ("event:\n  service: x\n  occurred_at: {column: a}", "m.yaml:1: event"),
        ("event: {ticket_id: a, ticket_id: b, occurred_at: {column: a}}", "m.yaml:1: event.ticket_id"),
        ("event: {ticket_id: a, occurred_at: yesterday}", "m.yaml:1: event.occurred_at"),
        ("event: {ticket_id: a, occurred_at: {column: a, parse: d}}", "m.yaml:1: event.occurred_at.parse"),
        ('event: {ticket_id: a, occurred_at: {column: a, parse: "%d %Z"}}', "m.yaml:1: event.occurred_at.parse"),
        (
            "event: {ticket_id: a, occurred_at: {column: a}, sequence: {column: a, parse: epoch_s}}",
            "m.yaml:1: event.sequence.parse",
        ),
        ("event: {ticket_id: a, occurred_at: {column: a}, when: {x: {like: y}}}", "m.yaml:1: event.when.x.like"),
        ("event: {ticket_id: a, occurred_at: {column: a}, when: {any: {x: y}}}", "m.yaml:1: event.when.any"),
        ("event: {ticket_id: a, occurred_at: {column: a}, when: {x: {gt: y}}}", "m.yaml:1: event.when.x.gt"),
        ("event: &a {ticket_id: a, occurred_at: {column: a}, when: &b {not: *b}}", "m.yaml:1: $"),
        ("event: " + "[" * 5000, "m.yaml:1: $"),
        (
            "event: {ticket_id: a, occurred_at: {column: a}, ticket: {fields: {a: .inf}}}",
            "m.yaml:1: event.ticket.fields.a",
        ),
        ("delimiter: ab\nevent: {ticket_id: a, occurred_at: {column: a}}", "m.yaml:1: delimiter"),
        ("format: xml\nevent: {ticket_id: a, occurred_at: {column: a}}", "m.yaml:1: format"),
    ],
)
def test_a_wrong_mapping_is_refused_at_its_place(text: str, place: str) -> None:
    assert any(line.startswith(place + ": ") for line in problems(text))


def test_a_wrong_constant_of_an_otherwise_right_mapping_is_the_only_problem() -> None:
    assert len(problems("event: {ticket_id: a, occurred_at: {column: a}, ticket: {status: Open}}")) == 1


@given(st.text(max_size=200))
def test_arbitrary_text_raises_nothing_but_a_policy_error(text: str) -> None:
    try:
        compile_mapping(text)
    except PolicyError as error:
        assert str(error)


WORDS = """
format csv event events ticket_id occurred_at column map parse default when any not exists
gt ticket fields status open sort_by missing latency_ms le x tags %d epoch_s
"""
words = st.sampled_from(WORDS.split())
trees = st.recursive(
    words | st.none() | st.booleans() | st.integers() | st.floats() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5),
    max_leaves=20,
)


@given(trees, st.binary(max_size=100))
def test_arbitrary_yaml_and_rows_raise_nothing_but_a_policy_error(
    tmp_path_factory: Any, tree: Any, content: bytes
) -> None:
    usable = {"events": [{**TICKET, "ticket": {"fields": {"x": {"column": "x"}}}}]}
    file = tmp_path_factory.getbasetemp() / "fuzz"
    file.write_bytes(b"id,at,x\n" + content)
    for mapping in (
        tree,
        {"event": tree},
        {"event": {**TICKET, "ticket": tree}},
        {"event": {**TICKET, "when": tree}},
        usable,
    ):
        try:
            for line in compile_mapping(yaml.safe_dump(mapping)).run([str(file)], lambda refusal: None):
                decode_event(line)
        except PolicyError as error:
            assert str(error)


# ---- the examples


def imported_sample(example: str, file: Path) -> tuple[list[bytes], Sequence[Any]]:
    refused: list[Any] = []
    mapping = load_mapping(str(REPOSITORY / "examples" / example / "mapping.yaml"))
    return list(mapping.run([str(file)], refused.append)), refused


def test_a_row_of_the_uci_log_becomes_its_event(tmp_path: Path) -> None:
    columns = {
        "number": "INC1",
        "sys_updated_at": "29/2/2016 01:23",
        "sys_mod_count": "2",
        "opened_at": "29/2/2016 01:16",
        "priority": "3 - Moderate",
        "incident_state": "-100",
        "assignment_group": "?",
        "assigned_to": "Resolver 1",
        "caller_id": "Caller 1",
        "category": "?",
        "contact_type": "Phone",
        "location": "?",
    }
    (tmp_path / "log.csv").write_text(",".join(columns) + "\n" + ",".join(columns.values()) + "\n")
    lines, refused = imported_sample("uci", tmp_path / "log.csv")
    assert not refused
    event = decode_event(lines[0])
    assert isinstance(event, TicketEvent)
    assert (event.ticket_id, event.sequence, event.source) == ("INC1", 2, "servicenow")
    assert event.attributes == {
        "service": "service-desk",
        "type": "incident",
        "priority": "P3",
        "status": "open",
        "status_name": "-100",
        "assignee": "Resolver 1",
        "requester": "Caller 1",
        "fields.contact_type": "Phone",
    }


def test_a_row_of_an_upptime_history_becomes_its_event(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "commit,committed_at,slug,status\n"
        "c1,2026-01-20T21:28:39+00:00,shop,down\nc2,2026-01-20T21:28:39+00:00,wikipedia,down\n"
        "c3,2026-01-20T22:28:38+01:00,shop,up\nc4,2026-01-20T21:28:40+00:00,shop,lost\n"
    )
    lines, refused = imported_sample("upptime", tmp_path / "log.csv")
    assert [(e["event_id"], e["sequence"], e["state"]) for e in map(json.loads, lines)] == [
        ("c3", 3, "up"),
        ("c1", 1, "down"),
    ]
    assert [(r.line, r.column) for r in refused] == [(5, "status")]


@pytest.mark.skipif(not UCI_FILE.exists(), reason="shared/data is not beside the repository")
def test_the_uci_log_is_imported_whole_and_in_the_order_of_time() -> None:
    lines, refused = imported_sample("uci", UCI_FILE)
    assert (len(lines), len(refused)) == (101_045, 0)
    times = [json.loads(line)["occurred_at"] for line in lines]
    assert times == sorted(times)
    assert len({json.loads(line)["ticket_id"] for line in lines}) == 17_136

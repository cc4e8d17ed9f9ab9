"""Policies and stories of tickets, drawn from a seed: the same seed is the same case, for ever.

Instants are whole minutes within two weeks, most of them round ones, so that events often fall on a due
instant, a closing time or each other.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Any

Json = dict[str, Any]
ZONES = ["UTC", "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
FIRST_DAYS = ["2026-03-02", "2026-03-02", "2026-03-23", "2026-10-19", "2026-03-30", "2026-12-21"]
PRIORITIES = ["P1", "P2", "P3"]
STATUSES = ["open", "open", "open", "pending", "pending", "hold", "resolved", "resolved", "closed", "new"]
DURATIONS = ["30m", "1h", "2h", "4h", "8h", "12h", "20h"]
DAYS = [
    "1 business_days",
    "2 business_days",
    "1 calendar_days",
    "3 calendar_days",
    "end of business_day",
    "end of business_day + 1",
    "next business_day 10:00",
    "next business_day 16:00",
]
METRICS = [
    "first_response",
    "next_response",
    "periodic_update",
    "assignment",
    "resolution",
    "resolution",
    "resolution",
    "closure",
    "requester_wait",
    "agent_work",
    "ownership",
    "custom",
    "custom",
]
MATCHES: list[Json] = [
    {"priority": ["P1", "P2"]},
    {"priority": "P1"},
    {"tags": "vip"},
    {"type": "incident"},
    {"group": {"not": "L3"}},
    {"fields.region": "eu"},
    {"priority": {"not": "P3"}},
]
CUSTOM: list[Json] = [
    {"start": {"status": "open"}, "stop": {"status": ["resolved", "closed"]}, "pause": {"status": "hold"}},
    {"start": {"priority": "P1"}, "stop": {"assignee": {"exists": True}}},
    {"start": {"status": "open"}, "stop": {"status": "resolved"}, "cancel": {"tags": "dup"}},
    {
        "start": {"message.author": "requester"},
        "stop": {"message.author": "agent"},
        "pause": {"status": ["hold", "pending"]},
    },
    {
        "start": {"status": ["open", "new"]},
        "stop": {"any": [{"status": ["resolved", "closed"]}, {"event": {"type": "merged"}}]},
        "pause": {"all": [{"status": "hold"}, {"not": {"priority": "P1"}}]},
    },
    {"start": {"group": {"exists": True}}, "stop": {"status": "closed"}, "reset": {"changed": ["group"]}},
    {
        "start": {"status": "open"},
        "stop": {"status": ["resolved", "closed"]},
        "pause": {"tags": "wait"},
        "resume": {"message.author": "requester"},
    },
    {
        "start": {"event.type": "created"},
        "stop": {"status": ["resolved", "closed"]},
        "reset": {"message.author": "agent"},
    },
    {"start": {"status": "pending"}, "stop": {"not": {"status": "pending"}}},
    {
        "start": {"status": "open"},
        "stop": {"status": ["resolved", "closed"]},
        "pause": {"message.author": "agent"},
        "resume": {"message.author": "requester"},
        "cancel": {"tags": "dup"},
    },
    {"start": {"group": "L2"}, "stop": {"group": {"not": "L2"}}, "pause": {"assignee": {"exists": False}}},
    {
        "start": {"tags": "vip"},
        "stop": {"status": "closed"},
        "pause": {"status": "pending"},
        "cancel": {"not": {"tags": "vip"}},
    },
]
OVERRIDDEN: list[Json] = [
    {"stop": {"status": "closed"}, "pause": {"status": "resolved"}},
    {"start": {"status": "open"}},
    {"stop": {"any": [{"status": ["resolved", "closed"]}, {"assignee": {"exists": True}}]}},
    {"reset": {"changed": ["group"]}},
]


def case_of(seed: int) -> tuple[Json, list[Json], str]:
    """The case of a seed: a policy, the events of its tickets, the end."""
    random = Random(seed)
    first = datetime.fromisoformat(random.choice(FIRST_DAYS))
    policy = draw_policy(random, first)
    events: list[Json] = []
    for number in range(random.choice([1, 1, 1, 2, 3])):
        events += draw_ticket(random, f"T{number + 1}", first, policy)
    last = max(datetime.fromisoformat(event["occurred_at"]).replace(tzinfo=None) for event in events)
    until = last + timedelta(minutes=random.choice([-60, 0, 1, 60, 600, 1440, 4000, 20000]))
    random.shuffle(events)
    return policy, events, text_of(until)


def text_of(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# -- policies ---------------------------------------------------------------------------------------------------------
def draw_policy(random: Random, first: datetime) -> Json:
    """One to three agreements over three calendars."""
    agreements: Json = {}
    open_kinds = ["sla", "sla", "ola", "uc"]
    matches = random.sample(MATCHES, 3)
    for number in range(random.choice([1, 1, 2, 3])):
        kind = random.choice(open_kinds)
        agreements[f"a{number}"] = draw_agreement(random, kind, 10 * (number + 1), matches[number], first)
        if "match" not in agreements[f"a{number}"] and "customer" not in agreements[f"a{number}"]:
            open_kinds = [other for other in open_kinds if other != kind]
    policy: Json = {
        "version": 1,
        "timezone": random.choice(ZONES),
        "calendars": draw_calendars(random, first),
        "services": {"mail": {"customer": "acme"}},
        "agreements": agreements,
    }
    if random.random() < 0.3:
        policy["match_mode"] = "all"
    return policy


def draw_calendars(random: Random, first: datetime) -> Json:
    office: Json = {
        "timezone": random.choice(ZONES),
        "hours": random.choice(
            [
                {"mon-fri": ["09:00-17:00"]},
                {"mon-thu": ["08:00-12:00", "13:00-18:00"], "fri": ["08:00-15:00"]},
                {"mon-sun": ["00:00-24:00"]},
                {"mon-wed": ["10:00-20:00"], "sat": ["01:30-03:30"]},
            ]
        ),
    }
    if random.random() < 0.4:
        office["holidays"] = [(first + timedelta(days=random.randrange(14))).date().isoformat(), "12-25"]
    if random.random() < 0.3:
        office["exceptions"] = {
            (first + timedelta(days=random.randrange(14))).date().isoformat(): random.choice(
                ["closed", ["10:00-12:00"]]
            )
        }
    if random.random() < 0.3:
        office["versions"] = [
            {
                "effective_from": (first + timedelta(days=random.randrange(14))).date().isoformat(),
                "hours": {"mon-fri": ["07:00-13:00"]},
            }
        ]
    night = {
        "timezone": random.choice(ZONES),
        "hours": {"mon-fri": ["22:00-30:00"], "sun": ["01:00-04:00", "03:00-05:00"]},
    }
    return {"office": office, "night": night}


def draw_agreement(random: Random, kind: str, rank: int, match: Json, first: datetime) -> Json:
    agreement: Json = {"kind": kind, "rank": rank}
    if random.random() < 0.6:
        agreement["match"] = match
    elif random.random() < 0.2:
        agreement["customer"] = "acme"
    if random.random() < 0.7:
        agreement["calendar"] = random.choice(["office", "office", "office", "night", "24x7"])
    if random.random() < 0.05:
        agreement["effective_from"] = (first + timedelta(days=random.randrange(3))).date().isoformat()
    agreement["promises"] = {
        f"p{n}": draw_promise(random, agreement.get("calendar", "24x7")) for n in range(random.choice([1, 1, 2, 3, 4]))
    }
    return agreement


def draw_promise(random: Random, calendar: str) -> Json:
    metric = random.choice(METRICS)
    promise: Json = {"metric": metric}
    if metric == "custom":
        promise.update(random.choice(CUSTOM))
    elif random.random() < 0.2:
        promise["pause"] = random.choice([{"status": ["pending", "hold"]}, {"status": "hold"}, {"tags": "wait"}])
    if metric == "resolution" and random.random() < 0.15:
        promise.update(random.choice(OVERRIDDEN))
    if random.random() < 0.2:
        promise["calendar"] = calendar = random.choice(["office", "24x7"])
    targets = DURATIONS if calendar == "night" else random.choice([DURATIONS, DURATIONS, DAYS, DURATIONS + DAYS])
    promise.update(draw_targets(random, targets))
    durations_only = targets is DURATIONS
    if random.random() < 0.6:
        promise["on_change"] = random.choice(["retroactive", "carry", "restart", "reassess"])
    if metric in ("resolution", "closure", "requester_wait", "agent_work", "custom"):
        if random.random() < 0.4:
            promise["on_reopen"] = random.choice(["resume", "new_cycle", "ignore"])
        if random.random() < 0.6 or calendar == "night":
            promise["reopen_window"] = random.choice(
                ["1h", "4h", "24h"] if calendar == "night" else ["1h", "4h", "1 business_days", "2 calendar_days"]
            )
    if random.random() < 0.6:
        before = ["-30m", "-2h"] if durations_only else ["-1h"]
        promise["warn_at"] = random.sample(["50%", "75%", "90%", *before], random.choice([1, 2, 3]))
    return promise


def draw_targets(random: Random, targets: list[str]) -> Json:
    """`within`, by priority or not, or a list of targets with their own calendars."""
    one, two, three = random.sample(targets, 3)
    match random.randrange(6):
        case 0:
            return {"within": one}
        case 1:
            return {"within": {"P1": one, "P2": two}}
        case 2:
            return {"targets": [{"when": {"priority": "P1"}, "within": "4h", "calendar": "24x7"}, {"within": two}]}
        case 3:
            return {
                "targets": [
                    {"when": {"tags": "vip"}, "within": one},
                    {"when": {"priority": ["P1", "P2"]}, "within": two},
                ]
            }
        case _:
            return {"within": {"P1": one, "P2": two, "default": three}}


# -- events -----------------------------------------------------------------------------------------------------------
def draw_ticket(random: Random, name: str, first: datetime, policy: Json) -> list[Json]:
    """Three to fifteen events of one ticket."""
    count = random.randrange(3, 16)
    span = random.choice([1, 2, 4, 14]) * 1440
    step = random.choice([60, 60, 30, 15, 1])
    minutes = sorted(600 + random.randrange(span // step) * step for _ in range(count))
    if random.random() < 0.3 and count > 4:
        minutes[3] = minutes[2]
    promises = sorted({promise for agreement in policy["agreements"].values() for promise in agreement["promises"]})
    events = [draw_first(random, first + timedelta(minutes=minutes[0]))]
    events += [draw_next(random, promises, first + timedelta(minutes=minute)) for minute in minutes[1:]]
    for number, (event, minute) in enumerate(zip(events, minutes, strict=True)):
        event.update(
            event_id=f"{name}:{random.choice('abc') if number else 'a'}{number}",
            ticket_id=name,
            occurred_at=text_of(first + timedelta(minutes=minute)),
        )
        if not number:
            event["sequence"] = -1
        elif random.random() < 0.4:
            event["sequence"] = random.randrange(3)
    if random.random() < 0.15:
        events.append(dict(random.choice(events)))
    if random.random() < 0.1:
        events.append(another_content(random, random.choice(events[1:])))
    return events


def another_content(random: Random, event: Json) -> Json:
    """The same event, sent again with other words or another instant."""
    moment = datetime.fromisoformat(event["occurred_at"]) + timedelta(minutes=random.choice([-30, 0, 30]))
    return {**event, "occurred_at": text_of(moment), "ticket": {"status": random.choice(STATUSES)}}


def draw_first(random: Random, now: datetime) -> Json:
    ticket: Json = {
        "service": "mail",
        "status": random.choice(["new", "new", "open", "open", "pending", "resolved"]),
        "priority": random.choice(PRIORITIES),
    }
    for name, value in [
        ("type", "incident"),
        ("group", "L1"),
        ("assignee", "ann"),
        ("tags", ["vip"]),
        ("customer", "globex"),
        ("fields", {"region": "eu"}),
        ("opened_by", "agent"),
    ]:
        if random.random() < 0.3:
            ticket[name] = value
    if random.random() < 0.2:
        ticket["created_at"] = text_of(now - timedelta(minutes=random.choice([-30, 30, 60, 240, 3000])))
    event: Json = {"type": "created", "ticket": ticket}
    if random.random() < 0.1:
        event["message"] = draw_message(random)
    return event


def draw_next(random: Random, promises: list[str], now: datetime) -> Json:
    chance = random.random()
    if chance < 0.32:
        return {"type": "message", "message": draw_message(random)}
    if chance < 0.40:
        due = (
            None
            if random.random() < 0.25
            else text_of(now + timedelta(minutes=random.choice([-120, 0, 60, 240, 600, 3000])))
        )
        return {
            "type": "override",
            "override": {"promise": random.choice(promises), "due_at": due, "by": "kim", "reason": "agreed"},
        }
    if chance < 0.415:
        return {"type": "merged", "merged_into": "T9"}
    if chance < 0.425:
        return {"type": "deleted"}
    ticket: Json = {}
    if random.random() < 0.6:
        ticket["status"] = "cancelled" if random.random() < 0.03 else random.choice(STATUSES)
    if random.random() < 0.35:
        ticket["priority"] = random.choice(PRIORITIES)
    choices: list[tuple[str, list[Any]]] = [
        ("group", ["L1", "L2", "L3", None]),
        ("assignee", ["ann", None]),
        ("tags", [["vip"], [], ["wait"], ["dup", "vip"]]),
        ("type", ["incident", "request"]),
        ("fields", [{"region": "eu"}, {"region": "us"}]),
    ]
    for name, values in choices:
        if random.random() < 0.12:
            ticket[name] = random.choice(values)
    event: Json = {"type": "changed", "ticket": ticket}
    if random.random() < 0.15:
        event["message"] = draw_message(random)
    return event


def draw_message(random: Random) -> Json:
    message: Json = {
        "author": random.choice(["agent", "agent", "requester", "requester", "requester", "third_party", "automation"])
    }
    if random.random() < 0.3:
        message["public"] = random.random() < 0.5
    if random.random() < 0.2:
        message["automatic"] = random.random() < 0.5
    return message

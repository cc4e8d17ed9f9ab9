"""The console's pages, JSON, login and defences, answered in this process from a view that was told lines; no broker."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
import yaml
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator

from slastream.stream.topics import topics_folder
from slastream.web.console.api import Api
from slastream.web.console.archive import Archive
from slastream.web.console.forms import Forms
from slastream.web.console.login import Login, LoginSettings
from slastream.web.console.pages import PAGES
from slastream.web.console.reading import Reading
from slastream.web.console.replaying import Replaying
from slastream.web.console.site import Site
from slastream.web.console.workers import Workers
from slastream.web.event_log import EventLog
from web.console_scenario import BREACHED, Told, availability, compliance, event, fact, verdict

OPENAPI = yaml.safe_load((topics_folder() / "console.openapi.yaml").read_text("utf-8"))
TOKEN = "0123456789abcdef-token"
WITH_TOKEN = LoginSettings(tokens=(TOKEN.encode(),))
NOBODY = "127.0.0.1:9"
HOSTILE = "<script>alert(1)</script>&\"'/../x"
PATHS = ("/", "/clocks?state=running", "/tickets", "/services", "/agreements", "/policy", "/pipeline")

Client = TestClient[Any, Any]


def told() -> Told:
    """Something of everything, and names that nobody should have."""
    made = Told().event(event("OPS-1", "2026-03-02T10:00:00Z", title=HOSTILE, service="mail", status="open"))
    made.verdict(verdict("OPS-1", **BREACHED)).verdict(verdict("OPS-2", is_at_risk=True)).verdict(verdict(HOSTILE))
    made.verdict(verdict("OPS-3", service=HOSTILE, assignee=HOSTILE, agreement=HOSTILE))
    made.fact(fact("OPS-1")).fact(fact(None, "availability_breached", cycle=None, promise="uptime"))
    made.window(compliance()).window(availability()).window(compliance(service=HOSTILE, agreement=HOSTILE))
    origin = {"topic": "sla.tickets", "partition": 0, "offset": 7}
    original = base64.b64encode(HOSTILE.encode()).decode()
    line = {
        "kind": "rejected",
        "reason": "not_json",
        "path": "$",
        "message": HOSTILE,
        "original": original,
        "origin": origin,
    }
    return made.rejected(line)


@asynccontextmanager
async def serving(
    made: Told, settings: LoginSettings | None = None, *, is_loopback: bool = True
) -> AsyncIterator[Client]:
    view, archive = made.view, Archive(NOBODY)
    login = Login(settings or LoginSettings())
    site = Site(view, Reading(NOBODY, view), Workers(NOBODY, "slastream"), archive, login, is_loopback=is_loopback)
    forms = Forms(site, Replaying(archive, EventLog(NOBODY, 1.0)))
    server = TestServer(site.application(PAGES, [*Api(site).routes(), *forms.routes()]))
    async with TestClient(server) as client:
        yield client
        site.is_stopping = True


def answered(
    ask: Callable[[Client], Coroutine[Any, Any, None]],
    settings: LoginSettings | None = None,
    *,
    is_loopback: bool = True,
) -> None:
    async def run() -> None:
        async with serving(told(), settings, is_loopback=is_loopback) as client:
            await ask(client)

    asyncio.run(run())


async def text_of(client: Client, path: str, status: int = 200, **arguments: Any) -> str:
    response = await client.get(path, allow_redirects=False, **arguments)
    text = await response.text()
    assert response.status == status, text
    return text


def cookies_of(response: ClientResponse) -> str:
    return "; ".join(f"{name}={cookie.value}" for name, cookie in response.cookies.items())


# ---- pages


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_an_empty_console_says_what_to_do(path: str) -> None:
    async def run() -> None:
        async with serving(Told("version: 1")) as client:
            text = await text_of(client, path)
            assert 'class="empty' in text

    asyncio.run(run())


@pytest.mark.parametrize("path", [*PATHS, "/services/mail", "/agreements/gold"])
def test_no_name_or_text_of_others_becomes_a_part_of_a_page(path: str) -> None:
    async def ask(client: Client) -> None:
        text = await text_of(client, path)
        assert "<script>alert" not in text
        assert re.search(r"\son\w+=|\sstyle=|javascript:|<script>", text) is None, "what the security policy forbids"

    answered(ask)


def test_every_name_leads_to_its_page_whatever_is_in_it() -> None:
    async def ask(client: Client) -> None:
        for path in ("/clocks?state=running", "/services", "/agreements"):
            links = re.findall(r'href="(/(?:tickets|services|agreements)/[^"]+)"', await text_of(client, path))
            assert any("%3Cscript%3E" in link for link in links)
            for link in links:
                if link.startswith("/tickets/"):
                    link = f"/api{link}"  # a page of a ticket asks Kafka, which is not there
                    await text_of(client, link, 503 if link.endswith("OPS-1") else 200)
                else:
                    await text_of(client, link)

    answered(ask)


def test_a_ticket_without_events_is_told_by_its_verdicts() -> None:
    async def ask(client: Client) -> None:
        text = await text_of(client, "/tickets/OPS-2")
        assert "At risk" in text
        assert "The log has no events of this ticket any more." in text

    answered(ask)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tickets/OPS-99", 404),
        ("/services/nobody", 404),
        ("/agreements/nobody", 404),
        ("/clocks?state=lost", 400),
        ("/clocks?page=999999999999", 200),
        ("/clocks?page=-1&service=", 200),
        ("/static/../site.py", 404),
        ("/static/..%2Fsite.py", 404),
        ("/static/%2e%2e%2f%2e%2e%2fsite.py", 404),
        ("/static/console.css%00", 404),
        ("/nothing", 404),
        ("/api/tickets/OPS-99", 404),
        ("/api/clocks?state=lost", 400),
        ("/api/breaches?since=yesterday", 400),
        ("/api/breaches?since=1772445600000&until=2026-03-03T00:00:00Z&limit=5", 200),
    ],
)
def test_what_is_not_there_is_said_and_nothing_breaks(path: str, status: int) -> None:
    answered(lambda client: _ask(client, path, status))


async def _ask(client: Client, path: str, status: int) -> None:
    text = await text_of(client, path, status)
    if path.startswith("/api/") and status != 200:
        assert json.loads(text).keys() == {"status", "message"}


def test_every_answer_has_the_headers_that_protect_it() -> None:
    async def ask(client: Client) -> None:
        for path in ("/", "/nothing", "/api/now", "/static/console.css", "/healthz", "/readyz"):
            headers = (await client.get(path)).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "same-origin"
            is_static = path.startswith("/static/")
            assert ("immutable" if is_static else "no-store") in headers["Cache-Control"]

    answered(ask)


def test_another_host_name_is_refused_where_nobody_logs_in() -> None:
    async def ask(client: Client) -> None:
        for host, status in (
            ("evil.example", 421),
            ("evil.example:8090", 421),
            ("localhost", 200),
            ("127.0.0.1:1", 200),
        ):
            await text_of(client, "/", status, headers={"Host": host})
            await text_of(client, "/api/now", status, headers={"Host": host})

    answered(ask)


# ---- JSON


def test_each_path_answers_as_the_description_says() -> None:
    async def ask(client: Client) -> None:
        for path, item in OPENAPI["paths"].items():
            address = path.replace("{id}", "OPS-2").replace("{name}", "gold" if "agreements" in path else "mail")
            response = await client.get(address)
            (content,) = item["get"]["responses"][str(response.status)]["content"].items()
            assert response.content_type == content[0], path
            if content[0] == "application/json":
                assert response.status == 200, await response.text()
                schema = {"components": OPENAPI["components"], **content[1]["schema"]}
                Draft202012Validator(schema).validate(await response.json())

    answered(ask)


def test_the_json_has_what_the_page_has() -> None:
    async def ask(client: Client) -> None:
        now = await (await client.get("/api/now")).json()
        assert now["totals"]["breached"] == 1
        assert now["breached"][0]["clock"]["breached_at"] == "2026-03-02T11:00:00Z"
        assert now["breached"][0]["title"] == HOSTILE
        rows = await (await client.get("/api/breaches?service=mail")).json()
        assert {row["ticket_id"] for row in rows} == {"OPS-1", None}
        (window,) = (await (await client.get("/api/agreements/gold")).json())["windows"][0]
        assert (window["ratio"], window["budget_left"], window["is_kept"]) == (0.8, pytest.approx(-1), False)

    answered(ask)


def test_every_path_of_the_api_is_described() -> None:
    described = {path for path in OPENAPI["paths"] if path.startswith("/api/")}
    site: Any = Told()
    site.stories = site.reading = None
    assert {route.path for route in Api(site).routes()} == described


# ---- who may do what


def test_with_a_token_nothing_is_read_without_it() -> None:
    async def ask(client: Client) -> None:
        response = await client.get("/services/mail?x=1", allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (303, "/login?next=/services/mail?x%3D1")
        assert "mail" not in await response.text()
        assert json.loads(await text_of(client, "/api/now", 401))["status"] == 401
        await text_of(client, "/api/now", 401, headers={"Authorization": "Bearer wrong"})
        await text_of(client, "/api/now", headers={"Authorization": f"Bearer {TOKEN}"})
        await text_of(client, "/api/now", headers={"Authorization": f"Bearer {TOKEN}", "Host": "console.example"})
        for path in ("/healthz", "/login", "/static/console.css"):
            await text_of(client, path)

    answered(ask, WITH_TOKEN)


def test_a_public_console_is_read_by_all_and_changed_by_none() -> None:
    async def ask(client: Client) -> None:
        assert "Send it again" not in await text_of(client, "/pipeline")
        response = await client.post("/pipeline/replay", data={"partition": "0", "offset": "1"})
        assert response.status == 401

    answered(ask, LoginSettings(tokens=(TOKEN.encode(),), is_public=True))


def test_without_login_nobody_can_change_anything() -> None:
    async def ask(client: Client) -> None:
        assert "--token-file" in await text_of(client, "/pipeline")
        for path in ("/pipeline/replay", "/logout"):
            assert (await client.post(path)).status == 401
        assert (await client.post("/login", data={"token": ""}, allow_redirects=False)).status == 401
        for path in PATHS:
            assert (await client.post(path)).status == 405

    answered(ask)


async def logged_in(client: Client, **data: str) -> ClientResponse:
    return await client.post("/login", data={"token": TOKEN, **data}, allow_redirects=False)


def test_a_session_is_a_strict_cookie_that_cannot_be_made_up() -> None:
    async def ask(client: Client) -> None:
        response = await logged_in(client, next="/pipeline")
        assert (response.status, response.headers["Location"]) == (303, "/pipeline")
        cookie = response.cookies["slastream_session"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        value = cookie.value
        client.session.cookie_jar.clear()
        await text_of(client, "/", headers={"Cookie": f"slastream_session={value}"})
        later = f"{int(value.partition('.')[0]) + 1}.{value.partition('.')[2]}"
        for forged in (later, value[:-1] + ("0" if value[-1] != "0" else "1"), "", "1.2.3", "x"):
            await text_of(client, "/", 303, headers={"Cookie": f"slastream_session={forged}"})

    answered(ask, WITH_TOKEN)


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "/a\r\nX: y"]
)
def test_after_the_login_one_stays_here(target: str) -> None:
    async def ask(client: Client) -> None:
        assert (await logged_in(client, next=target)).headers["Location"] == "/"

    answered(ask, WITH_TOKEN)


@pytest.mark.parametrize(
    ("form_token", "headers", "status"),
    [
        (None, {}, 403),
        ("wrong", {}, 403),
        ("right", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("right", {"Sec-Fetch-Site": "same-site"}, 403),
        ("right", {}, 503),
    ],
)
def test_a_form_of_another_site_changes_nothing(form_token: str | None, headers: dict[str, str], status: int) -> None:
    """503: it would have been sent again, and Kafka is not there."""

    async def ask(client: Client) -> None:
        await logged_in(client)
        (right,) = set(re.findall(r'name="form_token" value="(\w+)"', await text_of(client, "/pipeline")))
        data = {"partition": "0", "offset": "1"}
        if form_token is not None:
            data["form_token"] = right if form_token == "right" else form_token
        response = await client.post("/pipeline/replay", data=data, headers=headers)
        assert response.status == status, await response.text()

    answered(ask, WITH_TOKEN)


def test_a_form_token_is_that_of_one_session() -> None:
    async def ask(client: Client) -> None:
        tokens = set()
        for _ in range(2):
            await logged_in(client)
            tokens |= set(re.findall(r'name="form_token" value="(\w+)"', await text_of(client, "/pipeline")))
        assert len(tokens) == 2

    answered(ask, WITH_TOKEN)


def test_a_program_with_a_token_needs_no_form() -> None:
    async def ask(client: Client) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        for data, status in (({"partition": "0", "offset": "1"}, 503), ({"partition": "x"}, 400), ({}, 400)):
            assert (await client.post("/pipeline/replay", data=data, headers=headers)).status == status

    answered(ask, WITH_TOKEN)


def test_who_guesses_tokens_is_slowed_down() -> None:
    async def ask(client: Client) -> None:
        statuses = [(await client.post("/login", data={"token": f"guess {n}"})).status for n in range(8)]
        assert statuses[0] == 401
        assert statuses[-1] == 429
        assert (await logged_in(client)).status == 303

    answered(ask, WITH_TOKEN)


def test_logging_out_ends_it() -> None:
    async def ask(client: Client) -> None:
        await logged_in(client)
        (form_token,) = set(re.findall(r'name="form_token" value="(\w+)"', await text_of(client, "/pipeline")))
        assert (await client.post("/logout", data={"form_token": form_token}, allow_redirects=False)).status == 303
        await text_of(client, "/", 303)

    answered(ask, WITH_TOKEN)


def test_a_header_counts_only_from_a_proxy_that_is_trusted() -> None:
    near = LoginSettings(user_header="X-Forwarded-User", trusted_proxies=(ip_network("127.0.0.0/8"),))
    far = LoginSettings(user_header="X-Forwarded-User", trusted_proxies=(ip_network("10.0.0.0/8"),))

    async def named(client: Client) -> None:
        text = await text_of(client, "/pipeline", headers={"X-Forwarded-User": "ann"})
        assert "ann" in text
        assert "Send it again" in text
        await text_of(client, "/", 401)
        await text_of(client, "/", 401, headers={"X-Forwarded-User": " "})
        response = await client.post("/pipeline/replay", data={"offset": "1"}, headers={"X-Forwarded-User": "ann"})
        assert response.status == 403

    async def unnamed(client: Client) -> None:
        await text_of(client, "/", 401, headers={"X-Forwarded-User": "ann"})

    answered(named, near)
    answered(unnamed, far)


def test_no_page_of_one_user_is_shown_to_another() -> None:
    near = LoginSettings(user_header="X-Forwarded-User", trusted_proxies=(ip_network("127.0.0.0/8"),))

    async def ask(client: Client) -> None:
        for name in ("ann", "otto"):
            text = await text_of(client, "/pipeline", headers={"X-Forwarded-User": name})
            assert f"<span>{name}</span>" in text

    answered(ask, near)


def test_a_body_that_is_too_large_is_refused() -> None:
    async def ask(client: Client) -> None:
        assert (await client.post("/login", data={"token": "x" * 300_000})).status == 413

    answered(ask, WITH_TOKEN)


# ---- live


def test_a_stream_sends_the_page_and_again_what_is_new() -> None:
    async def run() -> None:
        made = told()
        async with serving(made) as client, client.get("/", headers={"Accept": "text/event-stream"}) as response:
            assert response.content_type == "text/event-stream"
            assert "OPS-1" in await _next(response)
            made.verdict(verdict("OPS-77", **BREACHED))
            assert "OPS-77" in await _next(response)

    asyncio.run(run())


async def _next(response: ClientResponse) -> str:
    lines: list[str] = []
    async with asyncio.timeout(30):
        while not (lines and lines[-1] == "\n"):
            lines.append((await response.content.readline()).decode())
    return "".join(lines)

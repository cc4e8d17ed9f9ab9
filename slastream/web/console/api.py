"""The pages' data as JSON under `/api/`; `topics/console.openapi.yaml` describes it."""

from typing import Any

from aiohttp import web

from slastream.core.units import FAR, FIRST, Instant, parse_instant
from slastream.stream.topics import topics_folder
from slastream.web.console.agreement_content import agreement_content, agreement_list
from slastream.web.console.content import breaches, chosen_of, clock_list, found_tickets, now_content, ticket_content
from slastream.web.console.pages import whole
from slastream.web.console.pipeline_content import pipeline
from slastream.web.console.policy_content import policy_content
from slastream.web.console.service_content import service_content, service_list
from slastream.web.console.site import Handler, Site, json_response
from slastream.web.console.stories import part_object

MOST_BREACHES = 10_000
DESCRIPTION = "console.openapi.yaml"


class Api:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._view = site.view

    def routes(self) -> list[web.RouteDef]:
        handlers: dict[str, Handler] = {
            "/api/openapi.yaml": self._description,
            "/api/now": self._now,
            "/api/clocks": self._clocks,
            "/api/tickets": self._tickets,
            "/api/tickets/{id}": self._ticket,
            "/api/breaches": self._breaches,
            "/api/services": self._services,
            "/api/services/{name}": self._service,
            "/api/agreements": self._agreements,
            "/api/agreements/{name}": self._agreement,
            "/api/policy": self._policy,
            "/api/pipeline": self._pipeline,
        }
        return [web.get(path, handler) for path, handler in handlers.items()]

    async def _description(self, _: web.Request) -> web.Response:
        return web.Response(text=(topics_folder() / DESCRIPTION).read_text("utf-8"), content_type="application/yaml")

    async def _now(self, request: web.Request) -> web.Response:
        return json_response(now_content(self._view, chosen_of(request.query)))

    async def _clocks(self, request: web.Request) -> web.Response:
        state, page = request.query.get("state", "breached"), whole(request.query.get("page", "1"))
        try:
            return json_response(clock_list(self._view, state, chosen_of(request.query), page))
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None

    async def _tickets(self, request: web.Request) -> web.Response:
        return json_response(found_tickets(self._view, request.query.get("q", "")[:200]))

    async def _ticket(self, request: web.Request) -> web.Response:
        content = ticket_content(self._view, request.match_info["id"])
        if content is None:
            raise web.HTTPNotFound(text="nothing is known of this ticket")
        told = await self._site.stories.of(content, self._site.now())
        story: dict[str, Any] = {
            "why_not": told.why_not or None,
            "parts": [part_object(one, part) for one in told.stories for part in one.parts],
        }
        return json_response({**content._asdict(), "story": story})

    async def _services(self, _: web.Request) -> web.Response:
        return json_response(service_list(self._view, self._site.now()))

    async def _service(self, request: web.Request) -> web.Response:
        return _found(service_content(self._view, request.match_info["name"], self._site.now()), "service")

    async def _agreements(self, _: web.Request) -> web.Response:
        return json_response(agreement_list(self._view))

    async def _agreement(self, request: web.Request) -> web.Response:
        return _found(agreement_content(self._view, request.match_info["name"]), "agreement")

    async def _policy(self, _: web.Request) -> web.Response:
        return json_response(policy_content(self._view, self._site.now(), self._site.reading.is_complete))

    async def _pipeline(self, request: web.Request) -> web.Response:
        self._site.workers.look()
        return json_response(pipeline(self._site, request.query.get("reason")))

    async def _breaches(self, request: web.Request) -> web.Response:
        """Rows of a table, as the Infinity data source of Grafana reads them."""
        since, until = _instant(request, "since", FIRST), _instant(request, "until", FAR)
        most = min(whole(request.query.get("limit", "1000")), MOST_BREACHES)
        return json_response(breaches(self._view, chosen_of(request.query), since, until, most))


def _found(content: object, what: str) -> web.Response:
    if content is None:
        raise web.HTTPNotFound(text=f"nothing is known of this {what}")
    return json_response(content)


def _instant(request: web.Request, name: str, otherwise: Instant) -> Instant:
    """RFC 3339, or milliseconds since 1970, as Grafana's `${__from}` is."""
    text = request.query.get(name)
    if text is None:
        return otherwise
    if text.isascii() and text.isdigit() and len(text) < 16:
        return Instant(int(text) * 1000)
    try:
        return parse_instant(text)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{name}: {error}") from None

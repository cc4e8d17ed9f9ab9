"""The pages: what each is filled with."""

from aiohttp import web

from slastream.web.console.agreement_content import agreement_content, agreement_list
from slastream.web.console.content import (
    choices,
    chosen_of,
    clock_list,
    found_tickets,
    now_content,
    ticket_content,
)
from slastream.web.console.pipeline_content import pipeline
from slastream.web.console.policy_content import policy_content
from slastream.web.console.service_content import service_content, service_list
from slastream.web.console.site import Context, Page, Site


async def _now(site: Site, request: web.Request) -> Context:
    return {"now": now_content(site.view, chosen_of(request.query)), "choices": choices(site.view)}


async def _clocks(site: Site, request: web.Request) -> Context:
    state, page = request.query.get("state", "breached"), whole(request.query.get("page", "1"))
    try:
        return {"list": clock_list(site.view, state, chosen_of(request.query), page), "choices": choices(site.view)}
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from None


async def _tickets(site: Site, request: web.Request) -> Context:
    words = request.query.get("q", "")[:200]
    return {"words": words, "found": found_tickets(site.view, words)}


async def _ticket(site: Site, request: web.Request) -> Context:
    content = ticket_content(site.view, request.match_info["id"])
    if content is None:
        raise web.HTTPNotFound(text=f"No event and no clock is known of the ticket {request.match_info['id'][:100]!r}.")
    now = site.now()
    return {"content": content, "told": await site.stories.of(content, now), "until": now}


async def _services(site: Site, _: web.Request) -> Context:
    return {"services": service_list(site.view, site.now())}


async def _service(site: Site, request: web.Request) -> Context:
    name = request.match_info["name"]
    content = service_content(site.view, name, site.now())
    if content is None:
        raise web.HTTPNotFound(
            text=f"Nothing was heard of the service {name[:100]!r}, and the policy does not list it."
        )
    return {"content": content}


async def _agreements(site: Site, _: web.Request) -> Context:
    return {"agreements": agreement_list(site.view)}


async def _agreement(site: Site, request: web.Request) -> Context:
    name = request.match_info["name"]
    content = agreement_content(site.view, name)
    if content is None:
        raise web.HTTPNotFound(text=f"The policy has no agreement {name[:100]!r}, and nothing was counted for it.")
    return {"content": content}


async def _policy(site: Site, _: web.Request) -> Context:
    return {"content": policy_content(site.view, site.now(), site.reading.is_complete)}


async def _pipeline(site: Site, request: web.Request) -> Context:
    site.workers.look()
    reason = request.query.get("reason")
    return {"content": pipeline(site, reason), "reason": reason}


def whole(text: str) -> int:
    """A number of a page; what is none is the first."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 1


PAGES: tuple[Page, ...] = (
    Page("/", "now.html.j2", _now),
    Page("/clocks", "clocks.html.j2", _clocks),
    Page("/tickets", "tickets.html.j2", _tickets),
    Page("/tickets/{id}", "ticket.html.j2", _ticket),
    Page("/services", "services.html.j2", _services),
    Page("/services/{name}", "service.html.j2", _service),
    Page("/agreements", "agreements.html.j2", _agreements),
    Page("/agreements/{name}", "agreement.html.j2", _agreement),
    Page("/policy", "policy.html.j2", _policy),
    Page("/pipeline", "pipeline.html.j2", _pipeline),
)

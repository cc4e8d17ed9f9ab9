"""The pages: what each is filled with."""

from aiohttp import web

from slastream.web.console.content import (
    choices,
    chosen_of,
    clock_list,
    found_tickets,
    now_content,
    ticket_content,
)
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


def whole(text: str) -> int:
    """A number of a page; what is none is the first."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 1


PAGES: tuple[Page, ...] = (
    Page("/", "now.html.j2", _now),
    Page("/clocks", "clocks.html.j2", _clocks),
    Page("/tickets", "tickets.html.j2", _tickets),
    Page("/tickets/{id}", "ticket.html.j2", _ticket),
)

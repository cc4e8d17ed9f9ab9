"""What changes something: logging in and out, and sending a rejected record again. All of it is a POST of a form of ours."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from slastream.web.console.login import SESSION_COOKIE, SESSION_SECONDS, User, is_from_form
from slastream.web.console.replaying import Replaying
from slastream.web.console.site import Context, Site
from slastream.web.console.tickets import Place


class Forms:
    def __init__(self, site: Site, replaying: Replaying) -> None:
        self._site = site
        self._replaying = replaying

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/login", self._ask),
            web.post("/login", self._log_in),
            web.post("/logout", self._log_out),
            web.post("/pipeline/replay", self._replay),
        ]

    async def _ask(self, request: web.Request) -> web.Response:
        return self._page(request, "login.html.j2", {"next": _local(request.query), "problem": ""})

    async def _log_in(self, request: web.Request) -> web.Response:
        """A browser says where a form comes from: logging somebody in from another site is refused, too."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise web.HTTPForbidden(text="This form is of another site.")
        form = await request.post()
        session = self._site.login.session(str(form.get("token", "")))
        if session is None:
            if not self._site.login.may_try(request):
                raise web.HTTPTooManyRequests(text="Too many attempts that failed.", headers={"Retry-After": "10"})
            context = {"next": _local(form), "problem": "That is none of the console's tokens."}
            return self._page(request, "login.html.j2", context, 401)
        response = web.HTTPSeeOther(_local(form))
        response.set_cookie(
            SESSION_COOKIE, session, max_age=SESSION_SECONDS, httponly=True, samesite="Strict", secure=request.secure
        )
        raise response

    async def _log_out(self, request: web.Request) -> web.Response:
        await self._user(request)
        response = web.HTTPSeeOther("/")
        response.del_cookie(SESSION_COOKIE)
        raise response

    async def _replay(self, request: web.Request) -> web.Response:
        user = await self._user(request)
        form = await request.post()
        try:
            place = Place(int(str(form["partition"])), int(str(form["offset"])))
        except (KeyError, ValueError):
            raise web.HTTPBadRequest(text="Name partition and offset of the record, as numbers.") from None
        outcome = await self._replaying.replay(place, f"{user.name} at {request.remote}")
        status = 200 if outcome.is_sent else 409
        return self._page(request, "outcome.html.j2", {"outcome": outcome}, status)

    async def _user(self, request: web.Request) -> User:
        """Who posts a form of ours. Raises an HTTP error for anybody else."""
        user = self._site.login.user_of(request)
        if user is None:
            raise web.HTTPUnauthorized(text="Log in first.", headers={"WWW-Authenticate": "Bearer"})
        if not is_from_form(request, user, str((await request.post()).get("form_token", ""))):
            raise web.HTTPForbidden(text="This form is old, or of another site. Load the page again.")
        return user

    def _page(self, request: web.Request, template: str, context: Context, status: int = 200) -> web.Response:
        user = self._site.login.user_of(request)
        html = self._site.rendered(template, request, user, "page.html.j2", context)
        return web.Response(text=html, content_type="text/html", status=status)


def _local(fields: Mapping[str, Any]) -> str:
    """Where to go on: a path of ours, never another site."""
    path = str(fields.get("next", "/"))
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"

"""Locust's web page for an armed run: it watches, behind a log-in, and cannot start, resize or aim anything."""

from __future__ import annotations

import hmac
import secrets
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from flask import Response, make_response, redirect, request, session
from flask_login import UserMixin, current_user, login_user

if TYPE_CHECKING:
    from flask import Flask
    from locust.web import WebUI
    from werkzeug.wrappers import Response as BaseResponse

USER: Final = "firstbell"
_LOGIN_PATHS: Final = ("/login", "/login_submit", "/assets/", "/favicon.ico")
_REFUSED: Final = ("/swarm",)
_SAFE: Final = frozenset({"GET", "HEAD"})


class Stoppable(Protocol):
    """What the page can do to a run."""

    def stop(self) -> None:
        """Let no new attempt leave."""
        ...


class _Watcher(UserMixin):  # type: ignore[misc]  # flask_login has no types
    """The one person who knows the password."""

    def get_id(self) -> str:
        return USER


def dress(web_ui: WebUI, run: Stoppable) -> None:
    """Put the log-in before the page, take the controls away, and print the password once on the terminal.

    The password is made anew for each run, is never stored, and goes to standard error alone, past every log.

    Args:
        web_ui: Locust's page, not started yet.
        run: What its stop button stops.
    """
    password = secrets.token_urlsafe(12)
    app = web_ui.app
    if app is None:
        return
    # A fresh key each time: a session of another run, or one made up, opens nothing.
    app.secret_key = secrets.token_bytes(32)
    app.debug = False
    app.config.update(SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_NAME="firstbell")
    base = web_ui.environment.parsed_options.web_base_path if web_ui.environment.parsed_options else ""
    web_ui.auth_args = {"username_password_callback": f"{base}/login_submit"}
    web_ui.login_manager.user_loader(lambda user_id: _Watcher() if user_id == USER else None)

    _let_in(web_ui, app, base, password)
    _take_away_controls(app, base, run)
    host = web_ui.host or "0.0.0.0"  # noqa: S104 - Locust's own meaning of an empty host, said as it is
    sys.stderr.write(f"Watch at http://{host}:{web_ui.port}{base}/   user {USER} password {password}\n")
    sys.stderr.flush()


def _let_in(web_ui: WebUI, app: Flask, base: str, password: str) -> None:
    """The log-in: by Locust's own page, or by a header for programs."""

    @web_ui.login_manager.request_loader  # type: ignore[untyped-decorator]  # flask_login has no types
    def by_header(_request: Any) -> _Watcher | None:
        given = request.authorization
        known = given is not None and given.username == USER and _same(given.password, password)
        return _Watcher() if known else None

    @app.route(f"{base}/login_submit", methods=["POST"])
    def login_submit() -> BaseResponse:
        if request.form.get("username") == USER and _same(request.form.get("password"), password):
            session.clear()
            login_user(_Watcher())
            return redirect(f"{base}/")
        session["auth_error"] = "Wrong user or password; both stand on the terminal that started the run"
        return redirect(f"{base}/login")


def _take_away_controls(app: Flask, base: str, run: Stoppable) -> None:
    """Refuse whatever starts, resizes or aims; let the stop button stop; take no orders from other sites."""

    @app.before_request
    def guard() -> BaseResponse | None:
        path = request.path.removeprefix(base)
        if _from_elsewhere():
            return _no("this page takes no requests from other sites")
        if path.startswith(_REFUSED):
            return _no("an armed run cannot be started, resized or aimed from the page; it stops with the stop button")
        if path == "/stop":
            if request.method == "POST" and current_user.is_authenticated:
                run.stop()
            return None
        if request.method not in _SAFE and path not in _LOGIN_PATHS:
            return _no("the page only watches")
        return None

    @app.after_request
    def harden(response: Response) -> Response:
        # Locust opens its page to every site's scripts; nobody needs that here.
        response.headers.pop("Access-Control-Allow-Origin", None)
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response


def _same(given: str | None, password: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), password.encode())


def _from_elsewhere() -> bool:
    """Whether a browser sends this on behalf of another site, or was led here under another name."""
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.host
    return foreign or request.headers.get("Sec-Fetch-Site", "none") in {"cross-site", "same-site"}


def _no(why: str) -> Response:
    return make_response(f"Refused: {why}.\n", 403)

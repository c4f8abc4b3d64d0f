"""Locust's web page for an armed run: it watches, behind a log-in, and cannot start, resize or aim anything."""

from __future__ import annotations

import hashlib
import math
import secrets
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from flask import Response, make_response, redirect, request, session
from flask_login import UserMixin, current_user, login_user

from firstbell.errors import RunError
from firstbell.sniper.page_guard import Guard
from firstbell.sniper.page_password import PagePassword, Patience, refuse_open_page

if TYPE_CHECKING:
    from flask import Flask
    from locust.web import WebUI
    from werkzeug.wrappers import Response as BaseResponse

    from firstbell.clock import Clock

USER: Final = "firstbell"
_LOGIN_SUBMIT: Final = "/login_submit"
_BROWSER: Final = "browser"
_REFUSED: Final = ("/swarm", "/stats/reset", "/user")
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


def dress(web_ui: WebUI, run: Stoppable, clock: Clock) -> None:
    """Put the log-in before the page, take the controls away, and say where it is.

    A password that is made here is printed once, on standard error alone, past every log; it is never stored. A
    password of the user's own is not printed.

    Args:
        web_ui: Locust's page, not started yet.
        run: What its stop button stops.
        clock: The clocks.

    Raises:
        RunError: It would be open to others as it is to be shown.
    """
    app, options = web_ui.app, web_ui.environment.parsed_options
    if app is None or not web_ui.web_login:
        raise RunError("the page has no log-in: leave out whatever turns --web-login off")
    encrypted = bool(web_ui.tls_cert and web_ui.tls_key)
    refuse_open_page(web_ui.host or "", encrypted=encrypted)
    password = PagePassword.of()
    # A fresh key each time: a session of another run, or one made up, opens nothing.
    app.secret_key = secrets.token_bytes(32)
    app.debug = False
    app.config.update(
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=encrypted,
        SESSION_COOKIE_NAME=f"firstbell-{web_ui.port}",
    )
    base = (options.web_base_path or "") if options else ""
    web_ui.auth_args = {"username_password_callback": f"{base}{_LOGIN_SUBMIT}"}
    web_ui.login_manager.user_loader(
        lambda user_id: _Watcher() if user_id == USER and session.get(_BROWSER) == _this_browser() else None
    )

    _let_in(web_ui, app, base, password, Patience(clock))
    _take_away_controls(app, base, run)
    display_name = options.web_host_display_name if options else None
    app.wsgi_app = Guard(app.wsgi_app, web_ui.host or "", [display_name])  # type: ignore[method-assign]  # Flask's way
    said = "of your own" if password.chosen else password.text
    scheme, host = "https" if encrypted else "http", web_ui.host or "0.0.0.0"  # noqa: S104 - Locust's own meaning  # nosec B104
    sys.stderr.write(f"Watch at {scheme}://{host}:{web_ui.port}{base}/   user {USER} password {said}\n")
    sys.stderr.flush()


def _let_in(web_ui: WebUI, app: Flask, base: str, password: PagePassword, patience: Patience) -> None:
    """The log-in: by Locust's own page, or by a header for programs."""

    def known(user: str | None, given: str | None) -> bool:
        if patience.wait_s(request.remote_addr):
            return False
        if user == USER and password.is_same(given):
            patience.was_right(request.remote_addr)
            return True
        patience.was_wrong(request.remote_addr)
        return False

    @web_ui.login_manager.request_loader  # type: ignore[untyped-decorator]  # flask_login has no types
    def by_header(_request: Any) -> _Watcher | None:
        given = request.authorization
        return _Watcher() if given is not None and known(given.username, given.password) else None

    @app.route(f"{base}{_LOGIN_SUBMIT}", methods=["POST"])
    def login_submit() -> BaseResponse:
        wait_s = patience.wait_s(request.remote_addr)
        if wait_s:
            return _too_often(wait_s)
        if known(request.form.get("username"), request.form.get("password")):
            session.clear()
            session[_BROWSER] = _this_browser()
            login_user(_Watcher())
            return redirect(f"{base}/")
        session["auth_error"] = "Wrong user or password; both stand on the terminal that started the run"
        return redirect(f"{base}/login")


def _take_away_controls(app: Flask, base: str, run: Stoppable) -> None:
    """Refuse whatever starts, resizes or aims; let the stop button stop."""

    @app.before_request
    def guard() -> BaseResponse | None:
        path = request.path.removeprefix(base)
        if path.startswith(_REFUSED):
            return _no("an armed run cannot be started, resized or aimed from the page; it stops with the stop button")
        if path == "/stop":
            if request.method == "POST" and current_user.is_authenticated:
                run.stop()
            return None
        if request.method not in _SAFE and path != _LOGIN_SUBMIT:
            return _no("the page only watches")
        return None


def _this_browser() -> str:
    """To whom a session belongs: one browser at one address."""
    return hashlib.sha256(f"{request.remote_addr}\0{request.user_agent}".encode(errors="replace")).hexdigest()


def _no(why: str) -> Response:
    return make_response(f"Refused: {why}.\n", 403)


def _too_often(wait_s: float) -> Response:
    response = make_response("Too many wrong passwords: wait.\n", 429)
    response.headers["Retry-After"] = str(math.ceil(wait_s))
    return response

"""The Graph API as Instagram and Facebook share it: calls, errors, codes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.providers.failures import (
    CONTENT,
    DOUBTFUL,
    PERMISSION,
    RECONNECT,
    RETRY,
    NotDone,
    Rule,
    held_back,
    not_done,
    wait_for,
)
from services.providers.shapes import object_in
from services.providers.usage import Usage
from services.providers.wire import Reply, Wire, told_wait

Code = tuple[int | None, int | None]
"""A code and a subcode; None stands for any."""
Rules = Mapping[Code, Rule]
Answer = Mapping[str, Any] | NotDone

QUARTER = wait_for(timedelta(minutes=15))
HOUR = wait_for(timedelta(hours=1))

GRAPH_RULES: Rules = {
    (1, None): DOUBTFUL,  # unknown error
    (2, None): DOUBTFUL,  # service
    (4, None): QUARTER,  # app limit, per rolling hour
    (10, None): PERMISSION,
    (17, None): QUARTER,  # user limit
    (32, None): QUARTER,  # page limit
    (100, None): CONTENT,  # bad parameter
    (100, 33): PERMISSION,  # object missing or not visible to this token
    (102, None): RECONNECT,
    (190, None): RECONNECT,  # subcodes 458, 459, 460, 463, 464, 467 all end there
    (341, None): QUARTER,  # app limit
    (368, None): HOUR,  # temporary block
    (506, None): CONTENT,  # duplicate post
    (613, None): QUARTER,  # custom limit
    (2635, None): RETRY,  # our API version is no longer served: an operator sets another
    (80001, None): QUARTER,  # Pages' business use case
    (80002, None): QUARTER,  # Instagram's business use case
    (1609005, None): CONTENT,  # bad link
}
"""What every Graph node says; by code and subcode, because limits and dead tokens come under various HTTP statuses."""

NEARLY_USED_UP = "The platform says that its limit on our calls is nearly used up."

_SECRET_FIELDS = ("access_token", "client_secret", "code", "fb_exchange_token")


class GraphClient:
    """Calls one Graph host at one version."""

    def __init__(self, *, wire: Wire, root: str, rules: Rules = GRAPH_RULES, now: Callable[[], datetime]) -> None:
        self._wire = wire
        self._root = root
        self._rules = rules
        self._now = now
        self._usage = Usage(now=now)

    async def get(self, path: str, *, token: str, expects: str, **params: str) -> Answer:
        """Read a node or an edge."""
        return await self.call("GET", f"{self._root}/{path}", token=token, expects=(expects,), params=params)

    async def post(self, path: str, *, token: str, expects: str, **form: str) -> Answer:
        """Create or change something, unless a limit is known to be nearly used up; reading is always tried."""
        wait = self._usage.wait(token=token)
        if wait is not None:
            return held_back(NEARLY_USED_UP, wait)
        return await self.call("POST", f"{self._root}/{path}", token=token, expects=(expects,), form=form)

    async def delete(self, path: str, *, token: str) -> Answer:
        """Take an object away, under the same condition."""
        wait = self._usage.wait(token=token)
        if wait is not None:
            return held_back(NEARLY_USED_UP, wait)
        return await self.call("DELETE", f"{self._root}/{path}", token=token, expects=("success",))

    async def call(
        self,
        method: str,
        url: str,
        *,
        expects: Sequence[str],
        token: str | None = None,
        scheme: str = "Bearer",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any call; an answer with none of `expects` is none. The token travels in a header, where no log sees it."""
        authorization = {} if token is None else {"Authorization": f"{scheme} {token}"}
        reply = await self._wire.send(
            method, url, headers={**authorization, **(headers or {})}, params=params, form=form
        )
        if isinstance(reply, NotDone):
            return reply
        if token is not None:
            self._usage.note(reply.headers, token=token)

        fields = {**(params or {}), **(form or {})}
        secrets = [token or "", *(fields.get(name, "") for name in _SECRET_FIELDS)]
        if not reply.is_success:
            return self._refusal(reply, secrets)
        if not any(reply.data.get(name) for name in expects):
            message = f"The platform answered {reply.status} without `{expects[0]}`."
            return not_done(RETRY, message, is_certain=False)
        return reply.data

    def _refusal(self, reply: Reply, secrets: list[str]) -> NotDone:
        wait = told_wait(reply.headers, self._now())
        upload = object_in(reply.data, "debug_info")
        if upload:
            return _upload_refusal(upload, wait, secrets)

        error = object_in(reply.data, "error")
        if not error:
            # Instagram's token host has no envelope; a proxy's page has nothing at all.
            error = {"message": reply.data.get("error_message") or f"HTTP {reply.status} without an explanation"}
        code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
        return not_done(
            rule_for(self._rules, code, subcode, status=reply.status, is_transient=error.get("is_transient") is True),
            _words(error),
            platform_code=_named(code, subcode, reply.status),
            told_wait=wait,
            is_certain=reply.status < 500,
            secrets=secrets,
        )


def rule_for(rules: Rules, code: int | None, subcode: int | None, *, status: int, is_transient: bool) -> Rule:
    """The most exact rule there is; for codes that nobody knows, what the answer says by its other signs."""
    for key in ((code, subcode), (None, subcode), (code, None)):
        if key in rules:
            return rules[key]
    if code is not None and 200 <= code <= 299:
        return PERMISSION
    if status >= 500 or is_transient:
        return RETRY
    return {401: RECONNECT, 403: PERMISSION, 429: QUARTER}.get(status, CONTENT)


def _upload_refusal(info: Mapping[str, Any], wait: timedelta | None, secrets: list[str]) -> NotDone:
    # The upload host shows nothing to anybody, so nothing here is in doubt.
    named = str(info.get("type") or "upload")
    rule = RECONNECT if "NotAuthorized" in named else RETRY if info.get("retriable") else CONTENT
    return not_done(rule, str(info.get("message") or named), platform_code=named, told_wait=wait, secrets=secrets)


def _words(error: Mapping[str, Any]) -> str:
    parts = (str(error.get(name) or "").strip() for name in ("message", "error_user_msg"))
    return " · ".join(dict.fromkeys(part for part in parts if part)) or "The platform gave no words."


def _named(code: int | None, subcode: int | None, status: int) -> str:
    if code is None:
        return f"HTTP {status}"
    return str(code) if subcode is None else f"{code}/{subcode}"


def _number(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None

"""Instagram and Facebook as a script: strict enough for the real clients, in trouble as often as chance wants it.

It works on whoever of its clients has gone, and never deduplicates: a container that is published twice shows twice.
"""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import httpx

from tests.simulation.virtual_time import now

SLOWEST = 40.0
"""Seconds that a request may take to have its effect: longer than a client waits, shorter than what we allow for."""
MOST_TROUBLES = 6

Answer = tuple[int, Mapping[str, Any], Mapping[str, str]]


class Died(BaseException):
    """kill -9 of the worker that was just talking; nothing of it runs any more."""


def _error(status: int, code: int, subcode: int | None = None, **headers: str) -> Answer:
    error = {"message": "Not now.", "type": "OAuthException", "code": code, "error_subcode": subcode}
    return status, {"error": {name: value for name, value in error.items() if value is not None}}, headers


MISSING = _error(400, 100, 33)
BLOCKED = _error(400, 4, 2207051)


@dataclass
class Shown:
    """What people see."""

    id: str
    caption: str
    at: str


@dataclass
class ScriptedPlatform(httpx.AsyncBaseTransport):
    """Both platforms, and the network before them."""

    random: Random
    troubles: int = MOST_TROUBLES
    """How many more there may be."""
    blows: list[datetime] = field(default_factory=list)
    """When workers died or stood still."""
    mute: int = 0
    """How many questions were in trouble."""
    shown: list[Shown] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    """Requests that arrived and change something, by kind."""
    lag: dict[str, int] = field(default_factory=dict)
    """How many more reads of an object miss its latest change."""
    log: list[str] = field(default_factory=list)
    """Every request and its trouble, for whoever looks into a seed."""
    captions: dict[str, str] = field(default_factory=dict)
    """Containers and unpublished posts."""
    published: dict[str, int] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: itertools.count(1000))
    _working: set[asyncio.Task[Answer]] = field(default_factory=set)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request, and perhaps its trouble."""
        act = self._act(request)
        status, body, headers = await self._troubled(act, request.url.path, is_question=request.method == "GET")
        return httpx.Response(status, content=json.dumps(body).encode(), headers=dict(headers), request=request)

    def note_blow(self) -> None:
        """A worker dies or stands still now."""
        self.blows.append(now())

    async def rest(self) -> None:
        """Wait until everything that was asked for has had its effect."""
        while self._working:
            await asyncio.wait(self._working)

    async def _troubled(self, act: Callable[[], Answer], path: str, *, is_question: bool) -> Answer:
        if self.troubles == 0 or self.random.random() < 0.7:
            self.log.append(f"{now():%H:%M:%S} {path}")
            await asyncio.sleep(self.random.uniform(0.05, 0.5))
            return act()
        self.troubles -= 1
        self.mute += is_question
        trouble = self.random.randrange(9 if path.endswith("/media_publish") else 8)
        self.log.append(f"{now():%H:%M:%S} {path} in trouble {trouble}")
        match trouble:
            case 0:
                raise httpx.ReadError("reset before anything happened")
            case 1:
                act()
                raise httpx.ReadError("reset after it had happened")
            case 2:
                return _error(500, 2)
            case 3:
                act()
                return _error(500, 1)
            case 4:
                if self.random.random() < 0.5:
                    act()
                return _error(429, 4, **{"Retry-After": str(self.random.randint(1, 20))})
            case 5:
                return await self._slowly(act)
            case 6:
                self.note_blow()
                raise Died
            case 7:
                self.note_blow()
                if self.random.random() < 0.5:
                    act()
                else:
                    self._work_on(act)
                raise Died
            case _:
                act()
                return BLOCKED

    async def _slowly(self, act: Callable[[], Answer]) -> Answer:
        """Late, before or after the effect, and not stopped by a client that gives up."""
        if self.random.random() < 0.5:
            answer = act()
            await asyncio.sleep(self.random.uniform(1, SLOWEST))
            return answer
        return await asyncio.shield(self._work_on(act))

    def _work_on(self, act: Callable[[], Answer]) -> asyncio.Task[Answer]:
        async def work() -> Answer:
            await asyncio.sleep(self.random.uniform(1, SLOWEST))
            return act()

        task = asyncio.create_task(work())
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task

    def _act(self, request: httpx.Request) -> Callable[[], Answer]:
        edge = request.url.path.rpartition("/")[2]
        form = dict(parse_qsl(request.content.decode())) if request.method == "POST" else {}
        match request.method, edge:
            case "POST", "media" | "feed":
                self.asked[edge] += 1
                return lambda: self._create(form.get("caption", form.get("message", "")))
            case "POST", "media_publish":
                self.asked[edge] += 1
                return lambda: self._publish_container(form["creation_id"])
            case "POST", post:
                self.asked["update"] += 1
                return lambda: self._publish_post(post)
            case "GET", "media":
                return self._list
            case _:
                return lambda: self._read(edge, request.url.params.get("fields", ""))

    def _create(self, caption: str) -> Answer:
        made = str(next(self._ids))
        self.captions[made] = caption
        self.lag[made] = self.random.choice([0, 0, 1, 2])
        return 200, {"id": made, "permalink_url": f"https://platform/{made}"}, {}

    def _publish_container(self, container: str) -> Answer:
        if container not in self.captions:
            return _error(400, 24, 2207006)
        medium = str(next(self._ids))
        self._show(medium, self.captions[container])
        self.published[container] = self.published.get(container, 0) + 1
        self.lag[container] = self.lag[medium] = self.random.choice([0, 0, 1, 3])
        return 200, {"id": medium}, {}

    def _publish_post(self, post: str) -> Answer:
        if post not in self.captions:
            return MISSING
        if post not in self.published:
            self._show(post, self.captions[post])
            self.published[post] = 1
            self.lag[post] = self.random.choice([0, 0, 1, 3])
        return 200, {"success": True}, {}

    def _show(self, medium: str, caption: str) -> None:
        self.shown.append(Shown(medium, caption, now().isoformat()))

    def _list(self) -> Answer:
        return 200, {"data": [self._described(one) for one in self.shown]}, {}

    def _read(self, node: str, fields: str) -> Answer:
        is_stale = self.lag.get(node, 0) > 0
        if is_stale:
            self.lag[node] -= 1
        if "status_code" in fields:
            if node not in self.captions:
                return MISSING
            is_out = node in self.published and not is_stale
            return 200, {"id": node, "status_code": "PUBLISHED" if is_out else "FINISHED"}, {}
        if "is_published" in fields:
            if node not in self.captions or (is_stale and node not in self.published):
                return MISSING
            is_out = node in self.published and not is_stale
            return 200, {"id": node, "is_published": is_out, "permalink_url": f"https://platform/{node}"}, {}
        found = [one for one in self.shown if one.id == node]
        return (200, self._described(found[0]), {}) if found and not is_stale else MISSING

    def _described(self, one: Shown) -> dict[str, str]:
        return {"id": one.id, "caption": one.caption, "permalink": f"https://platform/{one.id}", "timestamp": one.at}

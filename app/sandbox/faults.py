"""Trouble on demand. A fault waits at a route until a request fits it, does its worst, and is spent after `times`.

    before, answer    the platform says no and nothing has happened
    before, drop      the connection is cut and nothing has happened
    after,  answer    it has happened, and the answer says that it failed
    after,  drop      it has happened, and no answer comes
    delay             the answer (after) or the whole operation (before) is late by `seconds`

A few more happen inside one operation, so that `when` says nothing about them:

    short_range       youtube.upload keeps only the first `keep_bytes` of a chunk
    lose_session      youtube.upload knows the session no more (404)
    expire_container  instagram.read, instagram.media_publish: the container is EXPIRED
    fail_processing   instagram.read, facebook.read, youtube.videos: processing ends in an error, `detail` says which
"""

from collections.abc import Iterable, Mapping
from typing import Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

When = Literal["before", "after"]
Action = Literal["answer", "drop", "delay", "short_range", "lose_session", "expire_container", "fail_processing"]
AROUND: frozenset[Action] = frozenset({"answer", "drop", "delay"})


class Fault(BaseModel):
    """One order of trouble, as the control API takes and shows it."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default_factory=lambda: uuid4().hex[:8])
    route: str
    when: When = "before"
    action: Action = "answer"
    preset: str | None = None
    """A ready answer of the platform, see `app.sandbox.fault_answers`; `status`, `body` and `headers` override it."""
    status: int | None = Field(default=None, ge=200, le=599)
    body: dict[str, object] | None = None
    headers: dict[str, str] = {}
    seconds: float = Field(default=0, ge=0, le=600)
    keep_bytes: int = Field(default=0, ge=0)
    detail: str = ""
    times: int = Field(default=1, ge=1)
    match: dict[str, str] = {}
    """What the request must say: `caption`, `kind` of the object it is about, or any parameter of its own."""

    def fits(self, route: str, facts: Mapping[str, str]) -> bool:
        """Whether a request at `route` with these facts is meant."""
        return self.route in (route, "*") and all(_says(facts, name, value) for name, value in self.match.items())


class FaultBoard:
    """All armed faults, oldest first."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    @property
    def armed(self) -> list[Fault]:
        """What still waits."""
        return list(self._armed)

    def arm(self, fault: Fault) -> None:
        """Let it wait for its request."""
        self._armed.append(fault)

    def disarm(self, fault_id: str | None = None) -> int:
        """Take back one, or all; gives how many."""
        kept = [fault for fault in self._armed if fault_id is not None and fault.id != fault_id]
        taken = len(self._armed) - len(kept)
        self._armed = kept
        return taken

    def take_around(self, when: When, route: str, facts: Mapping[str, str]) -> list[Fault]:
        """What happens before or after an operation: every delay that fits, then the first end that fits."""
        taken = []
        for fault in self._fitting(AROUND, route, facts):
            if fault.when != when:
                continue
            taken.append(fault)
            self._spend(fault)
            if fault.action != "delay":
                break
        return taken

    def take_inside(self, action: Action, route: str, facts: Mapping[str, str]) -> Fault | None:
        """The first fault of this action that fits, spent once; an operation asks where it can happen."""
        for fault in self._fitting({action}, route, facts):
            self._spend(fault)
            return fault
        return None

    def _fitting(self, actions: Iterable[Action], route: str, facts: Mapping[str, str]) -> list[Fault]:
        return [fault for fault in self._armed if fault.action in actions and fault.fits(route, facts)]

    def _spend(self, fault: Fault) -> None:
        fault.times -= 1
        if fault.times == 0:
            self._armed.remove(fault)


def _says(facts: Mapping[str, str], name: str, value: str) -> bool:
    if name == "caption":
        return value in (facts.get("caption"), facts.get("title"))
    return facts.get(name) == value

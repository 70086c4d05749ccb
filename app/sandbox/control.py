"""The hand on the platforms: time, knobs, faults, and what they have counted. Plain JSON under `/control`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.sandbox.control_requests import ControlRefused, read_object, read_order
from app.sandbox.endpoints import Operation
from app.sandbox.fault_answers import presets_for
from app.sandbox.faults import Fault
from app.sandbox.permalinks import permalink
from app.sandbox.records import Publication
from app.sandbox.world import World


class ClockOrder(BaseModel):
    """`POST /control/clock`: set it, move it on by seconds, or both in this order; `reset` goes back to real time."""

    model_config = ConfigDict(extra="forbid")

    reset: bool = False
    set: AwareDatetime | None = None
    advance_seconds: float = 0


class ResetOrder(BaseModel):
    """`POST /control/reset`."""

    model_config = ConfigDict(extra="forbid")

    keep_accounts: bool = False


class Control:
    """Everything under `/control` but accounts."""

    def __init__(self, world: World, operations: Sequence[Operation]) -> None:
        self._world = world
        self._operations = operations

    async def list_routes(self, request: Request) -> Response:
        """All routes a fault can wait at, with the answers each has ready."""
        del request
        return JSONResponse(
            [
                {"name": one.name, "method": one.method, "path": one.path, "presets": presets_for(one.name)}
                for one in self._operations
            ]
        )

    async def show_clock(self, request: Request) -> Response:
        """The platforms' time."""
        del request
        return JSONResponse({"now": self._world.clock.now().isoformat()})

    async def turn_clock(self, request: Request) -> Response:
        """Move it."""
        order = await read_order(request, ClockOrder)
        if order.reset:
            self._world.clock.reset()
        if order.set is not None:
            self._world.clock.set(order.set)
        self._world.clock.advance(timedelta(seconds=order.advance_seconds))
        self._world.publish_due()
        return await self.show_clock(request)

    async def show_knobs(self, request: Request) -> Response:
        """All knobs as they stand."""
        del request
        return JSONResponse(self._world.knobs.model_dump())

    async def turn_knobs(self, request: Request) -> Response:
        """Change some; nested ones (`polls`, the usages) change only where they are named."""
        try:
            self._world.knobs = self._world.knobs.turned(await read_object(request))
        except ValidationError as problem:
            raise ControlRefused(422, str(problem)) from problem
        return await self.show_knobs(request)

    async def list_faults(self, request: Request) -> Response:
        """What is armed."""
        del request
        return JSONResponse([fault.model_dump() for fault in self._world.faults.armed])

    async def arm_fault(self, request: Request) -> Response:
        """Arm one; see `app.sandbox.faults`."""
        fault = await read_order(request, Fault)
        known = [one.name for one in self._operations]
        if fault.route not in ("*", *known):
            raise ControlRefused(422, f"no route {fault.route}; there are {', '.join(known)}")
        if fault.preset is not None and fault.preset not in presets_for(fault.route):
            raise ControlRefused(
                422, f"no preset {fault.preset} there; there are {', '.join(presets_for(fault.route))}"
            )
        self._world.faults.arm(fault)
        return JSONResponse(fault.model_dump(), 201)

    async def disarm_faults(self, request: Request) -> Response:
        """Take back one (`/control/faults/{id}`) or all."""
        return JSONResponse({"disarmed": self._world.faults.disarm(request.path_params.get("id"))})

    async def list_publications(self, request: Request) -> Response:
        """What people see, oldest first, each with how often the same account has published the same words."""
        seen = self._chosen(request)
        counts = Counter((one.account_id, one.caption, one.title) for one in seen)
        return JSONResponse([self._shown(one, counts[one.account_id, one.caption, one.title]) for one in seen])

    async def count_publications(self, request: Request) -> Response:
        """How many publications have this `caption` (or title); `platform` and `account` narrow it."""
        return JSONResponse({"count": len(self._chosen(request))})

    async def list_requests(self, request: Request) -> Response:
        """The requests that came to the platforms, oldest first; `route` narrows it, `limit` keeps the latest."""
        route, limit = request.query_params.get("route"), request.query_params.get("limit", "")
        visits = [visit for visit in self._world.visits if route in (None, visit.route)]
        if limit.isdigit():
            visits = visits[len(visits) - min(len(visits), int(limit)) :]
        return JSONResponse([asdict(visit) | {"at": visit.at.isoformat()} for visit in visits])

    async def reset(self, request: Request) -> Response:
        """Forget everything, the journal included, and turn everything back."""
        order = await read_order(request, ResetOrder)
        self._world.reset(keep_accounts=order.keep_accounts)
        return JSONResponse({"reset": True})

    def _chosen(self, request: Request) -> list[Publication]:
        self._world.publish_due()
        wanted = request.query_params
        return [
            one
            for one in self._world.live()
            if wanted.get("caption", one.caption) in (one.caption, one.title)
            and wanted.get("platform", one.platform) == one.platform
            and wanted.get("account", one.account_id) == one.account_id
        ]

    def _shown(self, publication: Publication, count: int) -> dict[str, object]:
        account = self._world.accounts[publication.account_id]
        return {
            "id": publication.id,
            "platform": publication.platform,
            "kind": publication.kind,
            "account": account.id,
            "handle": account.handle,
            "caption": publication.caption,
            "title": publication.title,
            "link": publication.link,
            "media": len(publication.media),
            "privacy": publication.privacy,
            "published_at": _text(publication.published_at),
            "permalink": permalink(self._world.public_url, publication),
            "count": count,
        }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()

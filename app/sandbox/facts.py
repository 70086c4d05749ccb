"""What a fault can be matched on: the request's own parameters, and the object the request is about."""

from app.sandbox.calls import Call
from app.sandbox.faults import Action, Fault
from app.sandbox.world import World

SUBJECT_PARAMS = ("node", "creation_id", "video_id", "upload_session_id", "upload_id")
"""Parameters that name the object a request is about."""


def take_fault(world: World, call: Call, action: Action) -> Fault | None:
    """The fault of this action that waits for this call, if any; it is spent."""
    if not world.faults.armed:
        return None
    return world.faults.take_inside(action, call.route, facts_of(world, call))


def facts_of(world: World, call: Call) -> dict[str, str]:
    """Parameters, and `kind`, `caption` and `title` of what the call is about."""
    facts = dict(call.params)
    for name in ("description", "message"):
        if call.param(name):
            facts["caption"] = call.param(name)
    snippet = call.json.get("snippet") if isinstance(call.json, dict) else None
    if isinstance(snippet, dict):
        facts |= {"caption": str(snippet.get("description", "")), "title": str(snippet.get("title", ""))}
    for name in SUBJECT_PARAMS:
        facts |= _describe(world, call.param(name))
    return facts


def _describe(world: World, object_id: str) -> dict[str, str]:
    if container := world.containers.get(object_id):
        return {"kind": "container", "caption": container.caption}
    if session := world.sessions.get(object_id):
        return {"kind": "session", "caption": session.caption, "title": session.title}
    if publication := world.find_publication(object_id):
        return {"kind": publication.kind, "caption": publication.caption, "title": publication.title}
    if upload := world.uploads.get(object_id):
        return {"kind": upload.kind, "caption": upload.caption} if upload.caption else {"kind": upload.kind}
    return {"kind": "account"} if object_id in world.accounts else {}

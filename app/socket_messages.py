"""What a client may say over a graphql-transport-ws socket."""

from app.faults import BadRequest
from app.operations import read_operation

_WITH_ID = ("subscribe", "complete")


def find_fault(message: object) -> str | None:
    """Why no client may send this message; None for one whose shape is right. Unknown types are not looked into."""
    if not isinstance(message, dict):
        return "A message is a JSON object"
    kind = message.get("type")
    if not isinstance(kind, str):
        return "A message has a string `type`"
    if kind in _WITH_ID and not (isinstance(message.get("id"), str) and message["id"]):
        return f"A `{kind}` message has a non-empty string `id`"
    if kind == "subscribe":
        return _find_fault_in_operation(message.get("payload"))
    if kind != "complete" and not isinstance(message.get("payload"), (dict, type(None))):
        return f"The `payload` of a `{kind}` message is an object, null or left out"
    return None


def _find_fault_in_operation(payload: object) -> str | None:
    try:
        read_operation(payload)
    except BadRequest as error:
        return error.message
    return None

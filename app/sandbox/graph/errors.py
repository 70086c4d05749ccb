"""How the Graph API says no: one shape, told apart by `code` and `error_subcode`, hardly ever by HTTP status.

GraphError      {"error": {"message", "type", "code", "error_subcode", …}}
UploadError     {"debug_info": {"retriable", "type", "message"}}, the upload host's own shape
"""

from collections.abc import Mapping
from datetime import datetime

from starlette.responses import JSONResponse, Response

from app.sandbox import naming


class GraphError(Exception):
    """A refusal of the Graph API."""

    def __init__(
        self,
        message: str,
        code: int,
        *,
        subcode: int | None = None,
        status: int = 400,
        is_transient: bool = False,
        title: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, object] = {
            "message": message,
            "type": "OAuthException",
            "code": code,
            "is_transient": is_transient,
        }
        if subcode is not None:
            self.error["error_subcode"] = subcode
        if title is not None:
            self.error |= {"error_user_title": title, "error_user_msg": message}
        if data is not None:
            self.error["error_data"] = data

    def response(self) -> Response:
        """The refusal as it goes over the wire."""
        return JSONResponse({"error": self.error | {"fbtrace_id": naming.code(22)}}, self.status)


class UploadError(Exception):
    """A refusal of the upload host."""

    def __init__(self, message: str, *, kind: str, status: int = 400, is_retriable: bool = False) -> None:
        super().__init__(message)
        self._info = {"retriable": is_retriable, "type": kind, "message": message}
        self._status = status

    def response(self) -> Response:
        """The refusal as it goes over the wire."""
        return JSONResponse({"debug_info": self._info}, self._status)


# What Instagram's publishing says, by subcode: (code, title, message).
_INSTAGRAM: Mapping[int, tuple[int, str, str]] = {
    2207003: (-2, "Timeout", "It takes too long to download the media."),
    2207004: (36000, "Image too large", "The image is too large to download. It should be less than 8 MiB."),
    2207005: (36001, "Image type not supported", "The image format is not supported. Use JPEG."),
    2207006: (24, "Media not found", "The media with this creation id does not exist."),
    2207009: (36003, "Aspect ratio", "The submitted image's aspect ratio must be between 4:5 and 1.91:1."),
    2207010: (36004, "Caption too long", "The caption is too long, or has too many hashtags or mentions."),
    2207020: (-2, "Media expired", "The media you are trying to access has expired. Create it anew."),
    2207023: (100, "Media type", "The media type is unknown or not possible here."),
    2207027: (9007, "Media not ready", "The media is not ready for publishing, please wait for a moment."),
    2207028: (100, "Carousel", "A carousel needs at least 2 and at most 10 children."),
    2207032: (-1, "Create media failed", "Create media failed, please try to create it again."),
    2207042: (9, "Daily limit", "You reached the maximum number of posts that is allowed to be published by API."),
    2207052: (9004, "Media could not be fetched", "The media could not be fetched from this URI."),
}


def instagram_error(subcode: int, *, detail: str = "") -> GraphError:
    """What Instagram's publishing says under a subcode."""
    code, title, message = _INSTAGRAM[subcode]
    return GraphError(f"{message} {detail}".rstrip(), code, subcode=subcode, title=title)


def bad_parameter(message: str, *, subcode: int | None = None) -> GraphError:
    """Code 100: a parameter is missing or wrong."""
    return GraphError(f"(#100) {message}", 100, subcode=subcode)


def missing_object(object_id: str, method: str) -> GraphError:
    """Code 100, subcode 33: absent, or somebody else's."""
    message = (
        f"Unsupported {method.lower()} request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation."
    )
    return GraphError(message, 100, subcode=33)


def bad_version(version: str) -> GraphError:
    """Code 2635: a version that is not (or no longer) served."""
    return GraphError(f"(#2635) You are calling an unknown or deprecated version of the API: {version}.", 2635)


def bad_token(message: str, *, subcode: int | None = None, status: int = 400) -> GraphError:
    """Code 190: the token does not work, and the subcode may say why."""
    return GraphError(f"Error validating access token: {message}", 190, subcode=subcode, status=status)


def expired_token(at: datetime) -> GraphError:
    """190/463."""
    return bad_token(f"Session has expired on {at:%A, %d-%b-%y %H:%M:%S} UTC.", subcode=463, status=401)


def upload_problem(subcode: int, message: str, **data: object) -> GraphError:
    """Code 6000: a Facebook video did not come over as it should; `data` tells the offsets."""
    return GraphError(message, 6000, subcode=subcode, title="Video upload problem", data=data or None)

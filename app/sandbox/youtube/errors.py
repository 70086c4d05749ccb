"""How Google says no: an HTTP status, and a `reason` that tells what it means."""

from starlette.responses import JSONResponse, Response


class GoogleError(Exception):
    """A refusal of the YouTube Data API."""

    def __init__(self, status: int, reason: str, message: str, *, domain: str = "youtube.video") -> None:
        super().__init__(message)
        self._status = status
        self._body = {
            "error": {
                "code": status,
                "message": message,
                "errors": [{"message": message, "domain": domain, "reason": reason}],
            }
        }

    def response(self) -> Response:
        """The refusal as it goes over the wire."""
        return JSONResponse(self._body, self._status)


def bad_request(message: str, *, reason: str = "badRequest") -> GoogleError:
    """400: the request itself is wrong; `reason` says in which part."""
    return GoogleError(400, reason, message, domain="global" if reason == "badRequest" else "youtube.video")


def unauthorized() -> GoogleError:
    """401: no token, or one that does not work."""
    message = "Request had invalid authentication credentials. Expected OAuth 2 access token."
    return GoogleError(401, "authorizationRequired", message, domain="global")


def no_such_session() -> GoogleError:
    """404: the upload session is gone; its bytes are, too."""
    return GoogleError(404, "notFound", "The upload session does not exist or has expired.", domain="global")

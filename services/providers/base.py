"""The one shape every platform client has."""

from collections.abc import Sequence
from typing import Protocol

from services.domain.accounts import ConnectedProfile, Platform, Tokens
from services.domain.errors import CrierError
from services.domain.publishing import Checkpoint, Delivery, Discarded, Failure, Finding, Rejected, Step, StepOutcome


class Provider(Protocol):
    """Publishes to one platform; a state machine over `Delivery.checkpoint` (see services.domain.publishing).

    Nothing here raises for what a platform answers or for a network that fails: those are outcomes. Only mistakes of
    ours and cancellation are exceptions.
    """

    platform: Platform
    forgets: bool
    """Whether the platform itself soon forgets what is never published: then nothing has to be taken away."""

    def next_step(self, delivery: Delivery) -> Step:
        """What `perform` would do now; pure."""
        ...

    async def perform(self, delivery: Delivery) -> StepOutcome:
        """Do the next step."""
        ...

    async def find_out(self, delivery: Delivery) -> Finding:
        """Ask the platform what became of the step that may have happened; changes nothing there."""
        ...

    async def discard(self, checkpoint: Checkpoint, *, token: str) -> Discarded | Rejected | None:
        """Take away what the checkpoint says was prepared and nobody will ever see; what people see is left alone.

        None: there is nothing. `Rejected` carries what is left to be taken away later.
        """
        ...


class AuthorizationFailed(CrierError):
    """A platform gave no tokens. `failure.kind` says what helps: RECONNECT, that the person goes through OAuth once
    more; PERMISSION, that they grant there what is missing; RETRY or WAIT, to try later."""

    def __init__(self, failure: Failure) -> None:
        wait = failure.retry_after
        super().__init__(failure.message, retry_after=None if wait is None else wait.total_seconds())
        self.code = failure.code
        self.failure = failure


class Authorizer(Protocol):
    """One platform's OAuth 2.0, from the link a person opens to fresh tokens; raises `AuthorizationFailed`."""

    platform: Platform

    def authorize_url(self, *, redirect_uri: str, state: str, code_challenge: str) -> str:
        """Where the person says yes; `code_challenge` (S256) is used where the platform supports PKCE."""
        ...

    async def exchange(self, *, redirect_uri: str, code: str, code_verifier: str) -> Sequence[ConnectedProfile]:
        """The accounts that the person's yes opened, with their tokens (a Facebook user may bring several Pages)."""
        ...

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Fresh tokens; an answer without a refresh token keeps the old one. Platforms without refresh: raises."""
        ...

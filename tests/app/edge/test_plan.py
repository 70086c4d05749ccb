"""`X-Crier-Plan: 1` tells how an operation was answered, but not to everybody."""

from collections.abc import Awaitable, Callable

from app.options import EdgeOptions
from services.domain.viewers import Role, Scope
from tests.app.edge.conftest import Edge

ASKING = {"X-Crier-Plan": "1"}


async def test_developers_see_plans_when_they_ask(edge: Edge) -> None:
    """On a local run, whoever they are; nobody is told unasked."""
    running = await edge()
    assert "plan" not in (await running.ask("{quick}")).json().get("extensions", {})
    answer = (await running.ask("{quick}", headers=ASKING)).json()
    assert answer["extensions"]["plan"] == {"statements": 0, "rows": 0, "fields": []}


async def test_only_admins_see_plans_in_production(edge: Edge, a_key: Callable[..., Awaitable[str]]) -> None:
    """A person is answered as if nothing had been asked."""
    running = await edge(options=EdgeOptions(is_production=True))
    person, admin = await a_key(), await a_key(role=Role.ADMIN, scope=Scope.ADMIN)
    for token, is_told in ((person, False), (admin, True)):
        headers = ASKING | {"Authorization": f"Bearer {token}"}
        answer = (await running.ask("{quick}", headers=headers)).json()
        assert ("plan" in answer.get("extensions", {})) is is_told

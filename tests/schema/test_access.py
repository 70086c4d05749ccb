"""Naming somebody else, and asking without a name; who may do what at all is in tests/authorisation."""

import pytest

from services.domain.viewers import Role
from tests.graphql_api import Api


@pytest.mark.parametrize("list_name", ["posts", "accounts"])
async def test_only_operators_may_name_somebody_else(api: Api, list_name: str) -> None:
    """Naming oneself is no different from naming nobody."""
    ada, ben = await api.add_person(), await api.add_person("Ben")
    root = await api.add_person("Root", role=Role.ADMIN)
    await api.schedule(ada, await api.add_account(ada))
    document = f"query ($id: ID) {{ {list_name}(filter: {{userId: $id}}) {{ totalCount nodes {{ id }} }} }}"
    own = f"user_{ada.user.id.hex}"
    assert (await api.data(document, ada, id=own))[list_name]["totalCount"] == 1
    assert (await api.data(document, root, id=own))[list_name]["totalCount"] == 1
    assert (await api.data(document, root))[list_name]["totalCount"] == 0
    assert await api.codes(document, ben, id=own) == ["FORBIDDEN"]
    for nobody in ("user_" + "0" * 32, "post_" + ada.user.id.hex, "nonsense"):
        assert (await api.data(document, root, id=nobody))[list_name] == {"totalCount": 0, "nodes": []}
        assert await api.codes(document, ben, id=nobody) == ["FORBIDDEN"]


async def test_health_is_open(api: Api) -> None:
    """Whoever watches servers needs no credential."""
    answer = await api.data("{ health { status version checks { name status latencyMs detail } } __typename }", None)
    assert answer["health"]["version"] == "0.test"
    assert {"database", "redis"} <= {check["name"] for check in answer["health"]["checks"]}
    assert answer["health"]["status"] in ("ok", "degraded")

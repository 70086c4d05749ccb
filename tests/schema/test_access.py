"""Who may use which field: every root field of the schema, asked by everybody, against a table kept by hand."""

import asyncio
from dataclasses import dataclass

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_leaf_type,
)

from schema.build import build_schema
from services.domain.viewers import Role, Scope, Viewer
from tests.graphql_api import Api

SCHEMA = build_schema()._schema

OPEN = {"Query.health"}
SIGNED_IN = {
    "Query.viewer",
    "Query.posts",
    "Query.post",
    "Query.accounts",
    "Query.account",
    "Query.node",
    "Query.nodes",
    "Query.rateLimit",
    "Subscription.postChanged",
    "Subscription.postsChanged",
}
WRITER = {
    "Mutation.schedulePost",
    "Mutation.createDraft",
    "Mutation.updatePost",
    "Mutation.reschedulePost",
    "Mutation.cancelPost",
    "Mutation.deletePost",
    "Mutation.publishPostNow",
    "Mutation.retryPost",
    "Mutation.confirmPublished",
    "Mutation.connectAccount",
    "Mutation.disconnectAccount",
}
OPERATOR = {
    "Query.circuitBreakers",
    "Query.circuitBreaker",
    "Query.rateLimits",
    "Query.cacheStats",
    "Query.queue",
    "Query.workers",
    "Query.auditLog",
    "Query.failures",
    "Query.users",
    "Mutation.openCircuitBreaker",
    "Mutation.closeCircuitBreaker",
    "Mutation.resetCircuitBreaker",
    "Mutation.resetRateLimit",
    "Mutation.retryFailed",
}

ROOTS = {
    f"{root.name}.{name}": field
    for root in (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type)
    if root is not None
    for name, field in root.fields.items()
}


@dataclass(frozen=True)
class Asker:
    """One kind of caller, and the groups of fields it may use."""

    role: Role | None
    scope: Scope = Scope.READ
    may: tuple[frozenset[str], ...] = (frozenset(OPEN),)
    otherwise: str = "FORBIDDEN"


ASKERS = {
    "nobody": Asker(None, otherwise="UNAUTHENTICATED"),
    "reading person": Asker(Role.PERSON, Scope.READ, (frozenset(OPEN | SIGNED_IN),)),
    "person": Asker(Role.PERSON, Scope.WRITE, (frozenset(OPEN | SIGNED_IN | WRITER),)),
    "person with an admin's scope": Asker(Role.PERSON, Scope.ADMIN, (frozenset(OPEN | SIGNED_IN | WRITER),)),
    "admin with a person's scope": Asker(Role.ADMIN, Scope.WRITE, (frozenset(OPEN | SIGNED_IN | WRITER),)),
    "admin": Asker(Role.ADMIN, Scope.ADMIN, (frozenset(OPEN | SIGNED_IN | WRITER | OPERATOR),)),
}


def test_every_root_field_has_a_rule() -> None:
    """A new field fails here until somebody has decided who may use it."""
    groups = [OPEN, SIGNED_IN, WRITER, OPERATOR]
    assert set().union(*groups) == set(ROOTS)
    assert sum(map(len, groups)) == len(ROOTS)


@pytest.mark.parametrize("name", ASKERS)
async def test_every_root_field_answers_whom_it_should(api: Api, name: str) -> None:
    """The others get a code and nothing else, and before anything of their input is looked at."""
    asker = ASKERS[name]
    viewer = None if asker.role is None else await api.add_person(role=asker.role, scope=asker.scope)
    may = frozenset().union(*asker.may)
    seen = {place: await first_codes(api, place, viewer) for place in ROOTS}
    refused = {place for place, codes in seen.items() if set(codes) & {"UNAUTHENTICATED", "FORBIDDEN"}}
    assert refused == set(ROOTS) - may
    assert {code for place in refused for code in seen[place]} <= {asker.otherwise}
    assert [place for place in may if "INTERNAL" in seen[place]] == []


async def first_codes(api: Api, place: str, viewer: Viewer | None) -> list[str]:
    """The codes of the errors that a root field answers with at first."""
    root, _, name = place.partition(".")
    document = f"{root.lower()} {{ {written(name, ROOTS[place])} }}"
    if root != "Subscription":
        return await api.codes(document, viewer)
    async with api.context(viewer) as context:
        events = await api.schema.subscribe(document, context_value=context)
        try:
            result = await asyncio.wait_for(anext(events), 0.5)
        except TimeoutError:  # it waits for changes: nobody refused
            return []
        finally:
            await events.aclose()
    return [error.extensions["code"] for error in result.errors or []]


def written(name: str, field: GraphQLField) -> str:
    """The field with whatever arguments it needs, and the least of a selection."""
    needed = {
        key: arg for key, arg in field.args.items() if isinstance(arg.type, GraphQLNonNull) and not has_default(arg)
    }
    arguments = ", ".join(f"{key}: {literal(arg.type)}" for key, arg in needed.items())
    selection = "" if is_leaf_type(get_named_type(field.type)) else " { __typename }"
    return f"{name}{f'({arguments})' if arguments else ''}{selection}"


def has_default(argument: GraphQLArgument) -> bool:
    """Whether it can be left out."""
    return argument.default_value is not None and str(argument.default_value) != "Undefined"


def literal(kind: object) -> str:
    """Some value of an input type; of ids and texts one that nothing has."""
    if isinstance(kind, GraphQLNonNull):
        return literal(kind.of_type)
    if isinstance(kind, GraphQLList):
        return "[]"
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        needed = {
            key: made.type
            for key, made in kind.fields.items()
            if isinstance(made.type, GraphQLNonNull) and str(made.default_value) == "Undefined"
        }
        return "{" + ", ".join(f"{key}: {literal(made)}" for key, made in needed.items()) + "}"
    return {"DateTime": '"2001-01-01T00:00:00Z"', "Int": "1", "Boolean": "true"}.get(str(kind), '"nothing"')


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

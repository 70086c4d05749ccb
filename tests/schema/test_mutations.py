"""Mutations: what they answer, and every road to a user error."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from services.domain.accounts import AccountStatus, Platform
from services.domain.ids import Kind, encode_id
from services.domain.viewers import Viewer
from services.models import AUDIT_LOG, POSTS, TARGETS
from tests.graphql_api import SCHEDULE, Api, account_id, in_hours

NO_ID = "post_" + "0" * 32
PICTURE = {"kind": "IMAGE", "url": "https://example.test/a.jpg"}
VIDEO = {"kind": "VIDEO", "url": "https://example.test/a.mp4"}


def changing(name: str, selection: str = "post { id version status caption link scheduledAt }") -> str:
    """The document of a mutation."""
    return (
        f"mutation ($input: {name[0].upper()}{name[1:]}Input!) "
        f"{{ {name}(input: $input) {{ {selection} userErrors {{ code message field }} }} }}"
    )


async def change(api: Api, viewer: Viewer, name: str, /, **given: Any) -> dict[str, Any]:
    """What the mutation answers."""
    return (await api.data(changing(name), viewer, input=given))[name]


async def refusals(api: Api, viewer: Viewer, name: str, /, **given: Any) -> list[tuple[str, str | None]]:
    """Code and field of each user error; there is no object then."""
    answer = await change(api, viewer, name, **given)
    assert answer["post"] is None or not answer["userErrors"]
    return [(error["code"], error["field"]) for error in answer["userErrors"]]


async def test_schedule_writes_all_that_was_given(api: Api) -> None:
    """Variants, options and media come back as they went in, and nothing is read again for it."""
    ada = await api.add_person()
    facebook = await api.add_account(ada)
    youtube = await api.add_account(ada, Platform.YOUTUBE)
    document = SCHEDULE.replace(
        "id version status",
        """
        version caption link
        media { kind url position altText }
        targets { caption account { id } options {
          ... on FacebookOptions { facebookKind }
          ... on YouTubeOptions { title privacy tags categoryId madeForKids }
        } }
        """,
    )
    given = {
        "caption": "Hello",
        "accountIds": [account_id(facebook), account_id(youtube)],
        "scheduledAt": in_hours(1),
        "link": "https://example.test/",
        "media": [VIDEO | {"altText": "A harbour"}],
        "variants": [
            {"accountId": account_id(facebook), "caption": "Hello, Page", "facebook": {"kind": "REEL"}},
            {
                "accountId": account_id(youtube),
                "youtube": {"privacy": "UNLISTED", "tags": ["a", "b"], "madeForKids": True},
            },
        ],
    }
    answer = (await api.data(document, ada, input=given))["schedulePost"]
    assert answer["userErrors"] == []
    assert answer["post"] == {
        "version": 1,
        "caption": "Hello",
        "link": "https://example.test/",
        "media": [{"kind": "VIDEO", "url": VIDEO["url"], "position": 0, "altText": "A harbour"}],
        "targets": [
            {
                "caption": "Hello, Page",
                "account": {"id": account_id(facebook)},
                "options": {"facebookKind": "REEL"},
            },
            {
                "caption": None,
                "account": {"id": account_id(youtube)},
                "options": {
                    "title": "Hello",
                    "privacy": "UNLISTED",
                    "tags": ["a", "b"],
                    "categoryId": "22",
                    "madeForKids": True,
                },
            },
        ],
    }


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"scheduledAt": "2001-01-01T00:00:00Z"}, [("SCHEDULED_IN_PAST", "scheduledAt")]),
        ({"scheduledAt": "2999-01-01T00:00:00Z"}, [("VALIDATION_FAILED", "scheduledAt")]),
        ({"accountIds": []}, [("ACCOUNT_REQUIRED", "accountIds")]),
        ({"accountIds": ["nonsense"]}, [("NOT_FOUND", "accountIds.0")]),
        ({"accountIds": ["acct_" + "0" * 32, NO_ID]}, [("NOT_FOUND", "accountIds.0"), ("NOT_FOUND", "accountIds.1")]),
        ({"caption": "x" * 63_207}, [("CAPTION_TOO_LONG", "caption")]),
        ({"caption": " "}, [("CAPTION_REQUIRED", "caption")]),
        ({"link": "not a link"}, [("VALIDATION_FAILED", "link")]),
        ({"link": "javascript:alert(1)"}, [("VALIDATION_FAILED", "link")]),
        ({"media": [{"kind": "IMAGE"}]}, [("VALIDATION_FAILED", "media.0")]),
        (
            {"media": [PICTURE | {"mediaId": "nonsense"}]},
            [("VALIDATION_FAILED", "media.0"), ("NOT_FOUND", "media.0.mediaId")],
        ),
        ({"media": [{"kind": "IMAGE", "mediaId": "upl_" + "0" * 32}]}, [("NOT_FOUND", "media.0.mediaId")]),
        ({"media": [PICTURE | {"url": "ftp://x/"}]}, [("VALIDATION_FAILED", "media.0.url")]),
        (
            {"caption": "a\0", "media": [PICTURE, PICTURE | {"altText": "\0"}], "idempotencyKey": "\0"},
            [("VALIDATION_FAILED", field) for field in ("caption", "media.1.altText", "idempotencyKey")],
        ),
        ({"media": [PICTURE] * 11}, [("TOO_MANY_MEDIA", "media")]),
        ({"media": [PICTURE, VIDEO]}, [("MEDIA_NOT_SUPPORTED", "media")]),
        ({"variants": [{"accountId": "nonsense"}]}, [("VALIDATION_FAILED", "variants.0.accountId")]),
    ],
    ids=str,
)  # fmt: skip
async def test_schedule_refuses_what_the_person_can_mend(
    api: Api, given: dict[str, Any], refused: list[tuple[str, str]]
) -> None:
    """Each with its code and its field, and nothing is stored."""
    ada = await api.add_person()
    account = await api.add_account(ada)
    draft = {"caption": "Hello", "accountIds": [account_id(account)], "scheduledAt": in_hours(1)}
    assert await refusals(api, ada, "schedulePost", **(draft | given)) == refused
    async with api.services.database.connect() as c:
        assert (await c.execute(select(func.count()).select_from(POSTS))).scalar_one() == 0


@pytest.mark.parametrize(
    ("variant", "field"),
    [
        ({"instagram": {}, "facebook": {}}, "variants.0"),
        ({"youtube": {"title": "x"}}, "variants.0"),
        ({"instagram": {"kind": "STORY"}}, "variants.0"),
    ],
    ids=str,
)
async def test_schedule_refuses_another_platforms_choices(api: Api, variant: dict[str, Any], field: str) -> None:
    """One platform's at most, and that of the account."""
    ada = await api.add_person()
    account = account_id(await api.add_account(ada))
    given = {
        "caption": "Hello",
        "accountIds": [account],
        "scheduledAt": in_hours(1),
        "variants": [{"accountId": account} | variant],
    }
    assert await refusals(api, ada, "schedulePost", **given) == [("VALIDATION_FAILED", field)]


async def test_schedule_refuses_accounts_that_cannot_publish_or_are_not_ones_own(api: Api) -> None:
    """Somebody else's looks like one that is not there."""
    ada, ben = await api.add_person(), await api.add_person("Ben")
    revoked = account_id(await api.add_account(ada, status=AccountStatus.REVOKED))
    bens = account_id(await api.add_account(ben))
    draft = {"caption": "Hello", "scheduledAt": in_hours(1)}
    assert await refusals(api, ada, "schedulePost", **draft, accountIds=[revoked]) == [
        ("ACCOUNT_NOT_CONNECTED", "accountIds.0")
    ]
    assert await refusals(api, ada, "schedulePost", **draft, accountIds=[bens]) == [("NOT_FOUND", "accountIds.0")]


async def test_schedule_is_idempotent_by_key(api: Api) -> None:
    """The same wish gives the same post; another one under its key is refused."""
    ada = await api.add_person()
    account = await api.add_account(ada)
    given = {"caption": "Hello", "accountIds": [account_id(account)], "scheduledAt": in_hours(1), "idempotencyKey": "k"}
    first = await change(api, ada, "schedulePost", **given)
    assert await change(api, ada, "schedulePost", **given) == first
    assert await refusals(api, ada, "schedulePost", **(given | {"caption": "Other"})) == [
        ("IDEMPOTENCY_MISMATCH", "idempotencyKey")
    ]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("updatePost", {"caption": "x"}),
        ("reschedulePost", {"scheduledAt": in_hours(2)}),
        ("cancelPost", {}),
        ("publishPostNow", {}),
        ("retryPost", {}),
    ],
)
async def test_changes_of_posts_that_are_not_ones_own_are_not_found(api: Api, name: str, more: dict[str, Any]) -> None:
    """Malformed, unknown or somebody else's: the answers are the same."""
    ada, ben = await api.add_person(), await api.add_person("Ben")
    post = await api.schedule(ada, await api.add_account(ada))
    answers = [await change(api, ben, name, id=text, **more) for text in ("nonsense", NO_ID, post)]
    assert answers[0]["userErrors"] == [{"code": "NOT_FOUND", "message": "You have no such post.", "field": "id"}]
    assert answers == [answers[0]] * 3


async def test_deletes_confirmations_and_disconnects_of_what_is_not_ones_own_are_not_found(api: Api) -> None:
    """The same for what is not named by a post's id, or answers no post."""
    ada, ben = await api.add_person(), await api.add_person("Ben")
    account = await api.add_account(ada)
    post = await api.schedule(ada, account)
    async with api.services.database.connect() as c:
        target = (await c.execute(select(TARGETS.c.id))).scalar_one()
    for name, selection, given in (
        ("deletePost", "deletedPostId", {"id": post}),
        ("deletePost", "deletedPostId", {"id": "nonsense"}),
        ("confirmPublished", "post { id }", {"targetId": encode_id(Kind.TARGET, target)}),
        ("confirmPublished", "post { id }", {"targetId": "nonsense"}),
        ("disconnectAccount", "account { id }", {"id": account_id(account)}),
        ("disconnectAccount", "account { id }", {"id": "nonsense"}),
    ):
        answer = (await api.data(changing(name, selection), ben, input=given))[name]
        assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [("NOT_FOUND", next(iter(given)))]


async def test_update_changes_what_is_mentioned_alone(api: Api) -> None:
    """Left out stays; null takes away where that means something, and is refused where it does not."""
    ada = await api.add_person()
    post = await api.schedule(ada, await api.add_account(ada), link="https://example.test/")
    answer = (await change(api, ada, "updatePost", id=post, caption="New"))["post"]
    assert (answer["caption"], answer["link"]) == ("New", "https://example.test/")
    answer = (await change(api, ada, "updatePost", id=post, link=None, scheduledAt=None))["post"]
    assert (answer["caption"], answer["link"], answer["scheduledAt"], answer["status"]) == ("New", None, None, "DRAFT")
    for field in ("caption", "accountIds", "media", "variants"):
        assert await refusals(api, ada, "updatePost", id=post, **{field: None}) == [("VALIDATION_FAILED", field)]


async def test_changes_against_a_stale_version_conflict(api: Api) -> None:
    """Whoever read an older state is told so."""
    ada = await api.add_person()
    post = await api.schedule(ada, await api.add_account(ada))
    assert (await change(api, ada, "updatePost", id=post, caption="New", expectedVersion=1))["post"]["version"] == 2
    for name, more in (
        ("updatePost", {"caption": "x"}),
        ("reschedulePost", {"scheduledAt": in_hours(3)}),
        ("cancelPost", {}),
        ("publishPostNow", {}),
    ):
        assert await refusals(api, ada, name, id=post, expectedVersion=1, **more) == [("CONFLICT", "expectedVersion")]


async def test_a_post_goes_from_draft_to_deleted(api: Api) -> None:
    """Every step by its own mutation, and what cannot be is refused."""
    ada = await api.add_person()
    account = account_id(await api.add_account(ada))
    post = (await change(api, ada, "createDraft", caption="Hello", accountIds=[account]))["post"]
    assert (post["status"], post["scheduledAt"]) == ("DRAFT", None)
    key = post["id"]
    assert await refusals(api, ada, "reschedulePost", id=key, scheduledAt="2001-01-01T00:00:00Z") == [
        ("SCHEDULED_IN_PAST", "scheduledAt")
    ]
    assert (await change(api, ada, "reschedulePost", id=key, scheduledAt=in_hours(1)))["post"]["status"] == "SCHEDULED"
    assert (await change(api, ada, "cancelPost", id=key))["post"]["status"] == "CANCELED"
    assert await refusals(api, ada, "cancelPost", id=key) == [("NOT_POSSIBLE_NOW", "id")]
    assert await refusals(api, ada, "retryPost", id=key) == [("NOT_POSSIBLE_NOW", "id")]
    assert (await change(api, ada, "publishPostNow", id=key))["post"]["status"] == "SCHEDULED"
    deleted = await api.data(changing("deletePost", "deletedPostId"), ada, input={"id": key})
    assert deleted == {"deletePost": {"deletedPostId": key, "userErrors": []}}
    assert await api.data("query ($id: ID!) { post(id: $id) { id } }", ada, id=key) == {"post": None}


async def test_unconfirmed_targets_are_confirmed_or_risked(api: Api) -> None:
    """What may be out already is not sent again unasked."""
    ada = await api.add_person()
    post = await api.schedule(ada, await api.add_account(ada))
    async with api.services.database.connect() as c:
        unconfirmed = update(TARGETS).values(status="UNCONFIRMED", next_attempt_at=None).returning(TARGETS.c.id)
        target: UUID = (await c.execute(unconfirmed)).scalar_one()
    assert await refusals(api, ada, "retryPost", id=post) == [("OUTCOME_UNKNOWN", "acceptDuplicate")]
    given = {"targetId": encode_id(Kind.TARGET, target)}
    assert await refusals(api, ada, "confirmPublished", **given, permalink="nonsense") == [
        ("VALIDATION_FAILED", "permalink")
    ]
    assert (await change(api, ada, "confirmPublished", **given))["post"]["status"] == "PUBLISHED"
    assert await refusals(api, ada, "confirmPublished", **given) == [("NOT_POSSIBLE_NOW", "id")]


async def test_accounts_are_connected_by_a_link_and_disconnected(api: Api) -> None:
    """The link leads to the platform and knows where to come back to."""
    ada = await api.add_person()
    account = account_id(await api.add_account(ada))
    answer = await api.data(changing("connectAccount", "authorizeUrl"), ada, input={"platform": "INSTAGRAM"})
    assert answer["connectAccount"]["authorizeUrl"].startswith("http://127.0.0.1:1/instagram/")
    answer = await api.data(changing("disconnectAccount", "account { id status }"), ada, input={"id": account})
    assert answer["disconnectAccount"] == {"account": {"id": account, "status": "DISCONNECTED"}, "userErrors": []}


async def test_mutations_of_one_document_see_one_another(api: Api) -> None:
    """What the first wrote is what the second shows, however it is reached."""
    ada = await api.add_person()
    account = await api.add_account(ada)
    post = await api.schedule(ada, account)
    shown = "post { caption targets { account { posts { nodes { caption version } } } } } userErrors { code }"
    document = f"""
    mutation ($id: ID!) {{
      a: updatePost(input: {{id: $id, caption: "A"}}) {{ {shown} }}
      b: updatePost(input: {{id: $id, caption: "B"}}) {{ {shown} }}
      c: updatePost(input: {{id: "nonsense", caption: "C"}}) {{ {shown} }}
    }}
    """
    answer = await api.data(document, ada, id=post)
    for name, version in (("a", 2), ("b", 3)):
        shown_there = answer[name]["post"]
        assert shown_there["caption"] == name.upper()
        nodes = shown_there["targets"][0]["account"]["posts"]["nodes"]
        assert nodes == [{"caption": name.upper(), "version": version}]
    assert answer["c"] == {"post": None, "userErrors": [{"code": "NOT_FOUND"}]}


async def test_malformed_input_is_refused_before_anything_is_done(api: Api) -> None:
    """What no person can mend is a top-level error with a code."""
    ada = await api.add_person()
    given = {"caption": "x", "accountIds": [], "scheduledAt": "2026-11-23T21:50:56"}
    for wrong in (given, {"caption": "x"}, given | {"scheduledAt": in_hours(1), "extra": 1}, given | {"caption": None}):
        assert set(await api.codes(SCHEDULE, ada, input=wrong)) == {"VALIDATION_FAILED"}


async def test_nothing_but_operators_deeds_is_audited(api: Api) -> None:
    """People's own changes are theirs."""
    ada = await api.add_person()
    await api.schedule(ada, await api.add_account(ada))
    async with api.services.database.connect() as c:
        assert (await c.execute(select(func.count()).select_from(AUDIT_LOG))).scalar_one() == 0

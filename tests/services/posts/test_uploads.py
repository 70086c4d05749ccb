"""Posts of uploads: held against what each platform takes of a file before anything is stored."""

import io
from dataclasses import replace

import pytest

from services.domain.accounts import Account, Platform
from services.domain.changes import PostChanges
from services.domain.drafts import MediaDraft, Variant
from services.domain.errors import ErrorCode, Refused
from services.domain.options import FacebookKind, FacebookOptions, InstagramKind, InstagramOptions, TargetOptions
from services.domain.uploads import Upload
from services.domain.viewers import Viewer
from tests.media_files import a_picture, a_video
from tests.rig import Rig, refused

REEL = FacebookOptions(FacebookKind.REEL)
STORY = InstagramOptions(InstagramKind.STORY)


async def uploaded(rig: Rig, viewer: Viewer, content: bytes) -> MediaDraft:
    """The file as a medium of a post."""
    upload: Upload = await rig.container.uploads.store_file(viewer, io.BytesIO(content))
    return MediaDraft(upload.kind, upload_id=upload.id)


def chosen(account: Account, options: TargetOptions | None) -> tuple[Variant, ...]:
    """What is different for the account."""
    return () if options is None else (Variant(account.id, options=options),)


@pytest.mark.parametrize(
    ("platform", "options", "content", "code"),
    [
        (Platform.INSTAGRAM, None, a_picture(1080, 1350), None),
        (Platform.INSTAGRAM, None, a_picture(400, 900), ErrorCode.VALIDATION_FAILED),
        (Platform.INSTAGRAM, STORY, a_picture(400, 900), None),
        (Platform.INSTAGRAM, None, a_picture(form="PNG"), ErrorCode.MEDIA_NOT_SUPPORTED),
        (Platform.INSTAGRAM, None, a_picture() + bytes(9 * 2**20), ErrorCode.VALIDATION_FAILED),
        (Platform.INSTAGRAM, None, a_video(1080, 1920, 8), None),
        (Platform.INSTAGRAM, None, a_video(1080, 1920, 2), ErrorCode.VALIDATION_FAILED),
        (Platform.INSTAGRAM, STORY, a_video(1080, 1920, 75), ErrorCode.VALIDATION_FAILED),
        (Platform.FACEBOOK, None, a_picture(400, 900, form="PNG"), None),
        (Platform.FACEBOOK, None, a_picture() + bytes(11 * 2**20), ErrorCode.VALIDATION_FAILED),
        (Platform.FACEBOOK, None, a_video(640, 360, 600), None),
        (Platform.FACEBOOK, REEL, a_video(1080, 1920, 91), ErrorCode.VALIDATION_FAILED),
        (Platform.FACEBOOK, REEL, a_video(1920, 1080, 60), ErrorCode.VALIDATION_FAILED),
        (Platform.YOUTUBE, None, a_video(640, 360, 1), None),
        (Platform.YOUTUBE, None, a_picture(), ErrorCode.MEDIA_NOT_SUPPORTED),
    ],
)
async def test_an_upload_that_a_platform_would_refuse_is_refused_at_once(
    rig: Rig, platform: Platform, options: TargetOptions | None, content: bytes, code: ErrorCode | None
) -> None:
    """The code, and the medium that it is about; scheduled and drafted alike."""
    ada = await rig.add_user()
    account = await rig.add_account(ada, platform)
    medium = await uploaded(rig, ada, content)
    posts = rig.container.posts
    draft = rig.draft(account, media=(medium,), variants=chosen(account, options))

    for create, one in ((posts.schedule_post, draft), (posts.create_draft, replace(draft, scheduled_at=None))):
        if code is None:
            await create(ada, one, idempotency_key=None)
            continue
        with pytest.raises(Refused) as refusal:
            await create(ada, one, idempotency_key=None)
        assert (code, "media.0.mediaId") in [(error.code, error.field) for error in refusal.value.errors]


async def test_one_upload_is_held_against_every_account_of_its_post(rig: Rig) -> None:
    """The reel is for one Page alone, the plain video for the other: only the first asks for a shape."""
    ada = await rig.add_user()
    plain, reel, youtube = [
        await rig.add_account(ada, platform) for platform in (Platform.FACEBOOK, Platform.FACEBOOK, Platform.YOUTUBE)
    ]
    wide = await uploaded(rig, ada, a_video(1920, 1080, 60))
    both = rig.draft(plain, reel, youtube, media=(wide,), variants=chosen(reel, REEL))

    with refused(ErrorCode.VALIDATION_FAILED, "media.0.mediaId"):
        await rig.container.posts.schedule_post(ada, both, idempotency_key=None)
    await rig.container.posts.schedule_post(ada, replace(both, variants=()), idempotency_key=None)


async def test_an_edit_is_held_against_the_platform_too(rig: Rig) -> None:
    """The video was good for a post; as a reel it is too wide. Nothing has changed afterwards."""
    ada = await rig.add_user()
    page = await rig.add_account(ada)
    wide = await uploaded(rig, ada, a_video(1920, 1080, 60))
    post = await rig.schedule(ada, page, media=(wide,))

    changes = PostChanges(variants=chosen(page, REEL))
    with refused(ErrorCode.VALIDATION_FAILED, "media.0.mediaId"):
        await rig.container.posts.update_post(ada, post.post.id, changes, expected_version=None)
    assert await rig.state(post) == post

"""What was published, as a person would see it: a column per platform, and a page for each single post."""

import re
from collections import Counter
from datetime import UTC, datetime
from secrets import token_hex
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.sandbox.html import Html, page, render
from app.sandbox.permalinks import permalink_path
from app.sandbox.records import MediaItem, PlatformName, Publication
from app.sandbox.world import World

CARDS_PER_COLUMN = 60
COLUMNS: tuple[tuple[PlatformName, str], ...] = (
    ("instagram", "Instagram"),
    ("facebook", "Facebook"),
    ("youtube", "YouTube"),
)
_BADGES = {"reel": "Reel", "story": "Story", "video": "Video"}


class FeedPages:
    """The pages for people, drawn from the world anew whenever it has changed."""

    def __init__(self, world: World) -> None:
        self._world = world
        # The revision begins anew with the process; an ETag must not.
        self._boot = token_hex(4)

    async def home(self, request: Request) -> Response:
        """`/`: all columns; the page then keeps itself up to date from `/feed`."""
        del request
        return HTMLResponse(page(title="Crier sandbox", body=render("home", feed=self._feed()), kind="home"))

    async def fragment(self, request: Request) -> Response:
        """`/feed`: the columns only, or 304 while nothing has changed."""
        self._world.publish_due()
        tag = f'"{self._boot}-{self._world.revision}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(self._feed(), headers=headers)

    async def instagram_post(self, request: Request) -> Response:
        """`/instagram/p/{shortcode}`."""
        return self._single(self._world.find_by_code("instagram", request.path_params["code"]))

    async def facebook_post(self, request: Request) -> Response:
        """`/facebook/{page}/posts/{id}`."""
        return self._single(self._world.find_by_code("facebook", request.path_params["code"]))

    async def youtube_video(self, request: Request) -> Response:
        """`/youtube/watch?v=…`."""
        return self._single(self._world.find_by_code("youtube", request.query_params.get("v", "")))

    def _single(self, publication: Publication | None) -> Response:
        if publication is None or not publication.is_live:
            body = render("absent")
            return HTMLResponse(page(title="Nothing here", body=body, kind="single"), 404)
        account = self._world.accounts[publication.account_id]
        body = render(
            "single",
            platform=publication.platform,
            card=self._card(publication, count=1),
            id=publication.id,
            kind=publication.kind,
            account=f"{account.name} · {account.id}",
            published=_iso(publication.published_at),
        )
        return HTMLResponse(
            page(title=publication.title or publication.caption[:60] or account.name, body=body, kind="single")
        )

    def _feed(self) -> Html:
        world = self._world
        world.publish_due()
        shift = world.clock.now() - datetime.now(UTC)
        return render(
            "feed",
            clock=world.clock.now().strftime("%d %b %Y, %H:%M UTC") if abs(shift.total_seconds()) > 60 else "",
            columns=Html("".join(self._column(platform, name) for platform, name in COLUMNS)),
        )

    def _column(self, platform: PlatformName, name: str) -> Html:
        seen = self._world.live(platform)
        counts = Counter((one.account_id, one.caption, one.title) for one in seen)
        cards = [
            self._card(one, count=counts[one.account_id, one.caption, one.title])
            for one in reversed(seen[-CARDS_PER_COLUMN:])
        ]
        more = len(seen) - len(cards)
        return render(
            "column",
            platform=platform,
            name=name,
            total=str(len(seen)),
            cards=Html("".join(cards)) if cards else render(f"empty_{platform}"),
            more=render("more", count=str(more)) if more else "",
        )

    def _card(self, publication: Publication, *, count: int) -> Html:
        account = self._world.accounts[publication.account_id]
        return render(
            f"card_{publication.platform}",
            key=publication.id,
            account=account.name,
            handle=account.handle,
            avatar=f"/avatars/{account.id}.svg",
            title=publication.title,
            caption=_marked(publication.caption),
            media=_media(publication.media),
            shape=_shape(publication.media),
            badges=_badges(publication, count),
            link=_link(publication.link),
            time=_iso(publication.published_at),
            permalink=permalink_path(publication),
        )


def _media(items: list[MediaItem]) -> Html:
    return Html("".join(_item(item) for item in items))


def _item(item: MediaItem) -> Html:
    if item.key is None:
        return render("media_absent", kind=item.kind)
    return render(f"media_{item.kind}", source=f"/media/{item.key}", alt=item.alt)


def _shape(items: list[MediaItem]) -> str:
    return f"n{min(len(items), 5)}"


def _badges(publication: Publication, count: int) -> Html:
    badges = []
    if publication.kind in _BADGES and publication.platform != "youtube":
        badges.append(render("badge", kind="plain", text=_BADGES[publication.kind]))
    if publication.kind == "carousel":
        badges.append(render("badge", kind="plain", text=f"{len(publication.media)} pictures"))
    if publication.privacy != "public":
        badges.append(render("badge", kind="quiet", text=publication.privacy))
    if count > 1:
        badges.append(render("badge", kind="alarm", text=f"{count} × the same"))
    return Html("".join(badges))


def _link(link: str | None) -> Html:
    if link is None:
        return Html("")
    return render("link", link=link, host=urlsplit(link).netloc)


def _marked(caption: str) -> Html:
    """A caption with its hashtags and mentions in colour."""
    parts = re.split(r"((?<!\w)[#@][\w.]*\w)", caption)
    return Html("".join(render("tag", text=part) if index % 2 else _plain(part) for index, part in enumerate(parts)))


def _plain(text: str) -> Html:
    return render("text", text=text)


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")

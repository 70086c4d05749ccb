"""Where a person opens what was published, and where its pictures are: all on the sandbox's own pages."""

from app.sandbox.records import MediaItem, Publication


def permalink(public_url: str, publication: Publication) -> str:
    """The address of one publication's page."""
    return public_url + permalink_path(publication)


def permalink_path(publication: Publication) -> str:
    """The path of one publication's page."""
    if publication.platform == "instagram":
        return f"/instagram/p/{publication.code}"
    if publication.platform == "facebook":
        return f"/facebook/{publication.account_id}/posts/{publication.code}"
    return f"/youtube/watch?v={publication.id}"


def avatar_url(public_url: str, account_id: str) -> str:
    """The address of an account's round picture."""
    return f"{public_url}/avatars/{account_id}.svg"


def media_url(public_url: str, item: MediaItem | None) -> str | None:
    """The address of a kept picture or video, or None where it was not kept."""
    return None if item is None or item.key is None else f"{public_url}/media/{item.key}"

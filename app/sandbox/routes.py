"""Every path of every platform. A prefix stands for all hosts of its platform, with their real paths below it."""

from app.sandbox.endpoints import Handler, Operation
from app.sandbox.facebook import posts, reels, videos
from app.sandbox.facebook import reading as facebook_reading
from app.sandbox.graph.access import graph, upload_host
from app.sandbox.instagram import containers, publishing
from app.sandbox.instagram import reading as instagram_reading
from app.sandbox.oauth import consent
from app.sandbox.oauth import facebook as facebook_oauth
from app.sandbox.oauth import google as google_oauth
from app.sandbox.oauth import instagram as instagram_oauth
from app.sandbox.strangers import unknown_google_path, unknown_graph_path
from app.sandbox.youtube import reading as youtube_reading
from app.sandbox.youtube import uploads
from app.sandbox.youtube.access import google


def _op(name: str, method: str, path: str, handler: Handler, *, keeps_partial_body: bool = False) -> Operation:
    platform = name.partition(".")[0]
    return Operation(
        name=name, method=method, path=f"/{platform}{path}", handler=handler, keeps_partial_body=keeps_partial_body
    )


_NODE = "/{version}/{node}"

INSTAGRAM = (
    _op("instagram.authorize", "GET", "/oauth/authorize", consent.ask_instagram),
    _op("instagram.consent", "POST", "/oauth/authorize", consent.answer_instagram),
    _op("instagram.token", "POST", "/oauth/access_token", instagram_oauth.exchange_code),
    _op("instagram.exchange", "GET", "/access_token", graph(instagram_oauth.exchange_short)),
    _op("instagram.refresh", "GET", "/refresh_access_token", graph(instagram_oauth.refresh)),
    _op("instagram.upload", "POST", "/ig-api-upload/{version}/{container}", upload_host(containers.upload)),
    _op("instagram.me", "GET", "/{version}/me", graph(instagram_reading.read_me)),
    _op("instagram.media", "POST", f"{_NODE}/media", graph(containers.create)),
    _op("instagram.media_list", "GET", f"{_NODE}/media", graph(instagram_reading.list_media)),
    _op("instagram.stories", "GET", f"{_NODE}/stories", graph(instagram_reading.list_stories)),
    _op("instagram.media_publish", "POST", f"{_NODE}/media_publish", graph(publishing.media_publish)),
    _op("instagram.limit", "GET", f"{_NODE}/content_publishing_limit", graph(publishing.content_publishing_limit)),
    _op("instagram.comments", "POST", f"{_NODE}/comments", graph(instagram_reading.comment)),
    _op("instagram.read", "GET", _NODE, graph(instagram_reading.read)),
)

FACEBOOK = (
    _op("facebook.authorize", "GET", "/{version}/dialog/oauth", consent.ask_facebook),
    _op("facebook.consent", "POST", "/{version}/dialog/oauth", consent.answer_facebook),
    _op("facebook.token", "GET", "/{version}/oauth/access_token", graph(facebook_oauth.exchange)),
    _op("facebook.debug_token", "GET", "/{version}/debug_token", graph(facebook_oauth.debug_token)),
    _op("facebook.upload", "POST", "/video-upload/{version}/{video}", upload_host(reels.upload_reel)),
    _op("facebook.me", "GET", "/{version}/me", graph(facebook_oauth.read_me)),
    _op("facebook.permissions", "GET", "/{version}/me/permissions", graph(facebook_oauth.list_permissions)),
    _op("facebook.accounts", "GET", "/{version}/me/accounts", graph(facebook_oauth.list_accounts)),
    _op("facebook.feed", "POST", f"{_NODE}/feed", graph(posts.create_post)),
    _op("facebook.photos", "POST", f"{_NODE}/photos", graph(posts.create_photo)),
    _op("facebook.videos", "POST", f"{_NODE}/videos", graph(videos.create_video)),
    _op("facebook.video_reels", "POST", f"{_NODE}/video_reels", graph(reels.create_reel)),
    _op("facebook.feed_list", "GET", f"{_NODE}/feed", graph(facebook_reading.list_posts)),
    _op("facebook.posts_list", "GET", f"{_NODE}/posts", graph(facebook_reading.list_posts)),
    _op("facebook.published_posts", "GET", f"{_NODE}/published_posts", graph(facebook_reading.list_posts)),
    _op("facebook.scheduled_posts", "GET", f"{_NODE}/scheduled_posts", graph(facebook_reading.list_scheduled)),
    _op("facebook.reels_list", "GET", f"{_NODE}/video_reels", graph(facebook_reading.list_reels)),
    _op("facebook.update", "POST", _NODE, graph(posts.update)),
    _op("facebook.delete", "DELETE", _NODE, graph(posts.delete)),
    _op("facebook.read", "GET", _NODE, graph(facebook_reading.read)),
)

YOUTUBE = (
    _op("youtube.authorize", "GET", "/o/oauth2/v2/auth", consent.ask_google),
    _op("youtube.consent", "POST", "/o/oauth2/v2/auth", consent.answer_google),
    _op("youtube.token", "POST", "/token", google_oauth.token),
    _op("youtube.insert", "POST", "/upload/youtube/v3/videos", google(uploads.start)),
    _op("youtube.upload", "PUT", "/upload/youtube/v3/videos", google(uploads.upload), keeps_partial_body=True),
    _op("youtube.cancel", "DELETE", "/upload/youtube/v3/videos", google(uploads.cancel)),
    _op("youtube.videos", "GET", "/youtube/v3/videos", google(youtube_reading.list_videos)),
    _op("youtube.channels", "GET", "/youtube/v3/channels", google(youtube_reading.list_channels)),
    _op("youtube.playlist_items", "GET", "/youtube/v3/playlistItems", google(youtube_reading.list_items)),
)

STRANGERS = tuple(
    _op(f"{platform}.unknown", method, "/{path:path}", handler)
    for platform, handler in (
        ("instagram", unknown_graph_path),
        ("facebook", unknown_graph_path),
        ("youtube", unknown_google_path),
    )
    for method in ("GET", "POST", "PUT", "DELETE")
)

OPERATIONS = (*INSTAGRAM, *FACEBOOK, *YOUTUBE)

"""What Instagram's publishing codes mean. The subcodes 22070xx are its own; the codes above them vary by document."""

from datetime import timedelta

from services.domain.errors import ErrorCode
from services.domain.publishing import FailureKind
from services.providers.failures import CONTENT, PERMISSION, RETRY, START_ANEW, UNREACHABLE, Rule, wait_for
from services.providers.graph import GRAPH_RULES, Rules

DOWNLOAD_TIMEOUT = Rule(FailureKind.RETRY, ErrorCode.MEDIA_UNREACHABLE, anew=True)
DAILY_LIMIT = wait_for(timedelta(hours=1))  # the window is rolling: a place may come free at any time
BLOCKED = wait_for(timedelta(hours=1))

INSTAGRAM_RULES: Rules = {
    **GRAPH_RULES,
    # The same call again.
    (None, 2207001): RETRY,  # server error
    (None, 2207008): RETRY,  # container not ready: the same one later
    (None, 2207027): RETRY,  # container not ready: the same one later
    # A new container.
    (None, 2207003): DOWNLOAD_TIMEOUT,
    (None, 2207006): START_ANEW,  # container not found
    (None, 2207020): START_ANEW,  # container expired
    (None, 2207032): START_ANEW,  # creation failed
    (None, 2207053): START_ANEW,  # video upload failed
    (None, 2207082): START_ANEW,  # upload failed
    # Not now.
    (None, 2207042): DAILY_LIMIT,
    (None, 2207051): BLOCKED,  # may have gone out nevertheless: media_publish is always asked back
    # Not with this account.
    (None, 2207050): PERMISSION,  # restricted
    # Not with this content.
    (None, 2207004): CONTENT,  # image above 8 MiB
    (None, 2207005): CONTENT,  # image format
    (None, 2207009): CONTENT,  # aspect ratio
    (None, 2207010): CONTENT,  # caption
    (None, 2207023): CONTENT,  # media type
    (None, 2207026): CONTENT,  # video format
    (None, 2207028): CONTENT,  # carousel
    (None, 2207035): CONTENT,  # product tags
    (None, 2207036): CONTENT,  # product tags
    (None, 2207037): CONTENT,  # product tags
    (None, 2207040): CONTENT,  # tags
    (None, 2207052): UNREACHABLE,  # the URL could not be fetched
    (None, 2207057): CONTENT,  # thumb offset
    (None, 2207081): CONTENT,  # no trial reels
}

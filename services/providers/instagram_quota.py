"""What Instagram itself still grants an account: documents name 25, 50 and 100 a day, so that is read, not known."""

from datetime import timedelta

from services.domain.publishing import Delivery
from services.providers.failures import NotDone, not_done
from services.providers.graph import GraphClient
from services.providers.instagram_rules import DAILY_LIMIT
from services.providers.shapes import object_in, objects_in

DAY_SECONDS = 86_400


async def read_quota(graph: GraphClient, delivery: Delivery) -> NotDone | None:
    """The refusal that publishing would meet, because the rolling day's quota is used up; None while it is not, or
    where Instagram does not say."""
    answer = await graph.get(
        f"{delivery.external_account_id}/content_publishing_limit",
        token=delivery.access_token,
        expects="data",
        fields="quota_usage,config",
    )
    if isinstance(answer, NotDone):
        return None
    entry = next(iter(objects_in(answer["data"])), {})
    config = object_in(entry, "config")
    used, total = entry.get("quota_usage"), config.get("quota_total")
    if not isinstance(used, int) or not isinstance(total, int) or used < total:
        return None
    seconds = config.get("quota_duration")
    span = timedelta(seconds=seconds if isinstance(seconds, int) and 0 < seconds <= DAY_SECONDS else DAY_SECONDS)
    message = (
        f"Instagram grants this account {total} publications in {span / timedelta(hours=1):g} hours; all are used."
    )
    return not_done(DAILY_LIMIT, message, platform_code="content_publishing_limit")

"""What happens around every operation, in this order."""

from collections.abc import Callable
from functools import partial

from strawberry.extensions import SchemaExtension

from schema.documents import DocumentCache
from schema.extensions.api_budget import ApiBudgets, Budget
from schema.extensions.error_codes import ErrorCodes
from schema.extensions.limits import Limits
from schema.extensions.persisted import PersistedDocuments, Texts, TrustedDocuments
from schema.extensions.plan import PlanTold
from schema.extensions.request_timeout import RequestTimeout, TimeLimits
from schema.extensions.subscription_slots import SubscriptionCounts, SubscriptionSlots


def list_extensions(
    *,
    documents: DocumentCache,
    times: TimeLimits,
    subscriptions: SubscriptionCounts,
    budget: Budget | None = None,
    texts: Texts | None = None,
    trusted: TrustedDocuments | None = None,
) -> list[Callable[[], SchemaExtension]]:
    """Factories: Strawberry makes one of each per operation. Without a budget nobody is held to one; without texts
    no document is known by its hash."""
    extensions: list[Callable[[], SchemaExtension]] = [
        ErrorCodes,
        *([] if texts is None else [partial(PersistedDocuments, texts=texts, trusted=trusted)]),
        partial(Limits, documents=documents),
        partial(RequestTimeout, limits=times),
        partial(SubscriptionSlots, counts=subscriptions),
        PlanTold,
    ]
    if budget is not None:
        extensions.append(partial(ApiBudgets, budget=budget))
    return extensions

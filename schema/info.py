"""The type of `info` in every resolver of this schema."""

import strawberry

from resolvers.context import Context

Info = strawberry.Info[Context, None]

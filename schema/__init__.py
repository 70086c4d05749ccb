"""Everything GraphQL: types, roots, extensions and the snapshot of the contract."""

import schema.enums  # noqa: F401 — described here, before any type of this floor can use one undescribed

"""Everything GraphQL: types, roots, extensions and the snapshot of the contract."""

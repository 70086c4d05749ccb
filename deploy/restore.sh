#!/usr/bin/env bash
# Restores a backup into the empty database that DATABASE_URL names: deploy/restore.sh crier-2030-01-01.dump
#
# All of it or nothing. No API and no worker may run on that database yet: what was due since the backup may be out already,
# so `python -m app restored` comes first (deploy/README.md).
set -euo pipefail

source=${1:?the file to restore}
url=${DATABASE_URL:?the empty database}
url=${url/postgresql+asyncpg:/postgresql:}

tables="SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
found=$(psql --no-psqlrc --tuples-only --no-align --dbname="$url" --command="$tables") # an end here where nobody answers
if [ "$found" != 0 ]; then
    echo "The database is not empty; nothing was changed." >&2
    exit 1
fi
pg_restore --no-owner --no-privileges --exit-on-error --single-transaction --dbname="$url" "$source"
psql --no-psqlrc --quiet --dbname="$url" --command="ANALYZE"

#!/usr/bin/env bash
# Restores a backup into the empty database that DATABASE_URL names: deploy/restore.sh crier-2030-01-01.dump
#
# All of it or nothing. What was due since the backup may be out already, so the same transaction puts up a fence (fence.sql)
# behind which no API and no worker starts, and none that runs takes a post, before `python -m app restored` has run.
set -euo pipefail

source=${1:?the file to restore}
url=${DATABASE_URL:?the empty database}
url=${url/postgresql+asyncpg:/postgresql:}
here=$(dirname "$0")
ask=(psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname="$url")

tables="SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
found=$("${ask[@]}" --tuples-only --no-align --command="$tables") # an end here where nobody answers
if [ "$found" != 0 ]; then
    echo "The database is not empty; nothing was changed." >&2
    exit 1
fi
# COMMIT is only sent behind the last line of a whole backup: whatever ends before it leaves the database empty.
{
    echo "BEGIN;"
    pg_restore --no-owner --no-privileges --file=- "$source"
    cat "$here/fence.sql"
    echo "COMMIT;"
} | "${ask[@]}" >/dev/null
"${ask[@]}" --command="ANALYZE"
echo "Restored. Nothing is published before: python -m app restored"

#!/usr/bin/env bash
# Writes a whole backup of the database that DATABASE_URL names: deploy/backup.sh crier-2030-01-01.dump
#
# Needs pg_dump and pg_restore of the server's version or newer. The dump is one consistent moment, taken while all runs.
# Tokens in it are sealed: without SECRET_KEYS, kept elsewhere, it opens no account. Redis needs no backup; uploads do, where
# MEDIA_STORE is a folder.
set -euo pipefail

target=${1:?the file to write}
url=${DATABASE_URL:?the database to back up}
url=${url/postgresql+asyncpg:/postgresql:}

umask 077
trap 'rm -f "$target.part"' EXIT
pg_dump --format=custom --no-owner --no-privileges --lock-wait-timeout=10s --file="$target.part" --dbname="$url"
pg_restore --list "$target.part" >/dev/null # it can be read to its end
mv "$target.part" "$target"

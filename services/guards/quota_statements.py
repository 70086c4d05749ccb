"""The SQL behind `services.guards.quotas`.

A row is one delivery's slot in one window. Its call runs while `ended_at` is null or before `taken_at` (the delivery is
sent again after an earlier call); such a slot counts always, an ended one for its window's length after `ended_at`. Of
a process that died in mid-call nobody learns the end: after `:longest_call` its calls count as ended.
"""

from sqlalchemy import TextClause, text


def statement(template: str, *, clock: str) -> TextClause:
    """One of the statements below, with the SQL expression that tells the time all processes go by."""
    return text(template.replace("{live}", _LIVE).replace("{clock}", clock))


LOCK = """
SELECT pg_advisory_xact_lock(key), current_setting('transaction_isolation') AS isolation
FROM unnest(CAST(:keys AS bigint[])) AS key
"""
"""One lock per window, in one order for everybody, until the transaction ends. It must be a statement of its own: what
counts is read after the lock is held, in a snapshot that shows what the lock's last holder has written."""

_LIVE = """
clock AS MATERIALIZED (SELECT {clock} AS now),
windows AS (
    SELECT *
    FROM unnest(CAST(:names AS text[]), CAST(:limits AS int[]), CAST(:lengths AS interval[]))
        WITH ORDINALITY AS w (name, most, length, place)
),
slots AS (
    SELECT w.place, s.delivery, clock.now, w.length + CASE
        WHEN s.ended_at >= s.taken_at THEN s.ended_at
        ELSE s.taken_at + CAST(:longest_call AS interval)
    END AS counts_until, s.ended_at >= s.taken_at IS TRUE AS is_over, w.length
    FROM clock CROSS JOIN windows AS w JOIN quota_slots AS s ON s."window" = w.name
),
live AS MATERIALIZED (
    SELECT place, delivery, CASE WHEN is_over THEN counts_until ELSE least(now + length, counts_until) END AS free_at
    FROM slots
    WHERE counts_until > now
)
"""
"""What counts now. `free_at` takes the calls that still run for ended now: nobody knows better."""

COUNT = """
WITH {live}
SELECT count(live.delivery) AS used,
    (array_agg(live.free_at ORDER BY live.free_at))[greatest(count(live.delivery) - w.most + 1, 1)] AS reset_at,
    clock.now AS as_of
FROM clock CROSS JOIN windows AS w LEFT JOIN live USING (place)
GROUP BY w.place, w.most, clock.now
ORDER BY w.place
"""

TAKE = """
WITH RECURSIVE {live},
room AS (
    SELECT w.place, w.most - count(live.delivery) AS free
    FROM windows AS w LEFT JOIN live USING (place)
    GROUP BY w.place, w.most
),
requests AS (
    -- The windows in which a delivery needs a slot: those where it holds none that counts.
    SELECT d.place, d.delivery,
        coalesce(array_agg(a.place) FILTER (WHERE live.place IS NULL), ARRAY[]::bigint[]) AS needs
    FROM unnest(CAST(:deliveries AS text[])) WITH ORDINALITY AS d (delivery, place)
    JOIN unnest(CAST(:asking AS bigint[]), CAST(:asked AS bigint[])) AS a (delivery_place, place)
        ON a.delivery_place = d.place
    LEFT JOIN live ON live.place = a.place AND live.delivery = d.delivery
    GROUP BY d.place, d.delivery
),
walk AS (
    -- One delivery after the other, oldest first; `spent` lists the windows of the slots given so far.
    SELECT CAST(0 AS bigint) AS place, false AS fits, ARRAY[]::bigint[] AS spent
    UNION ALL
    SELECT r.place, f.fits, CASE WHEN f.fits THEN walk.spent || r.needs ELSE walk.spent END
    FROM walk
    JOIN requests AS r ON r.place = walk.place + 1
    CROSS JOIN LATERAL (
        SELECT NOT EXISTS (
            SELECT FROM room
            WHERE room.place = ANY (r.needs) AND room.free <= cardinality(array_positions(walk.spent, room.place))
        ) AS fits
    ) AS f
),
taking AS (
    INSERT INTO quota_slots ("window", delivery, taken_at)
    SELECT w.name, r.delivery, clock.now
    FROM clock CROSS JOIN walk
    JOIN requests AS r USING (place)
    JOIN unnest(CAST(:asking AS bigint[]), CAST(:asked AS bigint[])) AS a (delivery_place, place)
        ON a.delivery_place = r.place
    JOIN windows AS w ON w.place = a.place
    WHERE walk.fits
    ON CONFLICT ("window", delivery) DO UPDATE
        -- Always after `ended_at`, or a clock that stepped back would make a running call look like an ended one.
        SET taken_at = greatest(excluded.taken_at, quota_slots.ended_at + interval '1 microsecond')
),
blocking AS (
    -- The full windows of those refused, and the how-manieth place to come free each of them waits for.
    SELECT r.place, r.delivery, room.place AS window_place, cardinality(array_positions(walk.spent, room.place))
        - room.free + row_number() OVER (PARTITION BY room.place ORDER BY r.place) AS turn
    FROM walk
    JOIN requests AS r USING (place)
    JOIN room ON room.place = ANY (r.needs) AND room.free <= cardinality(array_positions(walk.spent, room.place))
    WHERE NOT walk.fits
),
freeing AS (
    SELECT place AS window_place, free_at, row_number() OVER (PARTITION BY place ORDER BY free_at) AS turn
    FROM live
),
refusals AS (
    SELECT b.place, b.delivery, b.window_place, coalesce(f.free_at, clock.now + w.length) AS free_at, clock.now
    FROM clock CROSS JOIN blocking AS b
    JOIN windows AS w ON w.place = b.window_place
    LEFT JOIN freeing AS f USING (window_place, turn)
)
SELECT DISTINCT ON (place) delivery, window_place, free_at, extract(epoch FROM free_at - now) AS retry_after
FROM refusals
ORDER BY place, free_at DESC, window_place
"""

END = """
UPDATE quota_slots SET ended_at = greatest({clock}, taken_at)
WHERE delivery = ANY (CAST(:deliveries AS text[])) AND (ended_at IS NULL OR ended_at < taken_at)
"""

GIVE_BACK = """
WITH unused AS (
    DELETE FROM quota_slots WHERE delivery = ANY (CAST(:deliveries AS text[])) AND ended_at IS NULL
)
UPDATE quota_slots SET taken_at = ended_at
WHERE delivery = ANY (CAST(:deliveries AS text[])) AND ended_at < taken_at
"""
"""A delivery that was sent before keeps counting from the end of that earlier call."""

SWEEP = """
DELETE FROM quota_slots WHERE ("window", delivery) IN (
    SELECT "window", delivery FROM quota_slots
    WHERE taken_at < {clock} - CAST(:longest_window AS interval) AND CASE
        WHEN ended_at >= taken_at THEN ended_at
        ELSE taken_at + CAST(:longest_call AS interval)
    END < {clock} - CAST(:longest_window AS interval)
    LIMIT :most
    FOR UPDATE SKIP LOCKED
)
"""

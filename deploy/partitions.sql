-- Divides posts and attempts by month (deploy/capacity.md), and makes the months to come: run it once, then every month.
--
--   psql "$DATABASE_URL" --set=ON_ERROR_STOP=1 --single-transaction --file=deploy/partitions.sql
--
-- Months are told by the ids, whose first 48 bits are the time they were made. What is there when it runs first becomes the
-- part before the coming month, as it is: no row is moved, but both tables are locked while their ids are looked at once.
-- What falls into no month goes to the last part, so that a month that nobody made stops nobody.
CREATE OR REPLACE FUNCTION pg_temp.first_id(month date) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex(1000 * extract(epoch FROM month AT TIME ZONE 'UTC')::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

CREATE OR REPLACE PROCEDURE pg_temp.divide(whole text, months date[]) LANGUAGE plpgsql AS $$
DECLARE
    before text := whole || '_before_' || to_char(months[1], 'YYYY_MM');
    each record;
BEGIN
    EXECUTE format('ALTER TABLE %I RENAME TO %I', whole, before);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (id)', whole, before);
    -- The whole takes over the names of its keys and indexes, which those of the part then belong to.
    FOR each IN SELECT c.relname, pg_get_indexdef(i.indexrelid) AS definition, i.indisprimary
                FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = before::regclass LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', each.relname, left(each.relname, 50) || '_before');
        IF each.indisprimary THEN
            EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I PRIMARY KEY (id)', whole, each.relname);
        ELSE
            EXECUTE replace(each.definition, format(' ON public.%I ', before), format(' ON public.%I ', whole));
        END IF;
    END LOOP;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)',
        whole, before, pg_temp.first_id(months[1]));
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', whole || '_later', whole);
    -- Keys to and from other tables, and triggers, are the whole's; its parts have them from it.
    FOR each IN SELECT conrelid::regclass AS owner, conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
                WHERE contype = 'f' AND conparentid = 0 AND before::regclass IN (conrelid, confrelid) LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.owner, each.conname);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s',
            CASE WHEN each.owner = before::regclass THEN whole ELSE each.owner::text END, each.conname,
            replace(each.definition, format('REFERENCES %I(', before), format('REFERENCES %I(', whole)));
    END LOOP;
    FOR each IN SELECT tgname, pg_get_triggerdef(oid) AS definition FROM pg_trigger
                WHERE tgrelid = before::regclass AND NOT tgisinternal LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', each.tgname, before);
        EXECUTE replace(each.definition, format(' ON public.%I ', before), format(' ON public.%I ', whole));
    END LOOP;
END
$$;

DO $$
DECLARE
    -- From the coming month on, for a year.
    months date[] := ARRAY(SELECT generate_series(1, 13) * interval '1 month' + date_trunc('month', now() AT TIME ZONE 'UTC'));
    whole text;
    month date;
BEGIN
    FOREACH whole IN ARRAY ARRAY['posts', 'attempts'] LOOP
        IF (SELECT relkind FROM pg_class WHERE oid = whole::regclass) = 'r' THEN
            CALL pg_temp.divide(whole, months);
        END IF;
        FOREACH month IN ARRAY months LOOP
            EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                whole || '_' || to_char(month, 'YYYY_MM'), whole,
                pg_temp.first_id(month), pg_temp.first_id((month + interval '1 month')::date));
        END LOOP;
    END LOOP;
END
$$;

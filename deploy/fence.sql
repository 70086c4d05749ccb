-- Until `python -m app restored` has run, no worker takes a post from a database that was restored: what was due since the
-- backup may be out already. restore.sh puts this up in the restore's own transaction; who restores by other means (a
-- snapshot, an archived log) runs it with psql before anything else may reach the database.
CREATE OR REPLACE FUNCTION public.refuse_until_restored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'this database was restored from a backup: stop all API processes and workers and run `python -m app restored`'
        USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;
CREATE OR REPLACE TRIGGER refuse_until_restored
    BEFORE UPDATE OF status, lease, next_attempt_at ON public.post_targets
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_until_restored();

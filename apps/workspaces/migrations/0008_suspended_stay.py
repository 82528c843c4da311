from django.db import migrations

# As in 0005, but what operators have suspended stays, its log too: they look into it.
TO_PURGE = """
CREATE OR REPLACE FUNCTION workspaces_to_purge(at_most integer)
RETURNS TABLE (workspace_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('app.sweeping', 'on', true);
    RETURN QUERY
        SELECT w.id FROM public.workspaces_workspace w WHERE w.delete_at <= clock_timestamp(){stay}
        ORDER BY w.delete_at LIMIT at_most;
    PERFORM set_config('app.sweeping', '', true);
END
$$
"""
REFUSE_DELETE = """
CREATE OR REPLACE FUNCTION refuse_audit_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF EXISTS (
        SELECT FROM workspaces_workspace w WHERE w.id = OLD.workspace_id AND w.delete_at <= clock_timestamp(){stay}
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'A row of % is written once and never deleted.', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'refuse_audit_delete';
END
$$
"""
STAY = " AND w.suspended_at IS NULL"


class Migration(migrations.Migration):

    dependencies = [("workspaces", "0007_suspension")]

    operations = [
        migrations.RunSQL(statement.replace("{stay}", STAY), statement.replace("{stay}", ""))
        for statement in (TO_PURGE, REFUSE_DELETE)
    ]

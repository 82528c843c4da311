from django.db import migrations, models

from apps.workspaces.operations import AddReadPolicy

SWEEPING = "current_setting('app.sweeping', true) = 'on'"

OLD_DUE = """
CREATE FUNCTION webhooks_due(at_most integer)
RETURNS TABLE (workspace_id uuid, delivery_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('app.sweeping', 'on', true);
    RETURN QUERY
        SELECT waiting.workspace_id, waiting.id FROM (
            SELECT d.workspace_id, d.id, d.due_at,
                row_number() OVER (PARTITION BY d.webhook_id ORDER BY d.due_at, d.id) AS turn
            FROM public.webhooks_webhookdelivery d WHERE d.state = 'pending' AND d.due_at <= statement_timestamp()
        ) waiting
        ORDER BY waiting.turn, waiting.due_at LIMIT at_most;
    PERFORM set_config('app.sweeping', '', true);
END
$$
"""

# Ids only, of every workspace. What is under way counts as turns that were had, so nobody holds more hands than the
# limits say, and of those that hold fewer the next is taken.
DUE = """
CREATE FUNCTION webhooks_due(
    at_most integer, per_webhook integer, per_workspace integer,
    busy_workspaces uuid[], busy_webhooks uuid[], busy_deliveries uuid[]
)
RETURNS TABLE (workspace_id uuid, webhook_id uuid, delivery_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('app.sweeping', 'on', true);
    RETURN QUERY
        WITH waiting AS (
            SELECT d.workspace_id, d.webhook_id, d.id, d.due_at,
                coalesce(cardinality(array_positions(busy_webhooks, d.webhook_id)), 0)
                + row_number() OVER (PARTITION BY d.webhook_id ORDER BY d.due_at, d.id) AS turn
            FROM public.webhooks_webhookdelivery d
            WHERE d.state = 'pending' AND d.due_at <= statement_timestamp() AND d.id <> ALL (busy_deliveries)
        ), turns AS (
            SELECT w.*,
                coalesce(cardinality(array_positions(busy_workspaces, w.workspace_id)), 0)
                + row_number() OVER (PARTITION BY w.workspace_id ORDER BY w.turn, w.due_at, w.id) AS workspace_turn
            FROM waiting w WHERE per_webhook IS NULL OR w.turn <= per_webhook
        )
        SELECT t.workspace_id, t.webhook_id, t.id FROM turns t
        WHERE per_workspace IS NULL OR t.workspace_turn <= per_workspace
        ORDER BY t.workspace_turn, t.due_at, t.id LIMIT at_most;
    PERFORM set_config('app.sweeping', '', true);
END
$$
"""
NEW_DUE = "webhooks_due(integer, integer, integer, uuid[], uuid[], uuid[])"

EVERYWHERE = """
CREATE FUNCTION webhooks_everywhere()
RETURNS TABLE (workspace_id uuid, webhook_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('app.sweeping', 'on', true);
    RETURN QUERY SELECT w.workspace_id, w.id FROM public.webhooks_webhook w ORDER BY w.id;
    PERFORM set_config('app.sweeping', '', true);
END
$$
"""

# The policies would hide the rows from whoever migrates.
KEEP_OLD_SECRETS = """
ALTER TABLE webhooks_webhook NO FORCE ROW LEVEL SECURITY;
UPDATE webhooks_webhook
SET old_secrets = jsonb_build_array(jsonb_build_object('secret', old_secret, 'until', old_until))
WHERE old_secret <> '' AND old_until > now();
ALTER TABLE webhooks_webhook FORCE ROW LEVEL SECURITY;
"""
PUT_BACK_OLD_SECRETS = """
ALTER TABLE webhooks_webhook NO FORCE ROW LEVEL SECURITY;
UPDATE webhooks_webhook
SET old_secret = old_secrets -> 0 ->> 'secret', old_until = (old_secrets -> 0 ->> 'until')::timestamptz
WHERE jsonb_array_length(old_secrets) > 0;
ALTER TABLE webhooks_webhook FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="webhook",
            name="old_secrets",
            field=models.JSONField(
                default=list,
                editable=False,
                help_text="[{secret, until}] that sign too until then, the newest first.",
            ),
        ),
        migrations.RunSQL(KEEP_OLD_SECRETS, PUT_BACK_OLD_SECRETS),
        migrations.RemoveField(model_name="webhook", name="old_secret"),
        migrations.RemoveField(model_name="webhook", name="old_until"),
        migrations.AddField(
            model_name="webhookdelivery",
            name="failure",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Why it was given up, where the log of its tries does not say so.",
                max_length=300,
            ),
            preserve_default=False,
        ),
        AddReadPolicy("Webhook", "sweeping", SWEEPING, owner_only=True),
        migrations.RunSQL("DROP FUNCTION webhooks_due(integer)", OLD_DUE),
        migrations.RunSQL(DUE, f"DROP FUNCTION {NEW_DUE}"),
        migrations.RunSQL(EVERYWHERE, "DROP FUNCTION webhooks_everywhere()"),
        migrations.RunSQL(
            f"REVOKE EXECUTE ON FUNCTION {NEW_DUE}, webhooks_everywhere() FROM PUBLIC", migrations.RunSQL.noop
        ),
    ]

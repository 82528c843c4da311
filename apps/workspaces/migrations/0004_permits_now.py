from django.db import migrations

from apps.workspaces.operations import AddReadPolicy

LOOKING = "current_setting('app.looking_at_permits', true) = 'on'"

# For those who look after open sockets: whether somebody is still a member (by a key, when one is named, that is still
# the person's and not over), for many at once and in whatever workspaces. Tells slug and role of those that were named.
PERMITS_NOW = """
CREATE FUNCTION permits_now(workspaces uuid[], people uuid[], keys uuid[])
RETURNS TABLE (number bigint, slug varchar, role varchar)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('app.looking_at_permits', 'on', true);
    RETURN QUERY
        SELECT asked.place, w.slug, m.role
        FROM unnest(workspaces, people, keys) WITH ORDINALITY AS asked (workspace_id, user_id, key_id, place)
        JOIN public.workspaces_workspace w ON w.id = asked.workspace_id
        JOIN public.workspaces_membership m ON m.workspace_id = asked.workspace_id AND m.user_id = asked.user_id
        WHERE asked.key_id IS NULL OR EXISTS (
            SELECT FROM public.workspaces_apikey k
            WHERE k.id = asked.key_id AND k.workspace_id = asked.workspace_id AND k.user_id = asked.user_id
                AND (k.expires_at IS NULL OR k.expires_at > now())
        );
    PERFORM set_config('app.looking_at_permits', '', true);
END
$$
"""


class Migration(migrations.Migration):

    dependencies = [('workspaces', '0003_api_keys')]

    operations = [
        *(
            AddReadPolicy(name, 'looking_at_permits', LOOKING, owner_only=True)
            for name in ('Workspace', 'Membership', 'ApiKey')
        ),
        migrations.RunSQL(PERMITS_NOW, 'DROP FUNCTION permits_now(uuid[], uuid[], uuid[])'),
        migrations.RunSQL(
            'REVOKE EXECUTE ON FUNCTION permits_now(uuid[], uuid[], uuid[]) FROM PUBLIC', migrations.RunSQL.noop
        ),
    ]

from django.db import migrations, models

# As in 0004, and what the workspace asks of those who enter.
PERMITS_NOW = """
CREATE FUNCTION permits_now(workspaces uuid[], people uuid[], keys uuid[])
RETURNS TABLE (number bigint, slug varchar, role varchar{column})
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('app.looking_at_permits', 'on', true);
    RETURN QUERY
        SELECT asked.place, w.slug, m.role{value}
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
DROP = 'DROP FUNCTION permits_now(uuid[], uuid[], uuid[])'
REVOKE = 'REVOKE EXECUTE ON FUNCTION permits_now(uuid[], uuid[], uuid[]) FROM PUBLIC'
BEFORE = PERMITS_NOW.format(column='', value='')
NOW = PERMITS_NOW.format(column=', require_mfa boolean', value=', w.require_mfa')


class Migration(migrations.Migration):

    dependencies = [('workspaces', '0005_members')]

    operations = [
        migrations.AddField(
            model_name='workspace',
            name='require_mfa',
            field=models.BooleanField(
                default=False, help_text='Only members with two-step sign-in enter; API keys are not asked.'
            ),
        ),
        migrations.RunSQL([DROP, NOW, REVOKE], [DROP, BEFORE, REVOKE]),
    ]

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from apps.workspaces.operations import RefuseUpdates

# Operators look across workspaces by the functions below and by nothing else. They run with the rights of the tables'
# owner, whom these policies let read while the functions' own setting says so; the application's role, setting or not,
# is held to one workspace as before. Each function first sees that it is asked by an operator, and writes that it was.
OPERATING = "current_setting('app.operating', true) = 'on'"
TABLES = ('workspaces_workspace', 'workspaces_membership', 'workspaces_auditevent', 'runs_run')

ENTERS = """
CREATE FUNCTION operator_enters(who uuid, what text, facts jsonb, request text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.accounts_user u
        WHERE u.id = who AND u.is_staff AND u.is_active AND u.mfa_since IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'Only an operator with two-step sign-in looks across workspaces.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO public.console_operatorevent
        (id, operator_id, action, object_type, object_id, reason, data, request_id, at)
    VALUES (gen_random_uuid(), who, what, '', '', '', jsonb_strip_nulls(facts), left(request, 64), clock_timestamp());
    PERFORM set_config('app.operating', 'on', true);
END
$$
"""
WORKSPACES = """
CREATE FUNCTION operator_workspaces(who uuid, request text, sought text, standing text, at_most integer, skipped integer)
RETURNS TABLE (id uuid, slug varchar, name varchar, personal boolean, created_at timestamptz, delete_at timestamptz,
    suspended_at timestamptz, members bigint, active_runs bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.operator_enters(
        who, 'workspaces.list', jsonb_build_object('sought', nullif(sought, ''), 'standing', nullif(standing, '')), request
    );
    RETURN QUERY
        SELECT w.id, w.slug, w.name, w.personal, w.created_at, w.delete_at, w.suspended_at,
            (SELECT count(*) FROM public.workspaces_membership m WHERE m.workspace_id = w.id),
            (SELECT count(*) FROM public.runs_run r WHERE r.workspace_id = w.id AND r.state IN ('queued', 'running'))
        FROM public.workspaces_workspace w
        WHERE (sought = '' OR w.id::text = sought OR position(lower(sought) IN lower(w.slug || ' ' || w.name)) > 0
                OR EXISTS (
                    SELECT FROM public.workspaces_membership m JOIN public.accounts_user u ON u.id = m.user_id
                    WHERE m.workspace_id = w.id AND (u.email = lower(sought) OR u.id::text = sought)
                ))
            AND CASE standing
                WHEN 'suspended' THEN w.suspended_at IS NOT NULL
                WHEN 'closing' THEN w.delete_at IS NOT NULL
                WHEN 'open' THEN w.suspended_at IS NULL AND w.delete_at IS NULL
                ELSE true
            END
        ORDER BY w.created_at DESC, w.id LIMIT at_most OFFSET skipped;
    PERFORM set_config('app.operating', '', true);
END
$$
"""
RUNS = """
CREATE FUNCTION operator_runs(who uuid, request text, at_workspace uuid, in_state text, of_kind text, failed_by text,
    since timestamptz, till timestamptz, at_most integer, skipped integer)
RETURNS TABLE (id uuid, workspace_id uuid, slug varchar, workspace varchar, kind varchar, state varchar,
    paused boolean, progress double precision, attempts integer, failure text, submitted_by varchar,
    created_at timestamptz, finished_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.operator_enters(
        who, 'runs.list',
        jsonb_build_object('workspace', at_workspace, 'state', nullif(in_state, ''), 'kind', nullif(of_kind, ''),
            'failure', nullif(failed_by, ''), 'after', since, 'before', till),
        request
    );
    RETURN QUERY
        SELECT r.id, r.workspace_id, w.slug, w.name, r.kind, r.state, r.paused, r.progress, r.fence::integer,
            r.error ->> 'code', u.email, r.created_at, r.finished_at
        FROM public.runs_run r
        JOIN public.workspaces_workspace w ON w.id = r.workspace_id
        LEFT JOIN public.accounts_user u ON u.id = r.created_by_id
        WHERE (at_workspace IS NULL OR r.workspace_id = at_workspace)
            AND (in_state = '' OR r.state = in_state) AND (of_kind = '' OR r.kind = of_kind)
            AND (failed_by = '' OR r.error ->> 'code' = failed_by)
            AND (since IS NULL OR r.created_at >= since) AND (till IS NULL OR r.created_at < till)
        ORDER BY r.created_at DESC, r.id LIMIT at_most OFFSET skipped;
    PERFORM set_config('app.operating', '', true);
END
$$
"""
AUDIT = """
CREATE FUNCTION operator_audit(who uuid, request text, at_workspace uuid, person text, act text, object text,
    since timestamptz, till timestamptz, at_most integer, skipped integer)
RETURNS TABLE (id uuid, at timestamptz, workspace_id uuid, slug varchar, action varchar, actor varchar, key uuid,
    object_type varchar, object_id varchar, request_id varchar, data jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM public.operator_enters(
        who, 'audit.search',
        jsonb_build_object('workspace', at_workspace, 'person', nullif(person, ''), 'action', nullif(act, ''),
            'object', nullif(object, ''), 'after', since, 'before', till),
        request
    );
    RETURN QUERY
        SELECT e.id, e.at, e.workspace_id, w.slug, e.action, u.email, e.key, e.object_type, e.object_id, e.request_id,
            e.data
        FROM public.workspaces_auditevent e
        JOIN public.workspaces_workspace w ON w.id = e.workspace_id
        LEFT JOIN public.accounts_user u ON u.id = e.actor_id
        WHERE (at_workspace IS NULL OR e.workspace_id = at_workspace)
            AND (person = '' OR u.email = lower(person)) AND (act = '' OR e.action = act OR e.action LIKE act || '.%')
            AND (object = '' OR e.object_id = object)
            AND (since IS NULL OR e.at >= since) AND (till IS NULL OR e.at < till)
        ORDER BY e.at DESC, e.id DESC LIMIT at_most OFFSET skipped;
    PERFORM set_config('app.operating', '', true);
END
$$
"""
FUNCTIONS = {
    'operator_enters(uuid, text, jsonb, text)': ENTERS,
    'operator_workspaces(uuid, text, text, text, integer, integer)': WORKSPACES,
    'operator_runs(uuid, text, uuid, text, text, text, timestamptz, timestamptz, integer, integer)': RUNS,
    'operator_audit(uuid, text, uuid, text, text, text, timestamptz, timestamptz, integer, integer)': AUDIT,
}
REFUSE_DELETE = """
CREATE FUNCTION refuse_operator_event_delete() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public AS $$
BEGIN
    RAISE EXCEPTION 'A row of % is written once and never deleted.', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'refuse_operator_event_delete';
END
$$
"""
TRIGGER = """
CREATE TRIGGER refuse_operator_event_delete BEFORE DELETE ON console_operatorevent
FOR EACH ROW EXECUTE FUNCTION refuse_operator_event_delete()
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0003_profile'),
        ('workspaces', '0007_suspension'),
        ('runs', '0011_late_checkpoints'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='OperatorEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('action', models.CharField(max_length=60)),
                ('object_type', models.CharField(blank=True, max_length=60)),
                ('object_id', models.CharField(blank=True, max_length=64)),
                ('reason', models.CharField(blank=True, help_text='As the operator gave it; looks need none.', max_length=500)),
                ('data', models.JSONField(default=dict)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('address', models.GenericIPAddressField(null=True)),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('operator', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'permissions': (
                    ('look', 'Look at workspaces and runs'),
                    ('manage_people', 'Deactivate people, sign them out, reset their two-step sign-in'),
                    ('manage_workspaces', 'Suspend workspaces, change quotas, end the grace of a deletion'),
                    ('manage_runs', 'Cancel runs and queue them again'),
                    ('read_audit', 'Read and export the logs'),
                    ('manage_site', 'Change feature flags and banners'),
                    ('impersonate', "Act in somebody's name"),
                ),
                'default_permissions': (),
                'indexes': [
                    models.Index(fields=['-at', '-id'], name='console_event_newest'),
                    models.Index(fields=['object_id', '-at'], name='console_event_object'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Impersonation',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('reason', models.CharField(max_length=500)),
                ('began_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('until', models.DateTimeField(help_text='It ends then by itself.')),
                ('ended_at', models.DateTimeField(null=True)),
                ('operator', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'default_permissions': (),
                'indexes': [
                    models.Index(condition=models.Q(('ended_at', None)), fields=['until'], name='console_impersonation_open')
                ],
                'constraints': [
                    models.CheckConstraint(
                        condition=models.Q(('operator', models.F('user')), _negated=True),
                        name='console_impersonation_of_another',
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name='Flag',
            fields=[
                ('name', models.CharField(max_length=60, primary_key=True, serialize=False)),
                ('on', models.BooleanField(help_text='For every workspace that is not named below.')),
                ('workspaces', models.JSONField(default=dict, help_text='By id, where it is otherwise: true or false.')),
                ('changed_at', models.DateTimeField(auto_now=True)),
            ],
            options={'default_permissions': ()},
        ),
        migrations.CreateModel(
            name='Banner',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('text', models.CharField(max_length=500)),
                ('severity', models.CharField(choices=[('info', 'For information'), ('warning', 'A warning'), ('critical', 'Urgent')], default='info', max_length=10)),
                ('begins_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('ends_at', models.DateTimeField(blank=True, help_text='Empty: until it is taken down.', null=True)),
                ('dismissible', models.BooleanField(default=True, help_text='Whether a reader can put it away.')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'default_permissions': (),
                'constraints': [
                    models.CheckConstraint(
                        condition=models.Q(('severity__in', ['info', 'warning', 'critical'])),
                        name='console_banner_severity',
                    ),
                    models.CheckConstraint(
                        condition=models.Q(('ends_at__isnull', True), ('ends_at__gte', models.F('begins_at')), _connector='OR'),
                        name='console_banner_times',
                    ),
                ],
            },
        ),
        RefuseUpdates('OperatorEvent', except_columns=('operator_id',)),
        migrations.RunSQL(REFUSE_DELETE, 'DROP FUNCTION refuse_operator_event_delete()'),
        migrations.RunSQL(TRIGGER, 'DROP TRIGGER refuse_operator_event_delete ON console_operatorevent'),
        *(
            migrations.RunSQL(
                f'CREATE POLICY operating ON "{table}" FOR SELECT TO CURRENT_USER USING ({OPERATING})',
                f'DROP POLICY operating ON "{table}"',
            )
            for table in TABLES
        ),
        *(migrations.RunSQL(text, f'DROP FUNCTION {name}') for name, text in FUNCTIONS.items()),
        *(
            migrations.RunSQL(f'REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC', migrations.RunSQL.noop)
            for name in FUNCTIONS
        ),
        # Called by the others only: alone it would leave the setting on, which moves nobody but their owner.
        migrations.RunSQL(
            """DO $$
DECLARE grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT pg_get_userbyid(a.grantee) FROM pg_proc p, aclexplode(p.proacl) a
        WHERE p.proname = 'operator_enters' AND a.grantee <> 0 AND a.grantee <> p.proowner
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION operator_enters(uuid, text, jsonb, text) FROM %I', grantee);
    END LOOP;
END $$""",
            migrations.RunSQL.noop,
        ),
    ]

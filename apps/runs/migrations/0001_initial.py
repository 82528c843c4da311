import apps.workspaces.rows
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

from apps.workspaces.operations import (
    AddCompositeForeignKey,
    AddReadPolicy,
    EnableRowLevelSecurity,
    RefuseUpdates,
)

# The table of steps is the one of apps/runs/transitions.py. A finished run is frozen, except that the reference to the
# person who made it is emptied with the account.
GUARD = """
CREATE FUNCTION guard_run() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'queued' THEN
            RAISE EXCEPTION 'A run begins queued, not %.', NEW.state
                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'runs_run_guard';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state IN ('succeeded', 'failed', 'cancelled') THEN
        IF to_jsonb(NEW) - 'created_by_id' IS DISTINCT FROM to_jsonb(OLD) - 'created_by_id' THEN
            RAISE EXCEPTION 'The run is % and final.', OLD.state
                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'runs_run_guard';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('queued', 'running'), ('queued', 'failed'), ('queued', 'cancelled'),
        ('running', 'succeeded'), ('running', 'failed'), ('running', 'cancelled')
    ) THEN
        RAISE EXCEPTION 'A run cannot go from % to %.', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'runs_run_guard';
    END IF;
    IF NEW.fence < OLD.fence OR NEW.last_event < OLD.last_event OR NEW.last_command < OLD.last_command THEN
        RAISE EXCEPTION 'The counters of a run only grow.'
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'runs_run_guard';
    END IF;
    IF (NEW.workspace_id, NEW.project_id, NEW.graph_version_id, NEW.seed, NEW.ticks)
        IS DISTINCT FROM (OLD.workspace_id, OLD.project_id, OLD.graph_version_id, OLD.seed, OLD.ticks) THEN
        RAISE EXCEPTION 'What a run computes is fixed when it is submitted.'
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'runs_run_guard';
    END IF;
    RETURN NEW;
END
$$
"""
GUARD_TRIGGER = """
CREATE TRIGGER runs_run_guard BEFORE INSERT OR UPDATE ON runs_run FOR EACH ROW EXECUTE FUNCTION guard_run()
"""

# The sweeper looks after the runs of every workspace and must not see what is in them: these two functions run with
# the rights of the tables' owner, whom a policy lets read while the functions' own setting says so, and give ids only.
# (The setting is set inside: naming one that the server does not know in CREATE FUNCTION needs a superuser.)
SWEEPING = "current_setting('app.sweeping', true) = 'on'"
EXPIRED = """
CREATE FUNCTION runs_with_expired_lease(at_most integer)
RETURNS TABLE (workspace_id uuid, run_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('app.sweeping', 'on', true);
    RETURN QUERY
        SELECT r.workspace_id, r.id
        FROM public.runs_run r JOIN public.runs_runattempt a ON a.run_id = r.id AND a.number = r.fence
        WHERE r.state = 'running' AND a.lease_expires_at < statement_timestamp()
        ORDER BY a.lease_expires_at LIMIT at_most;
    PERFORM set_config('app.sweeping', '', true);
END
$$
"""
UNSENT = """
CREATE FUNCTION runs_queued_for(seconds double precision, at_most integer)
RETURNS TABLE (workspace_id uuid, run_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('app.sweeping', 'on', true);
    RETURN QUERY
        SELECT r.workspace_id, r.id FROM public.runs_run r
        WHERE r.state = 'queued' AND r.queued_at < statement_timestamp() - make_interval(secs => seconds)
        ORDER BY r.queued_at LIMIT at_most;
    PERFORM set_config('app.sweeping', '', true);
END
$$
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('projects', '0001_initial'),
        ('workspaces', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Run',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=10)),
                ('paused', models.BooleanField(default=False)),
                ('seed', models.BigIntegerField(help_text='Non-negative, below 2^63.')),
                ('ticks', models.PositiveBigIntegerField(help_text='Length of the run; one tick is 1/100 s.')),
                ('tick', models.PositiveBigIntegerField(default=0)),
                ('progress', models.FloatField(default=0.0, help_text='0 to 1.')),
                ('eta_s', models.FloatField(help_text='Seconds left, as estimated by the worker.', null=True)),
                ('ticks_per_s', models.FloatField(null=True)),
                ('memory_bytes', models.BigIntegerField(help_text='Estimated by the plan when submitted.')),
                ('flops', models.FloatField(help_text='Estimated work of all ticks when submitted.')),
                ('error', models.JSONField(help_text='{code, node, tick, message, mend}', null=True)),
                ('result', models.JSONField(null=True)),
                ('result_hash', models.CharField(blank=True, max_length=80)),
                ('manifest', models.JSONField(default=dict)),
                ('fence', models.PositiveIntegerField(default=0, editable=False)),
                ('last_event', models.PositiveBigIntegerField(default=0, editable=False)),
                ('last_command', models.PositiveIntegerField(default=0, editable=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('queued_at', models.DateTimeField(default=django.utils.timezone.now, help_text='When its message was last sent.')),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('created_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('graph_version', apps.workspaces.rows.OwnedForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='projects.graphversion')),
                ('project', apps.workspaces.rows.OwnedForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='projects.project')),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='RunAttempt',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveIntegerField()),
                ('state', models.CharField(choices=[('running', 'Running'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('lost', 'Lost')], default='running', max_length=10)),
                ('worker', models.CharField(max_length=200)),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('heartbeat_at', models.DateTimeField()),
                ('lease_expires_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(null=True)),
                ('run', apps.workspaces.rows.OwnedForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='attempts', to='runs.run')),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='RunCommand',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('seq', models.PositiveIntegerField()),
                ('kind', models.CharField(choices=[('cancel', 'Cancel'), ('pause', 'Pause'), ('resume', 'Resume'), ('control', 'Set a control'), ('trigger', 'Fire a trigger')], max_length=10)),
                ('payload', models.JSONField(default=dict, help_text='control: {"target": "node.param", "value": …}; trigger: {"target": "node.port"}')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('applied_at', models.DateTimeField(null=True)),
                ('applied_tick', models.PositiveBigIntegerField(null=True)),
                ('refusal', models.JSONField(help_text='Why the worker did not apply it: {place, message, mend}', null=True)),
                ('created_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('run', apps.workspaces.rows.OwnedForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='commands', to='runs.run')),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'ordering': ('seq',),
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='RunEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('seq', models.PositiveBigIntegerField()),
                ('kind', models.CharField(choices=[('status', 'Status'), ('log', 'Log'), ('error', 'Error'), ('control', 'Control'), ('metric', 'Metric'), ('result', 'Result')], max_length=10)),
                ('tick', models.PositiveBigIntegerField(help_text="Null when it happened outside the run's clock.", null=True)),
                ('payload', models.JSONField(default=dict)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('run', apps.workspaces.rows.OwnedForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='runs.run')),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'ordering': ('seq',),
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(fields=['workspace', '-created_at'], name='runs_run_created'),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(fields=['project', '-created_at'], name='runs_run_project'),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(condition=models.Q(('state__in', ['queued', 'running'])), fields=['state', 'queued_at'], name='runs_run_active'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.UniqueConstraint(fields=('workspace', 'id'), name='runs_run_workspace_id'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'running', 'succeeded', 'failed', 'cancelled'])), name='runs_run_state'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(('seed__gte', 0)), name='runs_run_seed'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(('ticks__gte', 1)), name='runs_run_ticks'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(('tick__lte', models.F('ticks'))), name='runs_run_tick'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(('progress__gte', 0.0), ('progress__lte', 1.0)), name='runs_run_progress'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', False), ('state__in', ['cancelled', 'failed', 'succeeded'])), models.Q(('finished_at__isnull', True), ('state__in', ['queued', 'running'])), _connector='OR'), name='runs_run_finished'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('error__isnull', False), ('state', 'failed')), models.Q(models.Q(('state', 'failed'), _negated=True), ('error__isnull', True)), _connector='OR'), name='runs_run_error'),
        ),
        migrations.AddConstraint(
            model_name='runattempt',
            constraint=models.UniqueConstraint(fields=('workspace', 'id'), name='runs_runattempt_workspace_id'),
        ),
        migrations.AddConstraint(
            model_name='runattempt',
            constraint=models.UniqueConstraint(fields=('run', 'number'), name='runs_runattempt_number'),
        ),
        migrations.AddConstraint(
            model_name='runattempt',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['running', 'succeeded', 'failed', 'cancelled', 'lost'])), name='runs_runattempt_state'),
        ),
        migrations.AddConstraint(
            model_name='runcommand',
            constraint=models.UniqueConstraint(fields=('workspace', 'id'), name='runs_runcommand_workspace_id'),
        ),
        migrations.AddConstraint(
            model_name='runcommand',
            constraint=models.UniqueConstraint(fields=('run', 'seq'), name='runs_runcommand_seq'),
        ),
        migrations.AddConstraint(
            model_name='runcommand',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['cancel', 'pause', 'resume', 'control', 'trigger'])), name='runs_runcommand_kind'),
        ),
        migrations.AddConstraint(
            model_name='runevent',
            constraint=models.UniqueConstraint(fields=('workspace', 'id'), name='runs_runevent_workspace_id'),
        ),
        migrations.AddConstraint(
            model_name='runevent',
            constraint=models.UniqueConstraint(fields=('run', 'seq'), name='runs_runevent_seq'),
        ),
        migrations.AddConstraint(
            model_name='runevent',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['status', 'log', 'error', 'control', 'metric', 'result'])), name='runs_runevent_kind'),
        ),
        *[EnableRowLevelSecurity(model) for model in ('Run', 'RunAttempt', 'RunEvent', 'RunCommand')],
        AddCompositeForeignKey('Run', 'project'),
        AddCompositeForeignKey('Run', 'graph_version'),
        AddCompositeForeignKey('RunAttempt', 'run'),
        AddCompositeForeignKey('RunEvent', 'run'),
        AddCompositeForeignKey('RunCommand', 'run'),
        RefuseUpdates('RunEvent'),
        migrations.RunSQL(GUARD, 'DROP FUNCTION guard_run()'),
        migrations.RunSQL(GUARD_TRIGGER, 'DROP TRIGGER runs_run_guard ON runs_run'),
        AddReadPolicy('Run', 'sweeping', SWEEPING, owner_only=True),
        AddReadPolicy('RunAttempt', 'sweeping', SWEEPING, owner_only=True),
        migrations.RunSQL(EXPIRED, 'DROP FUNCTION runs_with_expired_lease(integer)'),
        migrations.RunSQL(UNSENT, 'DROP FUNCTION runs_queued_for(double precision, integer)'),
        migrations.RunSQL(
            'REVOKE EXECUTE ON FUNCTION runs_with_expired_lease(integer), '
            'runs_queued_for(double precision, integer) FROM PUBLIC',
            migrations.RunSQL.noop,
        ),
    ]

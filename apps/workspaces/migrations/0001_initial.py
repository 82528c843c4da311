import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

from apps.workspaces.operations import USER_SETTING, AddReadPolicy, EnableRowLevelSecurity, RefuseUpdates

REFUSE_UPDATE = """
CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    exempt text[] := coalesce(TG_ARGV, '{}');  -- null when the trigger has no arguments
BEGIN
    IF to_jsonb(NEW) - exempt IS DISTINCT FROM to_jsonb(OLD) - exempt THEN
        RAISE EXCEPTION 'A row of % is written once and never changed.', TG_TABLE_NAME
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'refuse_update';
    END IF;
    RETURN NEW;
END
$$
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Workspace',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('slug', models.SlugField(max_length=60, unique=True)),
                ('name', models.CharField(max_length=160)),
                ('personal', models.BooleanField(default=False, editable=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(choices=[('owner', 'Owner'), ('admin', 'Administrator'), ('editor', 'Editor'), ('viewer', 'Viewer'), ('api', 'API client')], max_length=10)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('workspace', 'id'), name='workspaces_membership_workspace_id'), models.UniqueConstraint(fields=('workspace', 'user'), name='workspaces_membership_once'), models.CheckConstraint(condition=models.Q(('role__in', ['owner', 'admin', 'editor', 'viewer', 'api'])), name='workspaces_membership_role')],
            },
        ),
        migrations.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('action', models.CharField(max_length=60)),
                ('object_type', models.CharField(max_length=60)),
                ('object_id', models.CharField(max_length=64)),
                ('data', models.JSONField(default=dict)),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('actor', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', '-at'], name='workspaces_audit_at')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'id'), name='workspaces_auditevent_workspace_id')],
            },
        ),
        migrations.RunSQL(REFUSE_UPDATE, "DROP FUNCTION refuse_update()"),
        EnableRowLevelSecurity('Workspace', column='id'),
        EnableRowLevelSecurity('Membership'),
        EnableRowLevelSecurity('AuditEvent'),
        # A person finds the own workspaces before any of them is the one in force.
        AddReadPolicy('Membership', 'own_membership', f'user_id = {USER_SETTING}'),
        AddReadPolicy(
            'Workspace',
            'member_workspace',
            f'id IN (SELECT workspace_id FROM workspaces_membership WHERE user_id = {USER_SETTING})',
        ),
        RefuseUpdates('AuditEvent', except_columns=('actor_id',)),
    ]

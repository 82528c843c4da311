import apps.workspaces.rows
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


from apps.workspaces.operations import AddCompositeForeignKey, AddReadPolicy, EnableRowLevelSecurity, RefuseUpdates

# For the courier, as the functions of the sweeper: ids only, of every workspace. Addresses take turns.
SWEEPING = "current_setting('app.sweeping', true) = 'on'"
DUE = """
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
OUTDATED = """
CREATE FUNCTION webhooks_outdated(days double precision, at_most integer)
RETURNS TABLE (workspace_id uuid, delivery_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('app.sweeping', 'on', true);
    RETURN QUERY
        SELECT d.workspace_id, d.id FROM public.webhooks_webhookdelivery d
        WHERE d.state <> 'pending' AND d.created_at < statement_timestamp() - make_interval(secs => days * 86400)
        ORDER BY d.created_at LIMIT at_most;
    PERFORM set_config('app.sweeping', '', true);
END
$$
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('workspaces', '0002_idempotency'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Webhook',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('url', models.CharField(max_length=500)),
                ('description', models.CharField(blank=True, max_length=200)),
                ('events', models.JSONField(help_text='Names of events, at least one.')),
                ('secret', models.TextField(editable=False)),
                ('old_secret', models.TextField(blank=True, editable=False, help_text='Also signs until `old_until`.')),
                ('old_until', models.DateTimeField(editable=False, null=True)),
                ('active', models.BooleanField(default=True)),
                ('inactive_why', models.CharField(blank=True, help_text='For people, when it was not a person.', max_length=300)),
                ('revision', models.PositiveIntegerField(default=1, editable=False, help_text='Edits so far; its entity tag.')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('created_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('message', models.UUIDField(help_text='The same for every try and every repetition: receivers know it again.')),
                ('event', models.CharField(max_length=60)),
                ('payload', models.JSONField()),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('delivered', 'Delivered'), ('failed', 'Failed')], default='pending', max_length=10)),
                ('tries', models.PositiveIntegerField(default=0)),
                ('due_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('finished_at', models.DateTimeField(null=True)),
                ('webhook', apps.workspaces.rows.OwnedForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='webhooks.webhook')),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='WebhookTry',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveIntegerField()),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('seconds', models.FloatField()),
                ('status', models.PositiveSmallIntegerField(help_text='Of the answer; null when there was none.', null=True)),
                ('error', models.CharField(blank=True, help_text='Why there was none, or why it does not count.', max_length=300)),
                ('answer', models.CharField(blank=True, help_text="How the answer's body begins.", max_length=1000)),
                ('delivery', apps.workspaces.rows.OwnedForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='log', to='webhooks.webhookdelivery')),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddConstraint(
            model_name='webhook',
            constraint=models.UniqueConstraint(fields=('workspace', 'id'), name='webhooks_webhook_workspace_id'),
        ),
        migrations.AddConstraint(
            model_name='webhook',
            constraint=models.CheckConstraint(condition=models.Q(('events', []), _negated=True), name='webhooks_webhook_events'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['due_at'], name='webhooks_due'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(fields=['webhook', '-created_at'], name='webhooks_delivery_created'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(fields=['created_at'], name='webhooks_delivery_old'),
        ),
        migrations.AddConstraint(
            model_name='webhookdelivery',
            constraint=models.UniqueConstraint(fields=('workspace', 'id'), name='webhooks_webhookdelivery_workspace_id'),
        ),
        migrations.AddConstraint(
            model_name='webhookdelivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('due_at__isnull', False), ('finished_at__isnull', True), ('state', 'pending')), models.Q(('due_at__isnull', True), ('finished_at__isnull', False), ('state__in', ['delivered', 'failed'])), _connector='OR'), name='webhooks_delivery_state'),
        ),
        migrations.AddConstraint(
            model_name='webhooktry',
            constraint=models.UniqueConstraint(fields=('workspace', 'id'), name='webhooks_webhooktry_workspace_id'),
        ),
        migrations.AddConstraint(
            model_name='webhooktry',
            constraint=models.UniqueConstraint(fields=('delivery', 'number'), name='webhooks_try_number'),
        ),
        *[EnableRowLevelSecurity(model) for model in ('Webhook', 'WebhookDelivery', 'WebhookTry')],
        AddCompositeForeignKey('WebhookDelivery', 'webhook'),
        AddCompositeForeignKey('WebhookTry', 'delivery'),
        RefuseUpdates('WebhookTry'),
        AddReadPolicy('WebhookDelivery', 'sweeping', SWEEPING, owner_only=True),
        migrations.RunSQL(DUE, 'DROP FUNCTION webhooks_due(integer)'),
        migrations.RunSQL(OUTDATED, 'DROP FUNCTION webhooks_outdated(double precision, integer)'),
        migrations.RunSQL(
            'REVOKE EXECUTE ON FUNCTION webhooks_due(integer), webhooks_outdated(double precision, integer) '
            'FROM PUBLIC',
            migrations.RunSQL.noop,
        ),
    ]

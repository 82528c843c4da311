import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models

from apps.workspaces.operations import EnableRowLevelSecurity


class Migration(migrations.Migration):

    dependencies = [('workspaces', '0006_require_mfa')]

    operations = [
        migrations.AddField(
            model_name='workspace',
            name='suspended_at',
            field=models.DateTimeField(
                editable=False,
                help_text='Since when it can only be read, because the operators of the site say so.',
                null=True,
            ),
        ),
        migrations.CreateModel(
            name='QuotaGrant',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=40)),
                ('value', models.FloatField()),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('workspace', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [
                    models.UniqueConstraint(fields=('workspace', 'id'), name='workspaces_quotagrant_workspace_id'),
                    models.UniqueConstraint(fields=('workspace', 'name'), name='workspaces_quotagrant_once'),
                ],
            },
        ),
        EnableRowLevelSecurity('QuotaGrant'),
    ]

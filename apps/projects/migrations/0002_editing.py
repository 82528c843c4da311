from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('projects', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='project',
            name='revision',
            field=models.PositiveIntegerField(default=0, editable=False, help_text='Counts its edits.'),
        ),
        migrations.AddField(
            model_name='project',
            name='archived_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='graph',
            name='revision',
            field=models.PositiveIntegerField(default=0, editable=False, help_text='Counts its edits, versions too.'),
        ),
        migrations.AddField(
            model_name='graph',
            name='archived_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]

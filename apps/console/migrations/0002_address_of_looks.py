from importlib import import_module

from django.db import migrations

BEFORE = import_module('apps.console.migrations.0001_initial').ENTERS.replace('CREATE', 'CREATE OR REPLACE', 1)
# Who looks at a list looks from somewhere, as with all that is in the log.
ENTERS = BEFORE.replace('data, request_id, at)', 'data, request_id, address, at)').replace(
    'left(request, 64), clock_timestamp())',
    "left(request, 64),\n        nullif(current_setting('app.visit_address', true), '')::inet, clock_timestamp())",
)


class Migration(migrations.Migration):

    dependencies = [('console', '0001_initial')]

    operations = [migrations.RunSQL(ENTERS, BEFORE)]

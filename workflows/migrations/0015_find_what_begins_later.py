"""The index that finds the runs whose time to begin has come."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import maestro.core.indexes


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('workflows', '0014_begin_later'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='workflowrun',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('start_at__isnull', False), ('status', 'pending')), fields=['start_at'], name='idx_workflow_runs_delayed'),
        ),
    ]

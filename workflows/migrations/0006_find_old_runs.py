"""Indexes that find the runs which are to be pruned."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import maestro.core.indexes


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('workflows', '0005_history_retention'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='workflowrun',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('finished_at__isnull', False)), fields=['organization', 'finished_at'], name='idx_workflow_runs_organization_finished'),
        ),
        AddIndexConcurrently(
            model_name='workflowrun',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('pruned_at__isnull', False)), fields=['pruned_at'], name='idx_workflow_runs_pruned'),
        ),
    ]

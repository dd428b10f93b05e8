"""Indexes that find what takes longer than it may."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import maestro.core.indexes


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('workflows', '0008_limit_time'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='taskexecution',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('expires_at__isnull', False), ('status__in', ['running', 'waiting'])), fields=['expires_at'], name='idx_task_executions_expires'),
        ),
        AddIndexConcurrently(
            model_name='taskexecution',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('queue_limit__isnull', False), ('status__in', ['pending', 'queued'])), fields=['run'], name='idx_task_executions_queue_limit'),
        ),
        AddIndexConcurrently(
            model_name='taskexecution',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('status__in', ['queued', 'waiting']), ('total_limit__isnull', False)), fields=['first_started_at'], name='idx_task_executions_total_limit'),
        ),
        AddIndexConcurrently(
            model_name='workflowrun',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('expires_at__isnull', False), ('status', 'running')), fields=['expires_at'], name='idx_workflow_runs_expires'),
        ),
    ]

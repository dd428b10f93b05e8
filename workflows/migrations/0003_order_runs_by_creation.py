"""An index for the admin's list of runs across organizations; one that another made needless goes."""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import maestro.core.indexes


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('workflows', '0002_claims_and_children'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='workflowrun',
            index=maestro.core.indexes.LongNameIndex(fields=['-created_at', '-id'], name='idx_workflow_runs_created'),
        ),
        # idx_workflow_runs_organization_created begins with the same column.
        migrations.AlterField(
            model_name='workflowrun',
            name='organization',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.organization'),
        ),
    ]

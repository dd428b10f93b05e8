"""Runs that are started by tasks: one for each attempt, how deep, and whether the task waits."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0012_take_signals_and_decisions'),
    ]

    operations = [
        migrations.AddField(
            model_name='workflowrun',
            name='parent_attempt',
            field=models.IntegerField(help_text='Attempt of that task that did.', null=True),
        ),
        migrations.AddField(
            model_name='workflowrun',
            name='is_awaited',
            field=models.BooleanField(db_default=False, help_text='Whether that task waits for the end of this run.'),
        ),
        migrations.AddField(
            model_name='workflowrun',
            name='depth',
            field=models.SmallIntegerField(db_default=0, help_text='How many runs are above it: 0 without a parent.'),
        ),
        migrations.RemoveConstraint(
            model_name='workflowrun',
            name='workflow_run_child_is_unique',
        ),
        migrations.AddConstraint(
            model_name='workflowrun',
            constraint=models.UniqueConstraint(fields=('parent_task', 'parent_generation', 'parent_attempt'), name='workflow_run_child_is_unique'),
        ),
    ]

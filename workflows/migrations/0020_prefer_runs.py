"""Whose tasks workers take first. Tasks that are there keep the number their messages were sent with."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0019_date_claims'),
    ]

    operations = [
        migrations.AddField(
            model_name='workflowrun',
            name='priority',
            field=models.TextField(choices=[('high', 'high'), ('normal', 'normal'), ('low', 'low')], db_default='normal', help_text='Whether workers take its tasks before or after those of other runs.'),
        ),
        migrations.AlterField(
            model_name='taskexecution',
            name='priority',
            field=models.SmallIntegerField(default=3, help_text='That of its run, as the broker numbers it: lower ones are taken first.'),
        ),
        migrations.AddConstraint(
            model_name='workflowrun',
            constraint=models.CheckConstraint(condition=models.Q(('priority__in', ['high', 'normal', 'low'])), name='workflow_run_priority_is_known'),
        ),
    ]

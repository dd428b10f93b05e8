"""How long tasks and runs may take."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0007_date_the_first_attempt'),
    ]

    operations = [
        migrations.AddField(
            model_name='taskexecution',
            name='attempt_limit',
            field=models.DurationField(help_text='How long each attempt may take.', null=True),
        ),
        migrations.AddField(
            model_name='taskexecution',
            name='expires_at',
            field=models.DateTimeField(help_text='When the latest attempt is told to stop.', null=True),
        ),
        migrations.AddField(
            model_name='taskexecution',
            name='grace',
            field=models.DurationField(help_text='How long an attempt may take to stop.', null=True),
        ),
        migrations.AddField(
            model_name='taskexecution',
            name='queue_limit',
            field=models.DurationField(help_text='How long it may be ready before its first attempt begins.', null=True),
        ),
        migrations.AddField(
            model_name='taskexecution',
            name='total_limit',
            field=models.DurationField(help_text='How long all attempts together may take.', null=True),
        ),
        migrations.AddField(
            model_name='workflowrun',
            name='expires_at',
            field=models.DateTimeField(help_text='When it is ended, finished or not.', null=True),
        ),
    ]

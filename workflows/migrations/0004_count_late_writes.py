"""Counters of what befalls the engine, and what is known of results that came too late."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0003_order_runs_by_creation'),
    ]

    operations = [
        migrations.CreateModel(
            name='EngineCounter',
            fields=[
                ('name', models.TextField(primary_key=True, serialize=False)),
                ('value', models.BigIntegerField(db_default=0)),
            ],
            options={
                'db_table': 'engine_counters',
            },
        ),
        migrations.AddField(
            model_name='taskattempt',
            name='claim_token',
            field=models.UUIDField(help_text='Of a lost attempt: by it a late result is known.', null=True),
        ),
        migrations.AddField(
            model_name='taskattempt',
            name='late_at',
            field=models.DateTimeField(help_text='When that result came; it was dropped.', null=True),
        ),
        migrations.AddField(
            model_name='taskattempt',
            name='late_status',
            field=models.TextField(blank=True, db_default='', help_text='Status of the result that came after the attempt was taken back.'),
        ),
        migrations.AlterField(
            model_name='taskattempt',
            name='status',
            field=models.TextField(help_text='How the attempt ended: failed, lost or cancelled; fenced when only its late result is known.'),
        ),
    ]

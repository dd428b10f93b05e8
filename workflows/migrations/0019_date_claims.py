"""When an attempt that asks again was claimed: it began long before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workflows", "0018_request_runs")]

    operations = [
        migrations.AddField(
            model_name="taskexecution",
            name="resumed_at",
            field=models.DateTimeField(
                null=True, help_text="When a worker took the latest attempt again, after it had parked to ask again."
            ),
        ),
    ]

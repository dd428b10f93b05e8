"""Workers, and what attempts leave behind: their log lines."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from maestro.core.ids import new_id


class TaskLogLine(models.Model):
    """One line an attempt wrote. No foreign key: lines outlive nothing, are pruned with their run, and must be cheap to
    write.
    """

    id = models.BigAutoField(primary_key=True)
    organization_id = models.UUIDField()
    run_id = models.UUIDField()
    task_key = models.TextField()
    map_index = models.IntegerField(null=True)
    attempt = models.IntegerField()
    stream = models.CharField(max_length=10)
    level = models.CharField(max_length=10)
    message = models.TextField()
    created_at = models.DateTimeField(help_text="When the worker read the line, by the database's clock.")
    stored_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "task_log_lines"
        indexes = [models.Index(fields=["run_id", "id"], name="idx_task_log_lines_run")]

    def __str__(self) -> str:
        return self.message


class Worker(models.Model):
    """One incarnation of a Celery worker process: its lease on what it runs."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.TextField(help_text="Celery's node name.")
    pid = models.IntegerField()
    concurrency = models.IntegerField(help_text="Attempts it can run at once.")
    queues = ArrayField(models.TextField(), default=list)
    held = ArrayField(models.TextField(), default=list, help_text="Ids of the messages it holds.")
    held_at = models.DateTimeField(db_default=Now(), help_text="When `held` was looked up: it lists every claim older.")
    heartbeat_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(db_default=Now())
    lost_at = models.DateTimeField(null=True, help_text="When it stopped, or was given up.")
    has_stopped = models.BooleanField(
        db_default=False, help_text="It was told to stop: what it ran goes back, and that does not count as a loss."
    )

    class Meta:
        db_table = "executor_workers"
        indexes = [models.Index(fields=["heartbeat_at"], name="idx_executor_workers_alive", condition=Q(lost_at=None))]

    def __str__(self) -> str:
        return self.name

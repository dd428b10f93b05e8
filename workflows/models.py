"""Workflows, their versions, runs, task executions and attempts, what was sent to runs and decided about them, and how
far they were pruned. Columns, constraints and indexes; no logic.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Environment, Organization
from maestro.core.ids import new_id
from maestro.core.indexes import LongNameIndex
from workflows.definition.priority import Priority
from workflows.definition.sections import Section
from workflows.definition.spec import RunIf
from workflows.runs.statuses import OPEN_TASK_STATUSES, PauseScope, Reason, RunStatus, TaskStatus

_OPEN = sorted(OPEN_TASK_STATUSES)


class Workflow(models.Model):
    """A named thing an organization runs; owns versions."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="workflows")
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, default="")
    active_version = models.ForeignKey("WorkflowVersion", on_delete=models.RESTRICT, null=True, related_name="+")
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflows"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], condition=Q(archived_at=None), name="workflow_name_is_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(models.Model):
    """An immutable, numbered snapshot of a definition with its compiled plan."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="versions")
    number = models.IntegerField()
    content_hash = models.CharField(max_length=64, help_text="SHA-256 over the normalised authored document.")
    definition = models.JSONField(help_text="The authored document.")
    plan = models.JSONField(help_text="Compiled execution plan.")
    plan_version = models.IntegerField(help_text="Format of the plan; an older one is compiled again on read.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "workflow_versions"
        constraints = [
            models.UniqueConstraint(fields=["workflow", "number"], name="workflow_version_number_is_unique"),
            models.UniqueConstraint(fields=["workflow", "content_hash"], name="workflow_version_content_is_unique"),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class WorkflowRun(models.Model):
    """One execution of one version."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="runs", db_index=False)
    workflow_version = models.ForeignKey(
        WorkflowVersion, on_delete=models.RESTRICT, related_name="runs", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,
        help_text="Who started the run.",
    )
    trigger_type = models.CharField(max_length=20, default="manual")
    parent_task = models.ForeignKey(
        "TaskExecution",
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,
        help_text="The task that started this run as its child.",
    )
    parent_generation = models.IntegerField(null=True, help_text="Generation of that task when it did.")
    parent_attempt = models.IntegerField(null=True, help_text="Attempt of that task that did.")
    is_awaited = models.BooleanField(db_default=False, help_text="Whether that task waits for the end of this run.")
    depth = models.SmallIntegerField(db_default=0, help_text="How many runs are above it: 0 without a parent.")
    priority = models.TextField(
        choices=[(priority.value, priority.value) for priority in Priority],
        db_default=Priority.NORMAL.value,
        help_text="Whether workers take its tasks before or after those of other runs.",
    )
    status = models.TextField(choices=[(status.value, status.value) for status in RunStatus], default=RunStatus.PENDING)
    reason = models.TextField(blank=True, default="")
    hold = models.SmallIntegerField(default=0, help_text="0 none, 1 paused, 2 cancelling.")
    inputs = models.JSONField(default=dict)
    outputs = models.JSONField(null=True)
    error_message = models.TextField(blank=True, default="")
    outcome = models.TextField(
        blank=True, db_default="", help_text="The status it will end with; empty before that is decided."
    )
    outcome_reason = models.TextField(blank=True, db_default="", help_text="The reason it will end with.")
    section = models.TextField(
        db_default=Section.TASKS.value, help_text="What runs: its own tasks, or which of its hooks."
    )
    cancelled_by = models.TextField(
        blank=True, db_default="", help_text="E-mail address of who cancelled it, or its hooks."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    start_at = models.DateTimeField(null=True, help_text="When it begins, if not at once.")
    started_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True, help_text="When it must be over, however late it began.")
    expires_at = models.DateTimeField(null=True, help_text="When it is ended, finished or not.")
    finished_at = models.DateTimeField(null=True)
    pruned_at = models.DateTimeField(
        null=True, help_text="When pruning a large run began: nobody is shown the run any more."
    )

    class Meta:
        db_table = "workflow_runs"
        constraints = [
            models.CheckConstraint(condition=Q(status__in=list(RunStatus)), name="workflow_run_status_is_known"),
            models.CheckConstraint(condition=Q(hold__in=[0, 1, 2]), name="workflow_run_hold_is_known"),
            models.CheckConstraint(condition=Q(priority__in=list(Priority)), name="workflow_run_priority_is_known"),
            models.UniqueConstraint(
                fields=["parent_task", "parent_generation", "parent_attempt"], name="workflow_run_child_is_unique"
            ),
        ]
        indexes = [
            LongNameIndex(
                fields=["expires_at"],
                name="idx_workflow_runs_expires",
                condition=Q(status=RunStatus.RUNNING, expires_at__isnull=False),
            ),
            LongNameIndex(
                fields=["start_at"],
                name="idx_workflow_runs_due",
                condition=Q(status=RunStatus.PENDING, hold=0, start_at__isnull=False),
            ),
            LongNameIndex(
                fields=["deadline_at"],
                name="idx_workflow_runs_deadline",
                condition=Q(status=RunStatus.PENDING, deadline_at__isnull=False),
            ),
            LongNameIndex(fields=["status", "created_at"], name="idx_workflow_runs_status_created"),
            LongNameIndex(fields=["workflow", "-created_at"], name="idx_workflow_runs_workflow_id_created"),
            LongNameIndex(
                fields=["workflow", "created_at"],
                name="idx_workflow_runs_active",
                condition=Q(status__in=[RunStatus.RUNNING, RunStatus.PENDING]),
            ),
            LongNameIndex(fields=["user", "status", "-created_at"], name="idx_workflow_runs_dashboard"),
            LongNameIndex(fields=["organization", "-created_at", "-id"], name="idx_workflow_runs_organization_created"),
            LongNameIndex(fields=["-created_at", "-id"], name="idx_workflow_runs_created"),
            # What is old enough to be pruned, and what pruning has begun with.
            LongNameIndex(
                fields=["organization", "finished_at"],
                name="idx_workflow_runs_organization_finished",
                condition=Q(finished_at__isnull=False),
            ),
            LongNameIndex(fields=["pruned_at"], name="idx_workflow_runs_pruned", condition=Q(pruned_at__isnull=False)),
            LongNameIndex(
                fields=["parent_task"],
                name="idx_workflow_runs_awaited",
                condition=Q(is_awaited=True, status__in=[RunStatus.RUNNING, RunStatus.PENDING]),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class RunRequest(models.Model):
    """A run that another application has asked for inside a transaction of its own. Written by the SQL function
    `maestro_start_run`, which knows these columns; made a run of by `workflows.dispatch.run_requests`.
    """

    id = models.UUIDField(primary_key=True, help_text="The id that the run will have.")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+")
    workflow_version = models.ForeignKey(WorkflowVersion, on_delete=models.CASCADE, related_name="+")
    inputs = models.JSONField()
    idempotency_key = models.TextField(null=True)  # noqa: DJ001 - of those without, none is like another
    start_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(editable=False)
    done_at = models.DateTimeField(null=True, help_text="When it became a run; empty until then.")

    class Meta:
        db_table = "run_requests"
        constraints = [
            models.UniqueConstraint(fields=["organization", "idempotency_key"], name="run_request_key_is_unique")
        ]
        indexes = [
            models.Index(fields=["created_at"], name="idx_run_requests_open", condition=Q(done_at=None)),
            models.Index(fields=["done_at"], name="idx_run_requests_done", condition=Q(done_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.id)


class TaskExecution(models.Model):
    """One task of one run: its current status, attempt number and output. Changed only by the SQL of
    `workflows.dispatch`.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)
    run = models.ForeignKey(WorkflowRun, on_delete=models.CASCADE, related_name="task_executions", db_index=False)
    task_key = models.TextField()
    section = models.TextField(
        db_default=Section.TASKS.value, help_text="Which part of the definition it stands in: tasks, or some hooks."
    )
    map_index = models.IntegerField(
        null=True, help_text="Position among the items of a for_each task; empty for a plain task."
    )
    position = models.IntegerField(help_text="Place in topological order; the order in which rows are locked.")
    kind = models.TextField()
    needs = ArrayField(models.TextField(), default=list)
    run_if = models.TextField(default=RunIf.ALL_SUCCEEDED)
    continue_on_error = models.BooleanField(
        db_default=False, help_text="Whether it may fail without failing the run and what needs it."
    )
    status = models.TextField(
        choices=[(status.value, status.value) for status in TaskStatus], default=TaskStatus.PENDING
    )
    reason = models.TextField(blank=True, default="")
    attempt = models.IntegerField(default=0, help_text="0 before the first claim; never goes back.")
    tries = models.IntegerField(default=0, help_text="Failures of the user's code; what a rerun resets.")
    platform_failures = models.IntegerField(default=0, help_text="Attempts lost by the platform.")
    generation = models.IntegerField(
        default=0, help_text="Counts the operations that reset this task; never goes back."
    )
    hold = models.SmallIntegerField(default=0, help_text="0 none, 1 paused, 2 cancelled.")
    claim_token = models.UUIDField(
        null=True, help_text="Random; the fence of every write of the attempt that holds it."
    )
    claim_worker_id = models.UUIDField(null=True, help_text="Incarnation of the worker that holds the claim.")
    claim_message = models.TextField(
        blank=True, db_default="", help_text="Id of the message that the claim was made for: while its worker holds it."
    )
    worker = models.TextField(blank=True, default="", help_text="Name of the worker of the latest attempt.")
    queue = models.TextField(default="maestro")
    priority = models.SmallIntegerField(
        default=Priority.NORMAL.step, help_text="That of its run, as the broker numbers it: lower ones are taken first."
    )
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="items", db_index=False)
    child_run = models.ForeignKey(WorkflowRun, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False)
    output = models.JSONField(null=True)
    error_code = models.TextField(blank=True, default="")
    error_message = models.TextField(blank=True, default="")
    wake_at = models.DateTimeField(null=True)
    waits_for = models.JSONField(null=True, help_text="What its latest wait is about; what there is depends on it.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    queued_at = models.DateTimeField(null=True)
    queue_limit = models.DurationField(null=True, help_text="How long it may be ready before its first attempt begins.")
    attempt_limit = models.DurationField(null=True, help_text="How long each attempt may take.")
    grace = models.DurationField(null=True, help_text="How long an attempt may take to stop.")
    total_limit = models.DurationField(null=True, help_text="How long all attempts together may take.")
    expires_at = models.DateTimeField(null=True, help_text="When the latest attempt is told to stop.")
    started_at = models.DateTimeField(null=True)
    resumed_at = models.DateTimeField(
        null=True, help_text="When a worker took the latest attempt again, after it had parked to ask again."
    )
    first_started_at = models.DateTimeField(null=True, help_text="When the first attempt began.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "task_executions"
        constraints = [
            models.UniqueConstraint(
                fields=["run", "task_key", "map_index"], nulls_distinct=False, name="task_execution_is_unique"
            ),
            models.CheckConstraint(condition=Q(status__in=list(TaskStatus)), name="task_execution_status_is_known"),
            models.CheckConstraint(condition=Q(hold__in=[0, 1, 2]), name="task_execution_hold_is_known"),
        ]
        indexes = [
            LongNameIndex(fields=["status", "created_at"], name="idx_task_executions_status_created"),
            LongNameIndex(fields=["run"], name="idx_task_executions_open", condition=Q(status__in=_OPEN)),
            LongNameIndex(
                fields=["queue", "priority", "queued_at"],
                name="idx_task_executions_queued",
                condition=Q(status=TaskStatus.QUEUED),
            ),
            # What is paused has a time that may have been over for long: it is not to be met each time.
            LongNameIndex(
                fields=["wake_at"], name="idx_task_executions_due", condition=Q(status=TaskStatus.WAITING, hold=0)
            ),
            LongNameIndex(
                fields=["wake_at"],
                name="idx_task_executions_calls",
                condition=Q(status=TaskStatus.WAITING, reason=Reason.CELERY),
            ),
            LongNameIndex(
                fields=["finished_at"], name="idx_task_executions_finished", condition=Q(finished_at__isnull=False)
            ),
            LongNameIndex(
                fields=["expires_at"],
                name="idx_task_executions_overdue_attempts",
                condition=Q(status=TaskStatus.RUNNING, expires_at__isnull=False),
            ),
            LongNameIndex(
                fields=["expires_at"],
                name="idx_task_executions_overdue_waits",
                condition=Q(Q(hold=0) | Q(reason=Reason.CELERY), status=TaskStatus.WAITING, expires_at__isnull=False),
            ),
            LongNameIndex(
                fields=["run"],
                name="idx_task_executions_queue_limit",
                condition=Q(status__in=[TaskStatus.PENDING, TaskStatus.QUEUED], queue_limit__isnull=False),
            ),
            LongNameIndex(
                fields=["first_started_at"],
                name="idx_task_executions_total_limit",
                condition=Q(status__in=[TaskStatus.QUEUED, TaskStatus.WAITING], total_limit__isnull=False),
            ),
            LongNameIndex(
                fields=["organization", "id"],
                name="idx_task_executions_approvals",
                condition=Q(status=TaskStatus.WAITING, reason=Reason.APPROVAL),
            ),
            # Without these, deleting one row reads the whole table to see that nothing refers to it.
            LongNameIndex(fields=["parent"], name="idx_task_executions_parent", condition=Q(parent__isnull=False)),
            LongNameIndex(
                fields=["child_run"], name="idx_task_executions_child_run", condition=Q(child_run__isnull=False)
            ),
            LongNameIndex(
                fields=["child_run"],
                name="idx_task_executions_awaits_child",
                condition=Q(status=TaskStatus.WAITING, reason=Reason.CHILD_RUN),
            ),
        ]

    def __str__(self) -> str:
        return self.task_key


class TaskAttempt(models.Model):
    """An attempt that did not end its task: retried, lost or fenced. History; only a late result is added."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)
    task_execution = models.ForeignKey(TaskExecution, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    attempt = models.IntegerField()
    status = models.TextField(
        help_text="How the attempt ended: failed, lost or cancelled; fenced when only its late result is known."
    )
    error_code = models.TextField(blank=True, default="")
    error_message = models.TextField(blank=True, default="")
    worker = models.TextField(blank=True, default="")
    claim_token = models.UUIDField(null=True, help_text="Of a lost attempt: by it a late result is known.")
    late_status = models.TextField(
        blank=True, db_default="", help_text="Status of the result that came after the attempt was taken back."
    )
    late_at = models.DateTimeField(null=True, help_text="When that result came; it was dropped.")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "task_attempts"
        # A claim that the database has forgotten has a number that the next claim has too.
        constraints = [
            models.UniqueConstraint(
                fields=["task_execution", "attempt"], condition=~Q(status="fenced"), name="task_attempt_is_unique"
            )
        ]
        indexes = [models.Index(fields=["task_execution"], name="idx_task_attempts_task")]

    def __str__(self) -> str:
        return f"attempt {self.attempt}"


class Pause(models.Model):
    """That nothing begins in a run, a workflow, a queue or an organization; history once it was resumed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)
    scope = models.TextField(choices=[(scope.value, scope.value) for scope in PauseScope])
    run = models.ForeignKey(WorkflowRun, on_delete=models.CASCADE, null=True, related_name="pauses")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, null=True, related_name="pauses")
    queue = models.TextField(blank=True, default="")
    reason = models.TextField(blank=True, default="")
    paused_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    paused_at = models.DateTimeField(db_default=Now(), editable=False)
    resumed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    resumed_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(
        null=True, help_text="When all that it covers was held, or after its end let go; empty while that goes on."
    )

    class Meta:
        db_table = "pauses"
        constraints = [
            models.CheckConstraint(condition=Q(scope__in=list(PauseScope)), name="pause_scope_is_known"),
            models.UniqueConstraint(
                fields=["organization", "scope", "run", "workflow", "queue"],
                condition=Q(resumed_at=None),
                nulls_distinct=False,
                name="pause_is_unique",
            ),
        ]
        indexes = [models.Index(fields=["paused_at"], name="idx_pauses_unsettled", condition=Q(settled_at=None))]

    def __str__(self) -> str:
        return f"pause of {self.scope}"


class RunSignal(models.Model):
    """A signal that was sent to a run; taken at most once, by a task that waits for its name."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)
    run = models.ForeignKey(WorkflowRun, on_delete=models.CASCADE, related_name="signals", db_index=False)
    name = models.TextField()
    payload = models.JSONField(null=True)
    key = models.TextField(
        blank=True, default="", help_text="The sender's own id of it: the same signal sent again is known by it."
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,
        help_text="Who sent it.",
    )
    received_at = models.DateTimeField(db_default=Now())
    task_execution = models.ForeignKey(
        TaskExecution,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,
        help_text="The task that took it.",
    )
    taken_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "run_signals"
        constraints = [
            models.UniqueConstraint(fields=["run", "key"], condition=~Q(key=""), name="run_signal_key_is_unique")
        ]
        indexes = [
            LongNameIndex(fields=["run", "id"], name="idx_run_signals_run"),
            LongNameIndex(fields=["run"], name="idx_run_signals_untaken", condition=Q(taken_at__isnull=True)),
            LongNameIndex(
                fields=["task_execution"], name="idx_run_signals_task", condition=Q(task_execution__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ApprovalDecision(models.Model):
    """What somebody decided about a task that waited for it; one for each wait."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)
    task_execution = models.ForeignKey(
        TaskExecution, on_delete=models.CASCADE, related_name="decisions", db_index=False
    )
    claim_token = models.UUIDField(help_text="Of the attempt that parked the task: by it the wait is known.")
    outcome = models.TextField(help_text="approved or rejected.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    email = models.TextField(help_text="Who decided, should the user be gone.")
    comment = models.TextField(blank=True, default="")
    form = models.JSONField(default=dict)
    decided_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "approval_decisions"
        constraints = [
            models.UniqueConstraint(fields=["task_execution", "claim_token"], name="approval_decision_is_unique")
        ]

    def __str__(self) -> str:
        return f"{self.outcome} by {self.email}"


class EngineCounter(models.Model):
    """How often something has happened since the database was made; never goes back, whatever is pruned."""

    name = models.TextField(primary_key=True)
    value = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = "engine_counters"

    def __str__(self) -> str:
        return self.name


class RetentionProgress(models.Model):
    """How far an organization's history has been pruned by age alone, while its runs stay."""

    organization = models.OneToOneField(Organization, on_delete=models.CASCADE, primary_key=True, related_name="+")
    lines_pruned_until = models.DateTimeField(null=True, help_text="Runs that ended up to then have no log lines left.")
    attempts_pruned_until = models.DateTimeField(
        null=True, help_text="Runs that ended up to then have no attempts left."
    )

    class Meta:
        db_table = "retention_progress"

    def __str__(self) -> str:
        return str(self.organization_id)

"""The REST views of runs, their tasks and logs."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest.authentication import actor_of
from accounts.rest.views import ApiView
from maestro.core.rest.openapi import page_of, refusals
from maestro.core.rest.pagination import (
    ByPositionPagination,
    NewestFirstPagination,
    OldestFirstPagination,
    answer_page,
)
from workflows.definition.priority import Priority
from workflows.explanation import selectors as explanation
from workflows.rest import parameters
from workflows.rest.explanation_serializers import ExplanationOutput
from workflows.rest.run_serializers import (
    IS_PRUNED,
    LAST_ID,
    LogLineOutput,
    RunInput,
    RunOutput,
    TaskAttemptOutput,
    TaskExecutionOutput,
)
from workflows.runs import selectors, services


class WorkflowRunStartView(ApiView):
    """Starting a run."""

    @extend_schema(
        operation_id="start_run",
        request=RunInput,
        responses={201: RunOutput, **refusals(404, 409, 411, 415, 422)},
    )
    def post(self, request: Request, reference: str) -> Response:
        """Start a run of the active version, or of the one named."""
        given = RunInput(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        run = services.start_run(
            actor=actor_of(request),
            reference=reference,
            inputs=wanted["inputs"],
            version_number=wanted.get("version"),
            start_at=wanted.get("delay") or wanted.get("start_at"),
            deadline=wanted.get("deadline"),
            priority=Priority(wanted["priority"]) if wanted.get("priority") else None,
            reservation=self.reservation,
        )
        return Response(RunOutput(run).data, status=201)

    def answer_made(self, request: Request, made_id: UUID) -> Response:
        """Show the run that the call has started before."""
        run = selectors.get_started_run(actor=actor_of(request), run_id=made_id)
        return Response(RunOutput(run).data, status=201)


class RunListView(ApiView):
    """All runs."""

    @extend_schema(
        operation_id="list_runs",
        parameters=parameters.OF_RUNS,
        responses={200: page_of(RunOutput), **refusals(422)},
    )
    def get(self, request: Request) -> Response:
        """List runs, newest first."""
        wanted = parameters.query(parameters.RunParameters, request)
        rows = wanted.as_filter().apply(selectors.list_runs(actor=actor_of(request)))
        return answer_page(self, request, NewestFirstPagination(), rows, RunOutput)


class RunView(ApiView):
    """One run."""

    @extend_schema(operation_id="get_run", responses={200: RunOutput, **refusals(404, 422)})
    def get(self, request: Request, run_id: UUID) -> Response:
        """Show a run."""
        parameters.query(parameters.NoParameters, request)
        return Response(RunOutput(selectors.get_run(actor=actor_of(request), run_id=run_id)).data)


class RunCancelView(ApiView):
    """Cancelling a run."""

    @extend_schema(operation_id="cancel_run", request=None, responses={200: RunOutput, **refusals(404, 409)})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Cancel a run: what does not run yet never will, what runs is asked to stop, its `finally` runs.

        Once more, it ends the hooks that run by then. So send an `Idempotency-Key`, to be safe when no answer comes.
        """
        return Response(RunOutput(services.cancel_run(actor=actor_of(request), run_id=run_id)).data)


class RunExplanationView(ApiView):
    """Why a run does not go on."""

    @extend_schema(
        operation_id="explain_run",
        parameters=parameters.OF_EXPLANATION,
        responses={200: ExplanationOutput, **refusals(404, 422)},
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """Explain what keeps a run, or with `task_key` one of its tasks: every cause, and who holds it."""
        wanted = parameters.query(parameters.ExplanationParameters, request)
        explained = explanation.explain(actor=actor_of(request), run_id=run_id, task_key=wanted.task_key)
        return Response(ExplanationOutput(explained).data)


class TaskExecutionListView(ApiView):
    """The tasks of a run."""

    @extend_schema(
        operation_id="list_task_executions",
        parameters=parameters.OF_TASKS,
        responses={200: page_of(TaskExecutionOutput), **refusals(404, 422)},
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """List the tasks of a run in topological order; with `task_key`, that task and its items."""
        actor = actor_of(request)
        wanted = parameters.query(parameters.TaskParameters, request)
        run = selectors.get_run(actor=actor, run_id=run_id)
        rows = selectors.list_task_executions(actor=actor, run=run, task_key=wanted.task_key)
        paginator = ByPositionPagination() if wanted.task_key is None else OldestFirstPagination()
        secrets = selectors.secrets_of(run)
        return answer_page(self, request, paginator, rows, TaskExecutionOutput, secrets=secrets)


class TaskAttemptListView(ApiView):
    """Earlier attempts of the tasks of a run."""

    @extend_schema(
        operation_id="list_past_attempts",
        parameters=parameters.OF_TASKS,
        responses={200: page_of(TaskAttemptOutput), **refusals(404, 422)},
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """List the attempts after which a task was tried again, oldest first; with `task_key`, those of that task.

        The attempt that ended a task, or goes on, is in its task execution.
        """
        actor = actor_of(request)
        wanted = parameters.query(parameters.TaskParameters, request)
        run = selectors.get_run(actor=actor, run_id=run_id)
        rows = selectors.list_past_attempts(actor=actor, run=run, task_key=wanted.task_key)
        return answer_page(self, request, OldestFirstPagination(), rows, TaskAttemptOutput)


class RunLogView(ApiView):
    """What the attempts of a run wrote."""

    @extend_schema(
        operation_id="list_log_lines",
        parameters=parameters.OF_LOG_LINES,
        responses={
            200: page_of(LogLineOutput, last_id=LAST_ID, is_pruned=IS_PRUNED),
            **refusals(404, 422),
        },
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """List log lines in the order they were written.

        `next` leads to the lines there are now. To follow a log, ask again with `after` set to the `last_id` of the
        answer: no line is left out, and none comes twice.
        """
        actor = actor_of(request)
        wanted = parameters.query(parameters.LogParameters, request)
        run = selectors.get_run(actor=actor, run_id=run_id)
        log = selectors.read_log(actor=actor, run=run, wanted=wanted.as_filter())
        answer = answer_page(self, request, OldestFirstPagination(), log.lines, LogLineOutput)
        answer.data["last_id"] = answer.data["results"][-1]["id"] if answer.data["next"] else log.last_id
        answer.data["is_pruned"] = log.is_pruned
        return answer

"""The REST views of workflows and runs: turn a request into values, make one call, turn the answer back."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest.authentication import actor_of
from accounts.rest.views import ApiView
from executors.kinds import registry
from maestro.core.rest.openapi import page_of, refusals
from maestro.core.rest.pagination import (
    ByNamePagination,
    ByPositionPagination,
    NewestFirstPagination,
    NewestNumberPagination,
    OldestFirstPagination,
    answer_page,
)
from maestro.core.rest.parsers import YAML_PARSERS, StrictJSONParser
from workflows.catalog import selectors as catalog
from workflows.catalog import services as catalog_services
from workflows.compiler import sketch
from workflows.definition.priority import Priority
from workflows.definition.problems import DefinitionInvalid
from workflows.errors import DefinitionRefused
from workflows.explanation import selectors as explanation
from workflows.rest import parameters, serializers
from workflows.runs import selectors, services


class WorkflowListView(ApiView):
    """All workflows in use."""

    parser_classes = [StrictJSONParser, *YAML_PARSERS]

    @extend_schema(
        operation_id="list_workflows",
        parameters=parameters.OF_PAGES,
        responses={200: page_of(serializers.WorkflowOutput), **refusals(422)},
    )
    def get(self, request: Request) -> Response:
        """List the workflows in use, by name."""
        parameters.query(parameters.PageParameters, request)
        rows = catalog.list_workflows(actor=actor_of(request))
        return answer_page(self, request, ByNamePagination(), rows, serializers.WorkflowOutput)

    @extend_schema(
        operation_id="apply_workflow",
        request={
            "application/json": serializers.DefinitionInput,
            "application/yaml": OpenApiTypes.STR,
        },
        responses={200: serializers.WorkflowOutput, 201: serializers.WorkflowOutput, **refusals(411, 415, 422)},
    )
    def post(self, request: Request) -> Response:
        """Apply a definition: 201 makes a new version, 200 found its content unchanged or re-activated it."""
        given = serializers.DefinitionInput.posted(request)
        try:
            document = given.document()
        except DefinitionInvalid as error:
            raise DefinitionRefused(error.problems) from error
        applied = catalog_services.apply_definition(actor=actor_of(request), document=document)
        return Response(
            serializers.WorkflowOutput(applied.workflow).data, status=201 if applied.is_new_version else 200
        )


class WorkflowValidationView(ApiView):
    """Checking a definition without storing it."""

    parser_classes = [StrictJSONParser, *YAML_PARSERS]

    @extend_schema(
        operation_id="validate_workflow",
        request={"application/json": serializers.DefinitionInput, "application/yaml": OpenApiTypes.STR},
        responses={200: serializers.ValidationOutput, **refusals(411, 415, 422)},
    )
    def post(self, request: Request) -> Response:
        """List everything wrong with a definition."""
        given = serializers.DefinitionInput.posted(request)
        try:
            problems = catalog_services.find_problems(actor=actor_of(request), document=given.document())
        except DefinitionInvalid as error:
            problems = error.problems
        answer = {"valid": not problems, "problems": [problem.as_dict() for problem in problems]}
        return Response(serializers.ValidationOutput(answer).data)


class WorkflowView(ApiView):
    """One workflow."""

    @extend_schema(operation_id="get_workflow", responses={200: serializers.WorkflowOutput, **refusals(404, 422)})
    def get(self, request: Request, reference: str) -> Response:
        """Show a workflow, by id or name."""
        parameters.query(parameters.NoParameters, request)
        workflow = catalog.get_workflow(actor=actor_of(request), reference=reference)
        return Response(serializers.WorkflowOutput(workflow).data)


class WorkflowVersionListView(ApiView):
    """The versions of a workflow."""

    @extend_schema(
        operation_id="list_workflow_versions",
        parameters=parameters.OF_PAGES,
        responses={200: page_of(serializers.VersionOutput), **refusals(404, 422)},
    )
    def get(self, request: Request, reference: str) -> Response:
        """List a workflow's versions, newest first."""
        actor = actor_of(request)
        parameters.query(parameters.PageParameters, request)
        workflow = catalog.get_workflow(actor=actor, reference=reference)
        rows = catalog.list_versions(actor=actor, workflow=workflow)
        active = workflow.active_version_id
        return answer_page(
            self, request, NewestNumberPagination(), rows, serializers.VersionOutput, active_version_id=active
        )


class WorkflowCanvasView(ApiView):
    """The canvas of a workflow."""

    @extend_schema(
        operation_id="get_workflow_canvas",
        parameters=parameters.OF_CANVAS,
        responses={200: serializers.CanvasOutput, **refusals(404, 422)},
    )
    def get(self, request: Request, reference: str) -> Response:
        """Show the Celery canvas a version compiles to, and where a task ends in `advance` and why."""
        actor = actor_of(request)
        workflow = catalog.get_workflow(actor=actor, reference=reference)
        wanted = parameters.query(parameters.VersionParameters, request)
        version = catalog.get_version(actor=actor, workflow=workflow, number=wanted.version)
        drawn = sketch.sketch_plan(catalog.get_plan(version))
        answer = {
            "workflow": workflow.name,
            "version": version.number,
            "canvas": sketch.as_json(drawn),
            "text": sketch.as_text(drawn),
        }
        return Response(serializers.CanvasOutput(answer).data)


class WorkflowActivationView(ApiView):
    """Choosing the version that new runs use."""

    @extend_schema(
        operation_id="activate_workflow_version",
        request=None,
        responses={200: serializers.WorkflowOutput, **refusals(404, 409)},
    )
    def post(self, request: Request, reference: str, number: int) -> Response:
        """Activate a version."""
        workflow = catalog_services.activate_version(actor=actor_of(request), reference=reference, number=number)
        return Response(serializers.WorkflowOutput(workflow).data)


class WorkflowArchiveView(ApiView):
    """Taking a workflow out of use."""

    @extend_schema(
        operation_id="archive_workflow",
        request=None,
        responses={200: serializers.WorkflowOutput, **refusals(404)},
    )
    def post(self, request: Request, reference: str) -> Response:
        """Archive a workflow; its name becomes free, its runs go on."""
        workflow = catalog_services.archive_workflow(actor=actor_of(request), reference=reference)
        return Response(serializers.WorkflowOutput(workflow).data)


class WorkflowRunStartView(ApiView):
    """Starting a run."""

    @extend_schema(
        operation_id="start_run",
        request=serializers.RunInput,
        responses={201: serializers.RunOutput, **refusals(404, 409, 411, 415, 422)},
    )
    def post(self, request: Request, reference: str) -> Response:
        """Start a run of the active version, or of the one named."""
        given = serializers.RunInput(data=request.data)
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
        return Response(serializers.RunOutput(run).data, status=201)

    def answer_made(self, request: Request, made_id: UUID) -> Response:
        """Show the run that the call has started before."""
        run = selectors.get_started_run(actor=actor_of(request), run_id=made_id)
        return Response(serializers.RunOutput(run).data, status=201)


class RunListView(ApiView):
    """All runs."""

    @extend_schema(
        operation_id="list_runs",
        parameters=parameters.OF_RUNS,
        responses={200: page_of(serializers.RunOutput), **refusals(422)},
    )
    def get(self, request: Request) -> Response:
        """List runs, newest first."""
        wanted = parameters.query(parameters.RunParameters, request)
        rows = wanted.as_filter().apply(selectors.list_runs(actor=actor_of(request)))
        return answer_page(self, request, NewestFirstPagination(), rows, serializers.RunOutput)


class RunView(ApiView):
    """One run."""

    @extend_schema(operation_id="get_run", responses={200: serializers.RunOutput, **refusals(404, 422)})
    def get(self, request: Request, run_id: UUID) -> Response:
        """Show a run."""
        parameters.query(parameters.NoParameters, request)
        return Response(serializers.RunOutput(selectors.get_run(actor=actor_of(request), run_id=run_id)).data)


class RunCancelView(ApiView):
    """Cancelling a run."""

    @extend_schema(
        operation_id="cancel_run", request=None, responses={200: serializers.RunOutput, **refusals(404, 409)}
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        """Cancel a run: what does not run yet never will, what runs is asked to stop."""
        return Response(serializers.RunOutput(services.cancel_run(actor=actor_of(request), run_id=run_id)).data)


class RunExplanationView(ApiView):
    """Why a run does not go on."""

    @extend_schema(
        operation_id="explain_run",
        parameters=parameters.OF_EXPLANATION,
        responses={200: serializers.ExplanationOutput, **refusals(404, 422)},
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """Explain what keeps a run, or with `task_key` one of its tasks: every cause, and who holds it."""
        wanted = parameters.query(parameters.ExplanationParameters, request)
        explained = explanation.explain(actor=actor_of(request), run_id=run_id, task_key=wanted.task_key)
        return Response(serializers.ExplanationOutput(explained).data)


class TaskExecutionListView(ApiView):
    """The tasks of a run."""

    @extend_schema(
        operation_id="list_task_executions",
        parameters=parameters.OF_TASKS,
        responses={200: page_of(serializers.TaskExecutionOutput), **refusals(404, 422)},
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """List the tasks of a run in topological order; with `task_key`, that task and its items."""
        actor = actor_of(request)
        wanted = parameters.query(parameters.TaskParameters, request)
        run = selectors.get_run(actor=actor, run_id=run_id)
        rows = selectors.list_task_executions(actor=actor, run=run, task_key=wanted.task_key)
        paginator = ByPositionPagination() if wanted.task_key is None else OldestFirstPagination()
        secrets = selectors.secrets_of(run)
        return answer_page(self, request, paginator, rows, serializers.TaskExecutionOutput, secrets=secrets)


class TaskAttemptListView(ApiView):
    """Earlier attempts of the tasks of a run."""

    @extend_schema(
        operation_id="list_past_attempts",
        parameters=parameters.OF_TASKS,
        responses={200: page_of(serializers.TaskAttemptOutput), **refusals(404, 422)},
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """List the attempts after which a task was tried again, oldest first; with `task_key`, those of that task.

        The attempt that ended a task, or goes on, is in its task execution.
        """
        actor = actor_of(request)
        wanted = parameters.query(parameters.TaskParameters, request)
        run = selectors.get_run(actor=actor, run_id=run_id)
        rows = selectors.list_past_attempts(actor=actor, run=run, task_key=wanted.task_key)
        return answer_page(self, request, OldestFirstPagination(), rows, serializers.TaskAttemptOutput)


class RunLogView(ApiView):
    """What the attempts of a run wrote."""

    @extend_schema(
        operation_id="list_log_lines",
        parameters=parameters.OF_LOG_LINES,
        responses={
            200: page_of(serializers.LogLineOutput, last_id=serializers.LAST_ID, is_pruned=serializers.IS_PRUNED),
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
        answer = answer_page(self, request, OldestFirstPagination(), log.lines, serializers.LogLineOutput)
        answer.data["last_id"] = answer.data["results"][-1]["id"] if answer.data["next"] else log.last_id
        answer.data["is_pruned"] = log.is_pruned
        return answer


class KindListView(ApiView):
    """The executor kinds."""

    @extend_schema(operation_id="list_kinds", responses={200: page_of(serializers.KindOutput), **refusals(422)})
    def get(self, request: Request) -> Response:
        """List what `uses:` may name, with the options of each."""
        parameters.query(parameters.NoParameters, request)
        rows = [
            {"kind": kind, "summary": executor.summary, "options_schema": executor.Options.model_json_schema()}
            for kind, executor in sorted(registry.installed_kinds().items())
        ]
        return Response({"results": serializers.KindOutput(rows, many=True).data, "next": None, "previous": None})

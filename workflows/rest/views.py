"""The REST views of workflows and kinds: turn a request into values, make one call, turn the answer back."""

from __future__ import annotations

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
    NewestNumberPagination,
    answer_page,
)
from maestro.core.rest.parsers import YAML_PARSERS, StrictJSONParser
from workflows.catalog import selectors as catalog
from workflows.catalog import services as catalog_services
from workflows.compiler import sketch
from workflows.definition.problems import DefinitionInvalid
from workflows.errors import DefinitionRefused
from workflows.rest import parameters, serializers


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

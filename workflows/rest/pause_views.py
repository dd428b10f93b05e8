"""The REST views of pauses: pausing and resuming a run, a workflow, a queue or the organization."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest.authentication import actor_of
from accounts.rest.views import ApiView
from maestro.core.rest.openapi import page_of, refusals
from maestro.core.rest.pagination import LatestPausePagination, answer_page
from workflows.pauses import selectors, services
from workflows.pauses.services import PauseTarget
from workflows.rest import parameters
from workflows.rest.pause_serializers import PauseInput, PauseOutput


def _pause(request: Request, target: PauseTarget) -> Response:
    given = PauseInput(data=request.data if request.stream is not None else {})
    given.is_valid(raise_exception=True)
    paused = services.pause(actor=actor_of(request), target=target, reason=given.validated_data["reason"])
    return Response(PauseOutput(paused).data)


def _resume(request: Request, target: PauseTarget) -> Response:
    return Response(PauseOutput(services.resume(actor=actor_of(request), target=target)).data)


class RunPauseView(ApiView):
    """Pausing a run."""

    @extend_schema(
        operation_id="pause_run",
        request=PauseInput,
        responses={200: PauseOutput, **refusals(404, 409, 411, 415, 422)},
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        """Pause a run, and the child runs it waits for: nothing of it begins, what runs goes on to its end."""
        return _pause(request, PauseTarget(run_id=run_id))


class RunResumeView(ApiView):
    """Resuming a run."""

    @extend_schema(operation_id="resume_run", request=None, responses={200: PauseOutput, **refusals(404, 409)})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Let a paused run go on."""
        return _resume(request, PauseTarget(run_id=run_id))


class WorkflowPauseView(ApiView):
    """Pausing a workflow."""

    @extend_schema(
        operation_id="pause_workflow",
        request=PauseInput,
        responses={200: PauseOutput, **refusals(404, 409, 411, 415, 422)},
    )
    def post(self, request: Request, reference: str) -> Response:
        """Pause all runs of a workflow; runs started meanwhile wait for the end of the pause."""
        return _pause(request, PauseTarget(workflow=reference))


class WorkflowResumeView(ApiView):
    """Resuming a workflow."""

    @extend_schema(
        operation_id="resume_workflow",
        request=None,
        responses={200: PauseOutput, **refusals(404, 409)},
    )
    def post(self, request: Request, reference: str) -> Response:
        """Let the runs of a paused workflow go on."""
        return _resume(request, PauseTarget(workflow=reference))


class QueuePauseView(ApiView):
    """Pausing a queue."""

    @extend_schema(
        operation_id="pause_queue",
        request=PauseInput,
        responses={200: PauseOutput, **refusals(404, 409, 411, 415, 422)},
    )
    def post(self, request: Request, queue: str) -> Response:
        """Pause the organization's tasks in a queue: none begins, what runs goes on to its end."""
        return _pause(request, PauseTarget(queue=queue))


class QueueResumeView(ApiView):
    """Resuming a queue."""

    @extend_schema(operation_id="resume_queue", request=None, responses={200: PauseOutput, **refusals(404, 409)})
    def post(self, request: Request, queue: str) -> Response:
        """Let the organization's tasks in a paused queue go on."""
        return _resume(request, PauseTarget(queue=queue))


class OrganizationPauseView(ApiView):
    """Pausing everything."""

    @extend_schema(
        operation_id="pause_organization",
        request=PauseInput,
        responses={200: PauseOutput, **refusals(409, 411, 415, 422)},
    )
    def post(self, request: Request) -> Response:
        """Pause all runs of the organization; runs started meanwhile wait for the end of the pause."""
        return _pause(request, PauseTarget())


class OrganizationResumeView(ApiView):
    """Resuming everything."""

    @extend_schema(
        operation_id="resume_organization",
        request=None,
        responses={200: PauseOutput, **refusals(409)},
    )
    def post(self, request: Request) -> Response:
        """Let the runs of a paused organization go on, but for what is paused besides."""
        return _resume(request, PauseTarget())


class PauseListView(ApiView):
    """What is paused."""

    @extend_schema(
        operation_id="list_pauses",
        parameters=parameters.OF_PAUSES,
        responses={200: page_of(PauseOutput), **refusals(404, 422)},
    )
    def get(self, request: Request) -> Response:
        """List what is paused now, the latest first; with `run`, what keeps that run or a task of it."""
        wanted = parameters.query(parameters.PauseParameters, request)
        rows = selectors.list_pauses(actor=actor_of(request), run_id=wanted.run)
        return answer_page(self, request, LatestPausePagination(), rows, PauseOutput)

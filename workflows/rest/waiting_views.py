"""The REST views of signals and approvals."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors as accounts
from accounts.rest.authentication import actor_of
from accounts.rest.views import ApiView
from maestro.core.rest.openapi import page_of, refusals
from maestro.core.rest.pagination import OldestFirstPagination, answer_page
from workflows.parking import selectors, services
from workflows.parking.approval import Outcome
from workflows.rest import parameters, waiting_serializers
from workflows.runs import selectors as runs


class SignalListView(ApiView):
    """The signals of a run."""

    @extend_schema(
        operation_id="list_signals",
        parameters=parameters.OF_PAGES,
        responses={200: page_of(waiting_serializers.SignalOutput), **refusals(404, 422)},
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """List the signals that were sent to a run, oldest first, and which task took each."""
        actor = actor_of(request)
        parameters.query(parameters.PageParameters, request)
        run = runs.get_run(actor=actor, run_id=run_id)
        rows = selectors.list_signals(actor=actor, run=run)
        secrets = runs.secrets_of(run)
        return answer_page(
            self, request, OldestFirstPagination(), rows, waiting_serializers.SignalOutput, secrets=secrets
        )

    @extend_schema(
        operation_id="send_signal",
        request=waiting_serializers.SignalInput,
        responses={201: waiting_serializers.SignalOutput, **refusals(404, 409, 411, 415, 422)},
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        """Send a signal: a task that waits for its name, now or later, takes its payload as its output."""
        given = waiting_serializers.SignalInput(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        signal = services.send_signal(
            actor=actor_of(request),
            run_id=run_id,
            name=values["name"],
            payload=values["payload"],
            key=values["id"],
        )
        context = {"secrets": runs.secrets_of(signal.run)}
        return Response(waiting_serializers.SignalOutput(signal, context=context).data, status=201)


class ApprovalListView(ApiView):
    """What waits for a decision."""

    @extend_schema(
        operation_id="list_approvals",
        parameters=parameters.OF_PAGES,
        responses={200: page_of(waiting_serializers.ApprovalOutput), **refusals(422)},
    )
    def get(self, request: Request) -> Response:
        """List the tasks that wait for a decision, oldest first, and whether you may decide."""
        actor = actor_of(request)
        parameters.query(parameters.PageParameters, request)
        rows = selectors.list_approvals(actor=actor)
        return answer_page(
            self,
            request,
            OldestFirstPagination(),
            rows,
            waiting_serializers.ApprovalOutput,
            actor=actor,
            member=accounts.get_member(actor=actor),
        )


class _DecisionView(ApiView):
    outcome: Outcome

    def _decide(self, request: Request, run_id: UUID, task_key: str) -> Response:
        given = waiting_serializers.DecisionInput(data=request.data)
        given.is_valid(raise_exception=True)
        decision = services.decide_approval(
            actor=actor_of(request), run_id=run_id, task_key=task_key, outcome=self.outcome, **given.validated_data
        )
        return Response(waiting_serializers.DecisionOutput(decision).data)


class ApproveView(_DecisionView):
    """Approving."""

    outcome = Outcome.APPROVED

    @extend_schema(
        operation_id="approve",
        request=waiting_serializers.DecisionInput,
        responses={200: waiting_serializers.DecisionOutput, **refusals(404, 409, 411, 415, 422)},
    )
    def post(self, request: Request, run_id: UUID, task_key: str) -> Response:
        """Approve what a task asks: it succeeds, with the answers of its form in its output."""
        return self._decide(request, run_id, task_key)


class RejectView(_DecisionView):
    """Rejecting."""

    outcome = Outcome.REJECTED

    @extend_schema(
        operation_id="reject",
        request=waiting_serializers.DecisionInput,
        responses={200: waiting_serializers.DecisionOutput, **refusals(404, 409, 411, 415, 422)},
    )
    def post(self, request: Request, run_id: UUID, task_key: str) -> Response:
        """Reject what a task asks: it fails, and is not tried again."""
        return self._decide(request, run_id, task_key)

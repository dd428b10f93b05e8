"""Routes of workflows and runs, below /api/v1/."""

from django.urls import path

from workflows.rest import pause_views, run_views, views, waiting_views

urlpatterns = [
    path("workflows", views.WorkflowListView.as_view()),
    path("workflows/validate", views.WorkflowValidationView.as_view()),
    path("workflows/<str:reference>", views.WorkflowView.as_view()),
    path("workflows/<str:reference>/versions", views.WorkflowVersionListView.as_view()),
    path("workflows/<str:reference>/versions/<int:number>/activate", views.WorkflowActivationView.as_view()),
    path("workflows/<str:reference>/canvas", views.WorkflowCanvasView.as_view()),
    path("workflows/<str:reference>/archive", views.WorkflowArchiveView.as_view()),
    path("workflows/<str:reference>/runs", run_views.WorkflowRunStartView.as_view()),
    path("workflow-runs", run_views.RunListView.as_view()),
    path("workflow-runs/<uuid:run_id>", run_views.RunView.as_view()),
    path("workflow-runs/<uuid:run_id>/cancel", run_views.RunCancelView.as_view()),
    path("workflow-runs/<uuid:run_id>/explanation", run_views.RunExplanationView.as_view()),
    path("workflow-runs/<uuid:run_id>/task-executions", run_views.TaskExecutionListView.as_view()),
    path("workflow-runs/<uuid:run_id>/task-executions/<str:task_key>/approve", waiting_views.ApproveView.as_view()),
    path("workflow-runs/<uuid:run_id>/task-executions/<str:task_key>/reject", waiting_views.RejectView.as_view()),
    path("workflow-runs/<uuid:run_id>/signals", waiting_views.SignalListView.as_view()),
    path("workflow-runs/<uuid:run_id>/past-attempts", run_views.TaskAttemptListView.as_view()),
    path("workflow-runs/<uuid:run_id>/logs", run_views.RunLogView.as_view()),
    path("workflow-runs/<uuid:run_id>/pause", pause_views.RunPauseView.as_view()),
    path("workflow-runs/<uuid:run_id>/resume", pause_views.RunResumeView.as_view()),
    path("workflows/<str:reference>/pause", pause_views.WorkflowPauseView.as_view()),
    path("workflows/<str:reference>/resume", pause_views.WorkflowResumeView.as_view()),
    path("queues/<str:queue>/pause", pause_views.QueuePauseView.as_view()),
    path("queues/<str:queue>/resume", pause_views.QueueResumeView.as_view()),
    path("organization/pause", pause_views.OrganizationPauseView.as_view()),
    path("organization/resume", pause_views.OrganizationResumeView.as_view()),
    path("pauses", pause_views.PauseListView.as_view()),
    path("approvals", waiting_views.ApprovalListView.as_view()),
    path("kinds", views.KindListView.as_view()),
]

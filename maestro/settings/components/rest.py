"""REST framework and OpenAPI."""

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.rest.authentication.ApiKeyAuthentication",
        "accounts.rest.authentication.ActorSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.rest.authentication.IsActor"],
    "DEFAULT_PARSER_CLASSES": ["maestro.core.rest.parsers.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "maestro.core.rest.negotiation.JSONNegotiation",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "maestro.core.rest.pagination.NewestFirstPagination",
    "DEFAULT_SCHEMA_CLASS": "maestro.core.rest.openapi.Schema",
    "EXCEPTION_HANDLER": "maestro.core.rest.errors.answer_problem",
    "UNAUTHENTICATED_USER": None,
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Maestro Conductor",
    "DESCRIPTION": "Workflows, their runs and their tasks. Errors are `application/problem+json` (RFC 9457).",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RunStatus": "workflows.runs.statuses.RunStatus",
        "TaskStatus": "workflows.runs.statuses.TaskStatus",
    },
}

"""Every address the API process serves."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.negotiation import DefaultContentNegotiation

urlpatterns = [
    path("", RedirectView.as_view(url="/api/docs/")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("workflows.rest.urls")),
    path(
        "api/schema/",
        SpectacularAPIView.as_view(content_negotiation_class=DefaultContentNegotiation),  # `?format=json` or `yaml`
        name="schema",
    ),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
]

handler400 = "maestro.core.rest.errors.answer_bad_request"
handler403 = "maestro.core.rest.errors.answer_forbidden"
handler404 = "maestro.core.rest.errors.answer_not_found"
handler500 = "maestro.core.rest.errors.answer_server_error"

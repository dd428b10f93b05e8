"""The forms by which people pause, and decide what waits for them. What they may say is decided where it is decided for
every interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from workflows.admin.run_form import RunForm, Schema


class PauseForm(forms.Form):
    """Asks why."""

    reason = forms.CharField(
        required=False,
        max_length=1000,
        widget=UnfoldAdminTextInputWidget(
            attrs={"placeholder": "Why? Others see it.", "aria-label": "Why it is paused"}
        ),
    )


class DecisionForm(RunForm):
    """Asks for the answers of an approval's form, and a word to the decision."""

    def __init__(self, *args: Any, schemas: Mapping[str, Schema], **kwargs: Any) -> None:
        super().__init__(*args, schemas=schemas, **kwargs)
        self.fields["comment"] = forms.CharField(
            required=False,
            max_length=2000,
            help_text="A word to the decision.",
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        )

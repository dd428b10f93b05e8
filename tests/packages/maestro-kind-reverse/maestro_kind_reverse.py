"""The kind `reverse`: writes a text backwards."""

from typing import ClassVar

from pydantic import Field

from executors.base import CANCELLED, Options, TaskContext, TaskError, TaskRequest, TaskResult


class ReverseOptions(Options):
    """Options of `reverse`."""

    text: str = Field(description="The text.")
    words: bool = Field(default=False, description="Turn the order of the words around, not that of the characters.")


class ReverseExecutor:
    """Writes a text backwards."""

    kind: ClassVar[str] = "reverse"
    summary: ClassVar[str] = "Writes a text backwards."
    Options = ReverseOptions

    def execute(self, request: TaskRequest[ReverseOptions], context: TaskContext) -> TaskResult:
        """Turn the text around; an empty one fails the task."""
        if context.is_cancelled():
            return TaskResult(error=CANCELLED)
        text = request.options.text
        if not text:
            return TaskResult(error=TaskError(code="empty_text", message="with.text is empty.", is_retryable=False))
        context.write_line(f"attempt {request.attempt}: {len(text)} characters")
        backwards = " ".join(reversed(text.split())) if request.options.words else text[::-1]
        return TaskResult(output={"text": backwards})

"""How a followed run looks on a terminal: a progress bar and the tasks, redrawn in place."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from maestro.cli import lines, output, text
from maestro.cli.lines import TaskLine
from maestro.cli.tracking import Progress

FRAMES_PER_SECOND = 8
ROWS_AROUND_TASKS = 6
GLYPHS = {
    "pending": "·",
    "queued": "○",
    "waiting": "◔",
    "succeeded": "✓",
    "failed": "✗",
    "skipped": "↷",
    "cancelled": "⊘",
}
ASCII_GLYPHS = {
    "pending": ".",
    "queued": "o",
    "waiting": "~",
    "succeeded": "+",
    "failed": "x",
    "skipped": "-",
    "cancelled": "/",
}


class LiveView:
    """A frame that follows the run; the last one stays on the screen."""

    def __init__(self, console: Console, now: Callable[[], datetime.datetime]) -> None:
        self._console = console
        self._now = now
        self._progress: Progress | None = None
        self._notice = ""
        self._is_ascii = not console.encoding.lower().startswith("utf")
        self._spinner = Spinner("line" if self._is_ascii else "dots", style=output.STATUS_COLOURS["running"])
        self._live = Live(console=console, get_renderable=self._frame, refresh_per_second=FRAMES_PER_SECOND)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Draw what is known now."""
        self._progress = progress
        self._notice = ""
        self._live.refresh()

    def notice(self, message: str) -> None:
        """Draw the message under the tasks until the next news."""
        self._notice = message

    def _frame(self) -> RenderableType:
        if self._progress is None:
            return Text(self._notice, style="yellow")
        parts: list[RenderableType] = [self._header(self._progress), self._bar(self._progress)]
        most = min(lines.MOST_LISTED, max(self._console.size.height - ROWS_AROUND_TASKS, 4))
        parts.append(self._table(lines.task_lines(self._progress, self._now(), most=most)))
        if len(self._progress.tasks) > most:
            parts.append(Text(lines.summary(self._progress), style="bright_black"))
        if self._notice:
            parts.append(Text(self._notice, style="yellow"))
        return Group(*parts)

    def _header(self, progress: Progress) -> Text:
        run = progress.run
        header = Text(no_wrap=True, overflow="ellipsis")
        header.append(text.one_line(run.workflow), style="bold")
        header.append(f" v{run.version}" if run.version is not None else "")
        header.append(f"  {text.one_line(run.id)}  ", style="bright_black")
        header.append(text.one_line(run.status), style=output.STATUS_COLOURS.get(run.status, ""))
        header.append(f" ({text.one_line(run.reason)})" if run.reason else "", style="yellow")
        header.append(f"  {text.elapsed(run.started_at or run.created_at, run.finished_at, self._now())}")
        return header

    def _bar(self, progress: Progress) -> Table:
        total, done = len(progress.tasks), progress.finished_count
        style = output.STATUS_COLOURS["failed" if progress.status_counts.get("failed") else "succeeded"]
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(total, 1), completed=done, width=32, complete_style=style, finished_style=style)
        row.add_row(bar, Text(f"{done:,}/{total:,}"))
        return row

    def _table(self, task_lines: tuple[TaskLine, ...]) -> Table:
        table = Table.grid(padding=(0, 1))
        for column in ("glyph", "key", "status", "duration"):
            table.add_column(no_wrap=True, justify="right" if column == "duration" else "left")
        table.add_column(no_wrap=True, overflow="ellipsis")
        for line in task_lines:
            style = output.STATUS_COLOURS.get(line.status, "")
            table.add_row(
                self._glyph(line),
                Text("  " * line.indentation + line.key, overflow="ellipsis"),
                Text(text.one_line(line.status), style=style),
                Text(line.duration),
                Text(line.detail, style="red" if line.status == "failed" else "bright_black"),
            )
        return table

    def _glyph(self, line: TaskLine) -> RenderableType:
        if line.status == "running":
            return self._spinner
        glyphs = ASCII_GLYPHS if self._is_ascii else GLYPHS
        return Text(glyphs.get(line.status, "?"), style=output.STATUS_COLOURS.get(line.status, ""))

"""The rows of a run's tasks, written from the plan that is stored with its version, so that they never travel."""

from __future__ import annotations

from workflows.definition.priority import Priority

_STEPS = " ".join(f"WHEN '{priority}' THEN {priority.step}" for priority in Priority)

# For a CTE `run` with the run's id, organization_id, workflow_version_id, section, hold and priority. Writes the
# tasks of the section; those without needs are ready at once. What an older plan does not say is the default.
INSERT_TASKS = """
    INSERT INTO task_executions (
        organization_id, run_id, section, task_key, position, kind, run_if, continue_on_error, needs, status, queued_at,
        reason, attempt, tries, platform_failures, generation, hold, worker, queue, priority,
        error_code, error_message, created_at, queue_limit, attempt_limit, grace, total_limit
    )
    SELECT run.organization_id, run.id, run.section, task.value ->> 0, task.ordinality - 1, task.value ->> 1,
           task.value ->> 2, coalesce((task.value ->> 6)::boolean, false), needs.keys,
           CASE WHEN cardinality(needs.keys) = 0 THEN 'queued' ELSE 'pending' END,
           CASE WHEN cardinality(needs.keys) = 0 THEN clock_timestamp() END,
           '', 0, 0, 0, 0, run.hold, '', 'maestro', CASE run.priority {steps} END, '', '', clock_timestamp(),
           limits.queue, limits.attempt, limits.grace, limits.total
    FROM run JOIN workflow_versions v ON v.id = run.workflow_version_id
         CROSS JOIN LATERAL jsonb_array_elements(v.plan -> 'tasks') WITH ORDINALITY AS task
         CROSS JOIN LATERAL (SELECT ARRAY(SELECT jsonb_array_elements_text(task.value -> 3)) AS keys) needs
         CROSS JOIN LATERAL (
             SELECT make_interval(secs => (task.value #>> '{5,queue}')::float) AS queue,
                    make_interval(secs => (task.value #>> '{5,attempt}')::float) AS attempt,
                    make_interval(secs => (task.value #>> '{5,grace}')::float) AS grace,
                    make_interval(secs => (task.value #>> '{5,total}')::float) AS total
         ) limits
    WHERE coalesce(task.value ->> 7, 'tasks') = run.section
    RETURNING id, task_key, generation, priority, queued_at
""".replace("{steps}", _STEPS)

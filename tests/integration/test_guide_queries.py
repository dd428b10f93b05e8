"""The SQL that operators were promised runs as typed, as the role they use."""

import os

import psycopg
import pytest

from maestro.core import sql
from tests.builders import start_run, wait_for_end

pytestmark = pytest.mark.usefixtures("database")

RECENT_FAILURES = """
  SELECT w.name, wr.status, wr.error_message, wr.created_at
  FROM workflow_runs wr
  JOIN workflows w ON wr.workflow_id = w.id
  WHERE wr.status = 'failed'
  AND wr.created_at > NOW() - INTERVAL '1 hour'
  ORDER BY wr.created_at DESC
  LIMIT 20;
"""
QUERIES = {
    "recent failures": RECENT_FAILURES,
    "slowest statements": """
  SELECT query, mean_time, calls, total_time
  FROM pg_stat_statements
  ORDER BY mean_time DESC
  LIMIT 10;
""",
    "connections": """
  SELECT count(*), state
  FROM pg_stat_activity
  WHERE datname = 'maestro'
  GROUP BY state;
""",
    "connection limit": "SHOW max_connections;",
    "slow queries": """
SELECT query, mean_time, calls, total_time
FROM pg_stat_statements
WHERE mean_time > 1000  -- queries taking > 1 second
ORDER BY mean_time DESC;
""",
    "table sizes": """
SELECT
  schemaname,
  tablename,
  pg_size_pretty(pg_total_relation_size(schemaname||'.'||tablename)) as size
FROM pg_tables
WHERE schemaname = 'public'
ORDER BY pg_total_relation_size(schemaname||'.'||tablename) DESC;
""",
    "index usage": """
SELECT
  schemaname,
  tablename,
  attname,
  n_distinct,
  correlation
FROM pg_stats
WHERE schemaname = 'public'
AND n_distinct > 0
ORDER BY n_distinct DESC;
""",
    "unusual API usage": """
SELECT
  user_id,
  COUNT(*) as request_count,
  COUNT(DISTINCT endpoint) as unique_endpoints,
  COUNT(DISTINCT DATE_TRUNC('hour', created_at)) as active_hours
FROM api_requests
WHERE created_at > NOW() - INTERVAL '24 hours'
GROUP BY user_id
HAVING COUNT(*) > 10000  -- Threshold for investigation
ORDER BY request_count DESC;
""",
}
INDEXES = {
    "idx_workflow_runs_status_created": "workflow_runs USING btree (status, created_at)",
    "idx_workflow_runs_workflow_id_created": "workflow_runs USING btree (workflow_id, created_at DESC)",
    "idx_task_executions_status_created": "task_executions USING btree (status, created_at)",
    "idx_workflow_runs_active": "workflow_runs USING btree (workflow_id, created_at) WHERE",
    "idx_workflow_runs_dashboard": "workflow_runs USING btree (user_id, status, created_at DESC)",
}


@pytest.mark.parametrize("name", QUERIES)
def test_query_of_the_operations_guide_runs_as_typed(name):
    sql.engine_connection().execute(QUERIES[name])


@pytest.mark.parametrize("name", INDEXES)
def test_index_of_the_operations_guide_exists_as_defined(name):
    row = sql.engine_connection().execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", (name,)).fetchone()

    assert row is not None
    assert INDEXES[name] in row[0]


def test_active_runs_index_covers_running_and_pending_only():
    row = (
        sql.engine_connection()
        .execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'idx_workflow_runs_active'")
        .fetchone()
    )

    assert row[0].endswith("WHERE (status = ANY (ARRAY['running'::text, 'pending'::text]))")


def test_failed_run_is_found_with_its_cause(actor, worker):
    run = wait_for_end(start_run(actor, {"a": {"with": {"fail": "out of paper"}}}, name="printing").id)

    rows = sql.engine_connection().execute(RECENT_FAILURES).fetchall()

    assert ("printing", "failed", "Task a failed: out of paper", run.created_at) in rows


def test_failure_query_uses_its_index_when_there_are_many_runs():
    connection = sql.engine_connection()
    with connection.transaction():
        # What the planner does by itself once a sequential scan costs something.
        connection.execute("SET LOCAL enable_seqscan = off")
        plan = connection.execute("EXPLAIN " + RECENT_FAILURES).fetchall()

    assert "idx_workflow_runs_status_created" in "\n".join(row[0] for row in plan)


def test_api_role_reads_and_writes_rows_but_owns_no_table():
    with psycopg.connect(os.environ["API_DATABASE_URL"]) as connection:
        count = connection.execute("SELECT count(*) FROM workflow_runs").fetchone()
        owned = connection.execute("SELECT count(*) FROM pg_tables WHERE tableowner = current_user").fetchone()
        bypasses = connection.execute("SELECT rolbypassrls FROM pg_roles WHERE rolname = current_user").fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE workflow_runs")

    assert count is not None
    assert owned == (0,)
    assert bypasses == (False,)

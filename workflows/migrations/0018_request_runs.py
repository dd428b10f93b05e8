"""Runs that other applications ask for inside a transaction of their own, and the function by which they do."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

_FUNCTION = """
CREATE FUNCTION {schema}.maestro_start_run(
    organization text,
    workflow text,
    inputs jsonb DEFAULT '{{}}',
    idempotency_key text DEFAULT NULL,
    start_at timestamptz DEFAULT NULL,
    deadline timestamptz DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    target record;
    moment timestamptz := clock_timestamp();
    made uuid;
    same boolean;
BEGIN
    IF jsonb_typeof(maestro_start_run.inputs) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'The inputs must be a JSON object of input names to values, for example {{"order": 7}}.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(maestro_start_run.inputs::text) > 2 * 1024 * 1024 THEN
        RAISE EXCEPTION 'The inputs are too large: at most 1,048,576 bytes as JSON are allowed.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Long ago is now, and not every program can read how long ago.
    IF start_at < moment - interval '366 days' THEN
        start_at := NULL;
    END IF;
    IF maestro_start_run.start_at > moment + interval '366 days' THEN
        RAISE EXCEPTION 'start_at must be within 366 days from now.' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF maestro_start_run.deadline <= greatest(moment, maestro_start_run.start_at) THEN
        RAISE EXCEPTION 'The deadline must be later than the start of the run.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF maestro_start_run.deadline > greatest(moment, maestro_start_run.start_at) + interval '366 days' THEN
        RAISE EXCEPTION 'The deadline must be within 366 days of the start of the run.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF length(maestro_start_run.idempotency_key) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'An idempotency key has 1 to 255 characters.' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT o.id AS organization_id, e.id AS environment_id INTO target
    FROM {schema}.organizations o
         JOIN {schema}.environments e ON e.organization_id = o.id AND e.name = 'production'
    WHERE o.slug = maestro_start_run.organization;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'There is no organization "%".', maestro_start_run.organization
            USING ERRCODE = 'no_data_found', HINT = 'Name an organization by its slug.';
    END IF;
    SELECT target.organization_id, target.environment_id, w.id AS workflow_id, w.active_version_id INTO target
    FROM {schema}.workflows w
    WHERE w.organization_id = target.organization_id AND w.name = maestro_start_run.workflow
      AND w.archived_at IS NULL AND w.active_version_id IS NOT NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'There is no workflow "%" in organization "%".',
            maestro_start_run.workflow, maestro_start_run.organization
            USING ERRCODE = 'no_data_found', HINT = '`maestro workflows` lists the names.';
    END IF;
    -- A UUID of version 7: the time in milliseconds, then random bits.
    made := encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                PLACING substring(int8send((extract(epoch FROM moment) * 1000)::bigint) FROM 3) FROM 1 FOR 6
            ), 52, 1
        ), 53, 1), 'hex'
    )::uuid;
    INSERT INTO {schema}.run_requests AS r (
        id, organization_id, environment_id, workflow_id, workflow_version_id, inputs, idempotency_key, start_at,
        deadline_at, created_at
    )
    VALUES (
        made, target.organization_id, target.environment_id, target.workflow_id, target.active_version_id,
        maestro_start_run.inputs, maestro_start_run.idempotency_key, maestro_start_run.start_at,
        maestro_start_run.deadline, moment
    )
    ON CONFLICT ON CONSTRAINT run_request_key_is_unique DO NOTHING
    RETURNING r.id INTO made;
    IF FOUND THEN
        RETURN made;
    END IF;
    -- Whoever had the key before has committed.
    SELECT r.id,
           r.workflow_id = target.workflow_id AND r.inputs = maestro_start_run.inputs
           AND r.start_at IS NOT DISTINCT FROM maestro_start_run.start_at
           AND r.deadline_at IS NOT DISTINCT FROM maestro_start_run.deadline
    INTO made, same
    FROM {schema}.run_requests r
    WHERE r.organization_id = target.organization_id AND r.idempotency_key = maestro_start_run.idempotency_key;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'The idempotency key was forgotten a moment ago. Repeat the transaction.'
            USING ERRCODE = 'serialization_failure';
    END IF;
    IF NOT same THEN
        RAISE EXCEPTION 'This idempotency key was used before for another run. Give a new key to a new run.'
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN made;
END
$function$
"""


def create_function(apps: Any, schema_editor: Any) -> None:
    """Make the function in the schema of the tables; nobody may call it who was not granted to."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        (schema,) = cursor.fetchone()
        cursor.execute(_FUNCTION.format(schema=schema))
        cursor.execute(f"REVOKE ALL ON FUNCTION {schema}.maestro_start_run FROM PUBLIC")


def drop_function(apps: Any, schema_editor: Any) -> None:
    """Remove the function."""
    schema_editor.execute("DROP FUNCTION IF EXISTS maestro_start_run")


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_remember_idempotency_keys'),
        ('workflows', '0017_pause'),
    ]

    operations = [
        migrations.CreateModel(
            name='RunRequest',
            fields=[
                ('id', models.UUIDField(help_text='The id that the run will have.', primary_key=True, serialize=False)),
                ('inputs', models.JSONField()),
                ('idempotency_key', models.TextField(null=True)),
                ('start_at', models.DateTimeField(null=True)),
                ('deadline_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(editable=False)),
                ('done_at', models.DateTimeField(help_text='When it became a run; empty until then.', null=True)),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.environment')),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.organization')),
                ('workflow', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workflows.workflow')),
                ('workflow_version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workflows.workflowversion')),
            ],
            options={
                'db_table': 'run_requests',
                'indexes': [models.Index(condition=models.Q(('done_at', None)), fields=['created_at'], name='idx_run_requests_open'), models.Index(condition=models.Q(('done_at__isnull', False)), fields=['done_at'], name='idx_run_requests_done')],
                'constraints': [models.UniqueConstraint(fields=('organization', 'idempotency_key'), name='run_request_key_is_unique')],
            },
        ),
        migrations.RunPython(create_function, drop_function),
    ]

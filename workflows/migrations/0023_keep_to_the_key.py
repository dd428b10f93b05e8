"""The function by which other applications start runs looks for the key first: what came after the first call, a
deadline that is over or a workflow that was archived, does not turn the same question into a mistake.
"""

from typing import Any

from django.db import migrations

_FUNCTION = """
CREATE OR REPLACE FUNCTION {schema}.maestro_start_run(
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
    wanted record;
    moment timestamptz := clock_timestamp();
    oldest constant interval := interval '366 days';
    made uuid;
    same boolean;
    is_taken boolean := false;
BEGIN
    IF jsonb_typeof(maestro_start_run.inputs) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'The inputs must be a JSON object of input names to values, for example {{"order": 7}}.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(maestro_start_run.inputs::text) > 2 * 1024 * 1024 THEN
        RAISE EXCEPTION 'The inputs are too large: at most 1,048,576 bytes as JSON are allowed.'
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
    -- Twice at most: whoever had the key before, while this call was at it, has committed.
    LOOP
        IF maestro_start_run.idempotency_key IS NOT NULL THEN
            SELECT r.id,
                   w.name = maestro_start_run.workflow AND r.inputs = maestro_start_run.inputs
                   AND r.start_at IS NOT DISTINCT FROM
                       CASE WHEN maestro_start_run.start_at < r.created_at - oldest THEN NULL
                            ELSE maestro_start_run.start_at END
                   AND r.deadline_at IS NOT DISTINCT FROM maestro_start_run.deadline
            INTO made, same
            FROM {schema}.run_requests r JOIN {schema}.workflows w ON w.id = r.workflow_id
            WHERE r.organization_id = target.organization_id AND r.idempotency_key = maestro_start_run.idempotency_key;
            IF FOUND AND same THEN
                RETURN made;
            ELSIF FOUND THEN
                RAISE EXCEPTION 'This idempotency key was used before for another run. Give a new key to a new run.'
                    USING ERRCODE = 'unique_violation';
            ELSIF is_taken THEN
                RAISE EXCEPTION 'The idempotency key was forgotten a moment ago. Repeat the transaction.'
                    USING ERRCODE = 'serialization_failure';
            END IF;
        END IF;
        IF maestro_start_run.start_at > moment + oldest THEN
            RAISE EXCEPTION 'start_at must be within 366 days from now.' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF maestro_start_run.deadline <= greatest(moment, maestro_start_run.start_at) THEN
            RAISE EXCEPTION 'The deadline must be later than the start of the run.'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF maestro_start_run.deadline > greatest(moment, maestro_start_run.start_at) + oldest THEN
            RAISE EXCEPTION 'The deadline must be within 366 days of the start of the run.'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        SELECT w.id AS workflow_id, w.active_version_id INTO wanted
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
            made, target.organization_id, target.environment_id, wanted.workflow_id, wanted.active_version_id,
            maestro_start_run.inputs, maestro_start_run.idempotency_key,
            -- Long ago is now, and not every program can read how long ago.
            CASE WHEN maestro_start_run.start_at < moment - oldest THEN NULL ELSE maestro_start_run.start_at END,
            maestro_start_run.deadline, moment
        )
        ON CONFLICT ON CONSTRAINT run_request_key_is_unique DO NOTHING
        RETURNING r.id INTO made;
        IF FOUND THEN
            RETURN made;
        END IF;
        is_taken := true;
    END LOOP;
END
$function$
"""


def replace_function(apps: Any, schema_editor: Any) -> None:
    """Put the function in the place of the one before; whoever may call that one may call this one."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        (schema,) = cursor.fetchone()
        cursor.execute(_FUNCTION.format(schema=schema))


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0022_find_what_is_due_and_not_paused'),
    ]

    operations = [
        # Back: the function serves the tables of before as well.
        migrations.RunPython(replace_function, migrations.RunPython.noop),
    ]

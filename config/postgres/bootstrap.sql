-- What only a superuser can do for Maestro's database: roles, extension, grants. Safe to run again at any time.
--
-- `maestro up` runs this file by itself. On your own server, as a superuser:
--
--     createdb maestro
--     psql -d maestro -v ON_ERROR_STOP=1 --single-transaction -f config/postgres/bootstrap.sql
--     psql -d maestro -c '\password maestro' -c '\password maestro_api'
--
-- Passwords are not in this file; `\password` sends only their SCRAM form. pg_stat_statements also needs
-- `shared_preload_libraries = 'pg_stat_statements'` in postgresql.conf and a restart; without it its view answers with an error.
--
-- Role `maestro` owns the database and the tables: migrations, workers, beat, backups and the operator's psql.
-- Role `maestro_api` is what API processes connect as. It owns nothing, so row-level security binds it.

SET client_min_messages = warning;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'maestro') THEN
        CREATE ROLE maestro;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'maestro_api') THEN
        CREATE ROLE maestro_api;
    END IF;
    EXECUTE format('ALTER DATABASE %I OWNER TO maestro', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO maestro_api', current_database());
END
$$;

ALTER ROLE maestro LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS;
ALTER ROLE maestro_api LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOBYPASSRLS;

-- Troubleshooting: everybody's queries in pg_stat_activity and pg_stat_statements.
GRANT pg_read_all_stats TO maestro;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO maestro;
GRANT USAGE ON SCHEMA public TO maestro_api;
ALTER DEFAULT PRIVILEGES FOR ROLE maestro IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO maestro_api;
ALTER DEFAULT PRIVILEGES FOR ROLE maestro IN SCHEMA public GRANT USAGE ON SEQUENCES TO maestro_api;

-- The columns lost their old names (mean_time, total_time, ...) in PostgreSQL 13; operators' queries still use them.
-- The view goes first: an extension cannot be updated, nor its columns change, while a view stands on it.
CREATE SCHEMA IF NOT EXISTS ext;
GRANT USAGE ON SCHEMA ext TO maestro;
DROP VIEW IF EXISTS public.pg_stat_statements;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements WITH SCHEMA ext;
ALTER EXTENSION pg_stat_statements UPDATE;
CREATE VIEW public.pg_stat_statements AS
SELECT
    statements.*,
    statements.mean_exec_time AS mean_time,
    statements.total_exec_time AS total_time,
    statements.min_exec_time AS min_time,
    statements.max_exec_time AS max_time,
    statements.stddev_exec_time AS stddev_time
FROM ext.pg_stat_statements AS statements;
GRANT SELECT ON public.pg_stat_statements TO maestro;

-- Lets a role of another application start runs by `maestro_start_run`, inside its own transactions:
--
--     psql -d maestro -v role=shop -f config/postgres/grant-start-runs.sql
--
-- The function runs with the rights of whoever calls it. They are trusted: they may ask for runs of every workflow of
-- every organization, with any inputs, and read what was asked for in the last day, secret inputs included.

GRANT USAGE ON SCHEMA public TO :"role";
GRANT EXECUTE ON FUNCTION public.maestro_start_run TO :"role";
GRANT SELECT (id, slug) ON public.organizations TO :"role";
GRANT SELECT (id, organization_id, name) ON public.environments TO :"role";
GRANT SELECT (id, organization_id, name, archived_at, active_version_id) ON public.workflows TO :"role";
GRANT SELECT, INSERT ON public.run_requests TO :"role";

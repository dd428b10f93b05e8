"""`maestro open`: where things are in a browser, and which server the commands talk to."""

from __future__ import annotations

import click

from maestro.cli.options import RunId, find_connection, json_option, open_client, server_options


@click.command("open")
@click.argument("run_id", metavar="[RUN]", type=RunId(), required=False)
@click.option("--browser", is_flag=True, help="Open the run's page, or without RUN the admin, in a browser.")
@json_option
@server_options
def open_command(
    run_id: str | None, browser: bool, as_json: bool, url: str | None, home: str | None, profile: str | None
) -> None:
    """Print the addresses of the API, its documentation, the admin, Flower and of RUN, once the server has answered.

    It also says where the address and the API key were found.
    """
    from maestro.cli import failures, output, text

    connection = find_connection(url=url, home=home, profile=profile)
    with open_client(connection) as client:
        if run_id:
            client.runs.get(run_id)
        else:
            client.list_kinds()
        base = client.base_url
    pages = {"api": base, "api_docs": f"{base}/api/docs/", "admin": f"{base}/admin/"}
    if connection.flower_url:
        pages["flower"] = connection.flower_url
    if run_id:
        pages["run"] = f"{base}/admin/workflows/workflowrun/{run_id}/change/"
    if as_json:
        output.print_json({**pages, "url_source": connection.url_source, "key_source": connection.key_source})
    else:
        for name, address in pages.items():
            label = name.replace("_", " ").capitalize().replace("Api", "API")
            click.echo(f"{output.faint(f'{label:<9}')} {text.one_line(address)}")
        click.echo(
            f"\nThe address is from {text.one_line(connection.url_source)}, "
            f"the API key from {text.one_line(connection.key_source)}."
        )
    if browser and click.launch(pages.get("run", pages["admin"])):
        raise failures.Failure("No browser could be opened here; open the address yourself.", code="no_browser")

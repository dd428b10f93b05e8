from workflows.admin.reading import in_reading_order


def test_definition_is_read_in_the_order_of_the_language_and_of_its_tasks():
    stored = {
        "name": "n",
        "tasks": {"z": {"needs": ["b"], "uses": "noop", "with": {}}, "b": {"uses": "noop"}, "new": {"uses": "noop"}},
        "schema_version": 1,
        "of the future": 1,
    }

    read = in_reading_order(stored, ["b", "z", "gone"])

    assert read == stored
    assert list(read) == ["schema_version", "name", "tasks", "of the future"]
    assert list(read["tasks"]) == ["b", "z", "new"]
    assert list(read["tasks"]["z"]) == ["uses", "with", "needs"]

"""What expressions read."""

import pytest

from workflows.definition.cel import ExpressionRefused, compile_expression


def read_by(text):
    return {
        ".".join(part for part in (reference.root, reference.name, reference.member) if part)
        for reference in compile_expression(text).references
    }


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("1", set()),
        ("inputs.day", {"inputs.day"}),
        ("inputs", {"inputs"}),
        ("inputs['da' + 'y']", {"inputs"}),
        ("tasks.a", {"tasks.a"}),
        ("tasks.a.output.rows", {"tasks.a.output"}),
        ("tasks.a.output[0].x", {"tasks.a.output"}),
        ("tasks['a'].output", {"tasks.a.output"}),
        ('tasks["a"]["status"]', {"tasks.a.status"}),
        ("tasks[r'a'].output", {"tasks.a.output"}),
        ("tasks['\\u0061'].output", {"tasks.a.output"}),
        ("tasks . a // tasks.b\n . output", {"tasks.a.output"}),
        ("tasks.a.output.`b-c`", {"tasks.a.output"}),
        ("tasks[inputs.key].output", {"tasks", "inputs.key"}),
        ("has(tasks.a.output.x)", {"tasks.a.output"}),
        ("tasks.a.output.size() + size(tasks.b.output)", {"tasks.a.output", "tasks.b.output"}),
        ("'tasks.x' + \"tasks['y']\" + '''tasks.z'''", set()),
        ("{'tasks': run.id, inputs.key: [tasks.a.status]}", {"run.id", "inputs.key", "tasks.a.status"}),
        ("inputs.yes ? tasks.a.output : tasks.b.output", {"inputs.yes", "tasks.a.output", "tasks.b.output"}),
        ("inputs.list.filter(r, r.tasks.x == tasks.y.status)", {"inputs.list", "tasks.y.status"}),
        ("inputs.list.map(x, x > 1, [x].map(y, y + inputs.n))", {"inputs.list", "inputs.n"}),
        ("[1].map(tasks, tasks)", set()),
        ("[1].map(tasks, .tasks.a.status)", {"tasks.a.status"}),
        ("tasks.b.output.map(tasks, tasks.a)", {"tasks.b.output"}),
        ("[tasks.a, tasks.b].exists(t, t.status == 'failed')", {"tasks.a", "tasks.b"}),
        ("tasks.exists(key, key == 'a')", {"tasks"}),
        ("timestamp(run.created_at).getFullYear()", {"run.created_at"}),
        ("google.protobuf.Struct{fields: {'a': google.protobuf.Value{string_value: inputs.x}}}", {"inputs.x"}),
    ],
)
def test_references_are_what_is_read_from_outside(text, references):
    assert read_by(text) == references


def test_path_with_a_keyword_is_left_to_the_compiler():
    with pytest.raises(ExpressionRefused, match=r"`\.in` is unexpected here"):
        compile_expression("inputs.in")

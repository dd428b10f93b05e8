import itertools

from hypothesis import given
from hypothesis import strategies as st

from workflows.admin import graph


@st.composite
def needs_of_graphs(draw):
    keys = [f"t{number}" for number in range(draw(st.integers(1, 25)))]
    return {
        key: draw(st.lists(st.sampled_from(keys[:i]), unique=True, max_size=4)) if i else []
        for i, key in enumerate(keys)
    }


@given(needs_of_graphs())
def test_every_task_stands_right_of_all_it_needs(needs):
    left = {box.key: box.x for box in graph.draw(needs).boxes}

    assert set(left) == set(needs)
    for key, needed in needs.items():
        assert all(left[need] + graph.WIDTH < left[key] for need in needed)


@given(needs_of_graphs())
def test_no_two_boxes_overlap_and_all_are_on_the_drawing(needs):
    drawing = graph.draw(needs)

    for one, other in itertools.combinations(drawing.boxes, 2):
        assert one.x != other.x or abs(one.y - other.y) >= graph.HEIGHT
    for box in drawing.boxes:
        assert 0 <= box.x <= drawing.width - graph.WIDTH
        assert 0 <= box.y <= drawing.height - graph.HEIGHT


def test_each_need_is_one_line():
    drawing = graph.draw({"a": [], "b": ["a"], "c": ["a", "b"]})

    assert len(drawing.lines) == 3


def test_branches_that_need_not_cross_do_not():
    drawing = graph.draw({"a": [], "b": [], "b2": ["b"], "a2": ["a"]})

    top = {box.key: box.y for box in drawing.boxes}
    assert (top["a"] < top["b"]) == (top["a2"] < top["b2"])


def test_long_key_is_cut_on_its_box():
    (box,) = graph.draw({"k" * 63: []}).boxes

    assert box.key == "k" * 63
    assert box.label == "k" * 20 + "…"


def test_graph_without_tasks_is_an_empty_drawing():
    assert graph.draw({}).boxes == ()

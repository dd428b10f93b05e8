"""Names of the lists in which the broker keeps the messages of a queue."""

from executors.pools.queues import key_of, keys_of, queue_of


def test_queue_is_that_of_each_of_its_keys():
    assert {queue_of(key) for key in keys_of("maestro")} == {"maestro"}


def test_keys_down_to_a_priority_are_in_the_order_in_which_messages_are_taken():
    assert keys_of("maestro", 3) == ["maestro", key_of("maestro", 3)]
    assert keys_of("maestro") == [key_of("maestro", step) for step in (0, 3, 6, 9)]

"""The list of subtle mistakes, item by item, and the tests that look for each.

Every item is a named test, or it says why it cannot be one yet. `tests.semantics.test_items` holds
this table to the tests that exist; the mutants of an item are in `tests.semantics.mutants`.
"""

from typing import NamedTuple

from tests.semantics.mutants.places import (
    EXCHANGE,
    GROUPS,
    LARGE,
    MATRIX,
    RECIPIENTS,
    SENDERS,
    SERVERS,
    WINDOW,
)


class Item(NamedTuple):
    """One item of the list."""

    what: str
    tests: tuple[str, ...]
    not_yet: str = ""
    """What of it has no test, because what it is about is not built."""
    mutants: bool = False
    """It asks for planted bugs."""


ITEMS = {
    1: Item(
        "msg:A clears the outbox",
        (f"{MATRIX}[s dies after msg a before msg n]", f"{EXCHANGE}test_accepted_never_disarms"),
        mutants=True,
    ),
    2: Item(
        "a receipt before the commit",
        (
            f"{RECIPIENTS}test_recipient_that_dies_around_its_commit_gets_everything_once",
            f"{MATRIX}[b dies before its commit]",
        ),
        mutants=True,
    ),
    3: Item(
        "a mark before the row: the commit fails, then a retry comes",
        (
            f"{RECIPIENTS}test_failed_commit_leaves_no_mark_for_the_retry",
            f"{EXCHANGE}test_commit_that_landed_although_fsync_failed_is_not_repeated",
        ),
        mutants=True,
    ),
    4: Item(
        "dedup with a window in time: copies 10 min + 1 s, 24 h and a year late",
        (
            f"{RECIPIENTS}test_late_copy_gets_the_same_verdict_and_is_delivered_no_second_time",
            f"{EXCHANGE}test_copy_delayed_by_a_year_is_not_delivered_again",
        ),
        mutants=True,
    ),
    5: Item(
        "a retransmission taken for evidence: the first copy is lost, the second delivered",
        (f"{SENDERS}test_first_copy_is_lost_and_the_second_is_delivered",),
        mutants=True,
    ),
    6: Item(
        "a copy, or a cancel, while the commit is pending",
        (
            f"{EXCHANGE}test_copy_or_cancel_during_a_pending_commit_is_answered_after_it",
            "tests/im/test_receiver.py::test_a_copy_during_the_commit_is_answered_after_it",
            "tests/im/test_receiver.py::test_a_copy_pulled_and_pushed_at_once_is_committed_once",
            "tests/im/test_receiver.py::test_a_cancel_over_old_and_new_answers_only_what_is_durable",
        ),
    ),
    7: Item(
        "the receipt again after the application deleted the message",
        (
            f"{EXCHANGE}test_receipt_comes_again_after_the_application_has_finished",
            f"{RECIPIENTS}test_copy_of_what_is_settled_is_answered_within_the_same_session",
        ),
    ),
    8: Item(
        "forged ack:N; ack for a msgid never sent; ack from another user who is logged in",
        (
            f"{SERVERS}test_forged_ack_n_of_another_session_is_not_taken",
            f"{EXCHANGE}test_verdict_for_a_seq_never_used_proves_a_rollback",
            f"{EXCHANGE}test_forged_receipt_of_another_user_is_ignored",
        ),
    ),
    9: Item(
        "STORED before the fsync",
        (
            f"{SERVERS}test_server_that_dies_before_the_fsync_has_promised_nothing",
            f"{MATRIX}[s dies after the queue s fsync before stored]",
        ),
        mutants=True,
    ),
    10: Item(
        "another store epoch with 10^4 STORED",
        (f"{WINDOW}test_ten_thousand_stored_fall_to_pending_under_a_new_store_epoch",),
    ),
    11: Item(
        "one broken rule each",
        (
            f"{EXCHANGE}test_one_device_online_and_one_away",
            "tests/im/test_in_stream.py::test_floor_only_rises_and_never_moves_cum",
            f"{EXCHANGE}test_a_device_that_joins_between_gets_what_is_due_to_it_and_claims_nothing_else",
            f"{MATRIX}[the sender gives up while a copy is queued]",
            f"{MATRIX}[ack n is lost and a is away for a week]",
            f"{SERVERS}test_pulled_rows_stay_until_their_verdict",
            "tests/im/test_delivery.py::test_a_leaver_gives_up_its_gaps_and_releases_the_rest",
        ),
        mutants=True,
    ),
    12: Item(
        "the window: the oldest never acked, a backlog of 10 W, a lost ack:N far below cum",
        (
            f"{WINDOW}test_oldest_that_never_arrives_stops_its_sender_and_a_void_lets_it_go_on",
            f"{WINDOW}test_run_above_the_window_is_neither_acked_nor_answered",
            f"{WINDOW}test_backlog_of_ten_windows_drains_although_its_sender_is_away",
            f"{EXCHANGE}test_a_backlog_of_ten_windows_drains_in_order_through_loss_and_two_crashes",
            f"{WINDOW}test_lost_receipt_far_below_cum_is_answered_rightly",
        ),
        mutants=True,
    ),
    13: Item(
        "seq across 2^16 and 2^32",
        (f"{WINDOW}test_seqs_cross_a_power_of_two_without_anybody_noticing",),
    ),
    14: Item("floor regress", (f"{WINDOW}test_floor_that_an_old_copy_brings_does_not_fall",)),
    15: Item(
        "other incarnations with old copies queued; an outbox restored from a backup",
        (
            f"{EXCHANGE}test_both_sides_change_incarnation_while_copies_are_queued",
            f"{MATRIX}[a restores an old disk]",
            f"{MATRIX}[a restores a disk copied within the same session]",
            f"{MATRIX}[a restores an old disk and writes before it is online]",
        ),
    ),
    16: Item(
        "a cancel races delivery in every order, one and two devices",
        (
            f"{EXCHANGE}test_cancel_races_delivery",
            f"{EXCHANGE}test_cancel_races_delivery_while_packets_are_lost",
        ),
    ),
    17: Item(
        "a deadline and clocks that jump",
        (
            f"{SENDERS}test_wall_clock_that_jumps_ends_no_deadline",
            f"{SENDERS}test_clock_that_jumps_may_give_up_and_decides_no_verdict",
            f"{MATRIX}[clocks jump by a year]",
        ),
    ),
    18: Item(
        "payloads of every size with fragments in disorder; a flood of fragments",
        (
            f"{LARGE}test_payloads_of_every_size_cross_a_bad_network",
            "tests/hop/test_reassembly.py"
            "::test_body_is_whole_with_its_last_missing_piece_in_any_order",
            "tests/hop/test_intake.py::test_flood_of_first_pieces_stays_under_the_caps",
        ),
    ),
    19: Item(
        "a NAT rebinds at each of the six packets; a replayed packet moves no path",
        (
            f"{EXCHANGE}test_nat_gives_a_new_address_at_each_of_the_six",
            f"{RECIPIENTS}test_replay_from_elsewhere_of_a_packet_that_was_lost_moves_no_path",
            f"{EXCHANGE}test_replay_of_every_datagram_changes_nothing",
        ),
    ),
    20: Item(
        "hop and end-to-end retries at 50 % loss",
        (
            f"{EXCHANGE}test_two_layers_of_retries_do_not_multiply",
            f"{SENDERS}test_end_to_end_timer_is_held_while_the_hop_is_trying",
            f"{SENDERS}test_server_that_routes_and_hears_nothing_is_not_flooded_with_copies",
        ),
    ),
    21: Item(
        "10^4 clients after a restart of the server: attempts flat over time",
        ("tests/semantics/test_restart.py::test_ten_thousand_clients_come_back_without_a_peak",),
    ),
    22: Item(
        "two peers that acknowledge each other",
        (
            f"{RECIPIENTS}test_two_that_write_to_each_other_acknowledge_no_acknowledgement",
            "tests/hop/test_connection.py::test_acks_are_not_acked",
            f"{EXCHANGE}test_everything_settled_is_silence",
        ),
    ),
    23: Item(
        "logout, and login as another account",
        (
            f"{SENDERS}test_messages_of_one_account_never_leave_under_another",
            "tests/node/test_identity.py::test_a_store_of_somebody_else_is_refused",
        ),
    ),
    24: Item(
        "a poison message: the handler raises",
        (
            "tests/test_client.py"
            "::test_a_poison_message_is_tried_again_then_set_aside_and_never_dropped",
            "tests/test_client.py"
            "::test_a_poison_message_of_an_inbox_in_memory_is_never_shown_as_delivered",
            "tests/test_client.py::test_an_exception_in_the_body_brings_the_message_again",
            "tests/test_handling.py::test_other_streams_go_on_while_one_waits",
            "tests/test_handling.py::test_without_room_to_set_aside_the_message_is_tried_on",
            f"{RECIPIENTS}test_message_set_aside_is_receipted_truly_and_holds_nobody_up",
            f"{RECIPIENTS}test_message_set_aside_is_set_aside_again_if_its_mark_was_lost",
            f"{RECIPIENTS}test_no_room_to_set_aside_loses_and_drops_nothing",
        ),
    ),
    25: Item(
        "a group of 1000: few receipts; members join and leave between send and delivery",
        (
            f"{GROUPS}test_receipts_of_a_large_group_are_few",
            f"{GROUPS}test_copies_sent_again_go_to_the_missing_only",
            f"{GROUPS}test_who_joins_later_gets_what_is_sent_from_then_on",
            f"{GROUPS}test_nobody_waits_for_who_has_left",
            f"{GROUPS}test_leaver_s_gaps_are_closed_and_the_rest_is_released",
            "tests/bench/test_group.py::test_receipts_are_few_and_copies_go_to_the_missing_only",
        ),
    ),
    26: Item(
        "a full queue: no silent drop, and receipts take no place in it",
        (
            f"{SERVERS}test_full_queue_is_told_and_other_conversations_go_on",
            f"{SERVERS}test_receipts_take_no_place_in_a_full_queue",
            f"{EXCHANGE}test_full_queue_slows_down_and_loses_nothing",
        ),
    ),
    27: Item(
        "ENOBUFS, EPERM and ENETUNREACH are an attempt, never the end",
        (
            "tests/runtime/test_linux_endpoint.py"
            "::test_a_refused_run_is_an_attempt_and_not_the_end",
            "tests/runtime/test_endpoint_base.py::test_a_failed_attempt_is_counted_and_not_the_end",
        ),
    ),
    28: Item(
        "UNKNOWN that becomes DELIVERED is shown",
        (
            f"{EXCHANGE}test_unknown_that_was_delivered_is_shown_delivered",
            "tests/test_receipt.py::test_unknown_settles_later",
        ),
    ),
    29: Item(
        "REJECTED(full) for the second copy of a message that B has",
        (
            f"{SENDERS}test_full_queue_refuses_a_second_copy_and_the_first_one_counts",
            f"{SENDERS}test_permanent_refusal_of_a_second_copy_rejects_nothing",
        ),
    ),
    30: Item(
        "S1 pushes and dies, S2 queues, A cancels: no VOID before B",
        (
            f"{SERVERS}test_no_void_before_the_recipient_although_the_server_that_pushed_died",
            "tests/cluster/test_processes.py"
            "::test_a_cancel_is_not_void_before_the_recipient_says_so_whichever_home_it_meets",
        ),
    ),
    31: Item("all of it encrypted, with keys that rotate", (), not_yet="there is no encryption"),
    32: Item(
        "all of it in four packets",
        (f"{EXCHANGE}test_the_exchange_is_the_one_that_these_tests_were_asked_for",),
    ),
}

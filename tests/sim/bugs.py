"""Planted bugs that the simulator finds, for ``udpim sim calibrate``; `make calibrate`.

They are `tests.sim.plants`, `tests.sim.cluster_plants` and the mutants of
`tests.semantics.mutants`. What the simulator does not find soon is listed with the reason, so that
nobody takes its silence for a proof.
"""

from contextlib import contextmanager
from dataclasses import dataclass

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import Mutant, planted
from tests.sim.cluster_plants import PLANTS


@dataclass(frozen=True, slots=True)
class Bug:
    """A mutant, as `udpim.testing.sim.calibrate` wants it."""

    mutant: Mutant

    @property
    def rule(self):
        """What it breaks."""
        return self.mutant.rule

    @contextmanager
    def planted(self):
        """Plant it for a while."""
        with planted(self.mutant) as planting:
            yield planting


_WHY = {
    "Reached, but not violated in the first 64 seeds.": (
        "leavers_gaps_are_not_closed",
        "leaver_is_not_told",
        "leavers_rows_stay",
        "message_for_nobody_stays_so",
        "tally_is_taken_whatever_its_as_of",
        "tally_outlives_the_incarnation",
        "read_falls",
        "dedup_for_a_day",
        "window_over_floor_to_highest",
        "floor_raises_cum",
        "run_above_the_window_is_taken",
        "receipts_are_not_offered_at_login",
        "set_aside_is_dropped",
        "gap_is_never_asked_about",
        "cancel_leaves_before_its_record",
        "full_is_final",
        "refusal_of_a_copy_is_final",
        "redirect_does_not_wait_for_void",
        "redirect_leaves_after_the_close",
        "doubt_is_forgotten",
        "stored_outlives_its_store",
        "older_incarnations_count",
        "new_incarnation_is_taken_for_the_old_one",
        "memory_inbox_is_believed",
        "verdict_for_a_seq_never_used_is_shrugged_off",
        "memory_server_says_stored",
        "row_goes_when_it_is_pulled",
        "expired_rows_are_deleted",
        "expired_copies_are_accepted",
        "ages_are_dates",
        "pull_ends_at_the_window",
        "pushes_die_with_their_session",
        "full_queue_drops_in_silence",
        "no_base",
        "login_mark_is_ignored",
        "streams_never_end",
        "end_voids_what_is_still_to_come",
        "continues_is_ignored",
        "push_keeps_the_floor_it_left_with",
        "question_is_not_heard",
        "next_key_is_not_followed",
        "trim_takes_one_row_too_many",
        "queue_rows_come_back",
        "receipt_rows_die_with_the_process",
        "void_items_die_with_the_process",
        "inbox_comes_back_in_reverse",
        "failed_write_keeps_its_promise",
        "floor_drops_one_receipt_too_many",
        "cancel_names_one_too_many",
        "stamp_is_the_wall_clock",
        "stamps_ignore_what_was_heard",
        "deadline_by_the_wall_clock",
        "deadline_in_milliseconds",
        "backoff_has_no_ceiling",
        "floor_is_never_told_again",
        "end_to_end_timer_fires_once",
        "waiting_flights_are_overtaken",
    ),
    "Virtual disks do not open the store as a process does.": ("commit_is_not_synced",),
    "None of the first 64 seeds reached the planted code.": (
        "whole_group_gets_one_verdict",
        "failed_sync_is_forgotten",
        "ephemeral_outlives_its_prologue",
        "probe_is_answered_for_ever",
        "one_lost_answer_counts",
    ),
    "Costs, secrecy or an attacker's gain, which no invariant of a run judges.": (
        "mac_is_not_looked_at",
        "finish_is_said_once",
        "optimism_is_believed",
        "previous_key_is_kept",
        "phase_is_believed",
        "one_id_for_all_paths",
        "own_move_keeps_the_id",
        "client_does_not_follow",
        "used_ids_are_kept",
        "retire_queue_without_end",
        "offers_outlive_their_ids",
        "probing_raises_the_question",
        "old_flight_is_waited_for",
        "sender_ignores_the_window",
        "copies_cost_no_budget",
        "every_copy_has_a_timer",
        "timer_runs_while_the_hop_is_trying",
        "duplicate_is_pushed_again",
        "name_in_the_packet_is_believed",
        "window_off_by_one",
        "held_back_ack_never_leaves",
        "credit_is_never_given",
    ),
    "First noticed by an exception of the product or of the world, not by an invariant.": (
        "sender_says_void_alone",
        "resending_burns_a_new_seq",
        "push_overtakes_the_queue",
        "dedup_floor_off_by_one",
        "probe_timer_is_never_set_again",
        "idle_timer_is_never_set",
        "nonce_is_used_twice",
        "out_stream_is_written_once",
        "floor_is_one_too_high",
        "void_is_shown_as_delivered",
    ),
}

_WHY["Not violated in 200 clusters: clients tell the next home what it has to know."] = (
    "fence_is_not_checked",
    "fence_is_raised_to_what_stands_there",
    "epoch_stays",
    "frames_of_another_epoch_pass",
    "claim_does_not_compare",
    "home_goes_on_after_its_lease",
    "answers_leave_by_the_homes_own_port",
)

NOT_FOUND = {name: why for why, names in _WHY.items() for name in names}
"""Why the simulator is not measured by these, by name."""

BUGS = {
    name: Bug(mutant) for name, mutant in {**MUTANTS, **PLANTS}.items() if name not in NOT_FOUND
}
"""Bugs by name."""

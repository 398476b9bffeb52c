"""Mutants of paths and connection ids: what an onlooker must not see, and an attacker not get."""

from tests.semantics.mutants.mutant import mutant
from udpim.hop.bindings import Bindings
from udpim.hop.cids import LocalIds, RemoteIds
from udpim.hop.loss import LossDetector
from udpim.hop.nat import BindingLearner, Step
from udpim.hop.path import PathValidator
from udpim.hop.paths import Paths

PATHS = "tests/hop/test_paths.py::"
SECURITY = "tests/security/test_paths.py::"


@mutant(
    "§3.10: packets to different addresses do not carry the same id",
    f"{SECURITY}test_no_id_is_seen_on_two_paths[plain]",
)
def one_id_for_all_paths(planting):
    @planting.replace(PathValidator, "_id_aside")
    def id_aside(original, self, path):
        return None


@mutant(
    "§3.10: whoever goes elsewhere uses another id there",
    f"{SECURITY}test_no_id_is_seen_on_two_paths[plain]",
)
def own_move_keeps_the_id(planting):
    @planting.replace(PathValidator, "leave")
    def leave(original, self):
        pass


@mutant(
    "§3.10: a client that is sent to under a spare id goes on under another one",
    f"{SECURITY}test_an_id_is_seen_on_two_paths_only_until_the_client_can_know[plain]",
)
def client_does_not_follow(planting):
    @planting.replace(Paths, "_follow")
    def follow(original, self):
        pass


@mutant(
    "§3.10: an id that was used is given back",
    f"{PATHS}test_an_id_that_is_not_ours_any_more_is_not_ours[plain]",
)
def used_ids_are_kept(planting):
    @planting.replace(RemoteIds, "_retire")
    def retire(original, self, used):
        pass


@mutant(
    "§3.10: RETIRE_CIDs without an ack are few",
    f"{SECURITY}test_a_peer_that_moves_for_ever_and_acks_nothing_fills_no_queue[plain]",
)
def retire_queue_without_end(planting):
    @planting.replace(RemoteIds, "take")
    def take(original, self):
        self._retiring.clear()
        return original(self)


@mutant(
    "§3.10: the NEW_CID of an id that came back is not sent again",
    f"{SECURITY}test_ids_given_back_in_a_loop_are_made_up_for_one_by_one[plain]",
)
def offers_outlive_their_ids(planting):
    @planting.replace(LocalIds, "on_retired")
    def on_retired(original, self, sequence):
        self._offers.clear()
        return original(self, sequence)


@mutant(
    "§3.5: a probing packet starts no validation",
    f"{PATHS}test_a_packet_that_only_probes_raises_no_question[plain]",
)
def probing_raises_the_question(planting):
    @planting.replace(Paths, "on_taken")
    def on_taken(original, self, packet, *, newest):
        packet.probing = False
        original(self, packet, newest=newest)


@mutant(
    "§3.5: what is in flight goes again at once on a new path",
    f"{SECURITY}test_ten_changes_of_address_during_two_thousand_messages[plain-rebind]",
)
def old_flight_is_waited_for(planting):
    @planting.replace(LossDetector, "abandon")
    def abandon(original, self):
        return []


@mutant(
    "§3.11: a probe is answered once",
    "tests/hop/test_bindings.py::test_a_probe_is_answered_once",
)
def probe_is_answered_for_ever(planting):
    @planting.replace(Bindings, "on_ask")
    def on_ask(original, self, data, now):
        before = self._data
        original(self, data, now)
        self._data = before


@mutant(
    "§3.11: one missing answer is no dead binding",
    "tests/hop/test_nat.py::test_lost_answers_are_not_taken_for_dead_bindings[90.0]",
)
def one_lost_answer_counts(planting):
    @planting.replace(BindingLearner, "handle_timeout")
    def handle_timeout(original, self, now):
        if self.step is Step.ANSWER:
            self._failures = 2
        original(self, now)
